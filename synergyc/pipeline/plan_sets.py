"""Residency sets of images that hold several plans: a plan's segments join a set that is loaded anyway.

A device whose set has room for the segments of a fallback plan holds them from boot on, and loads nothing
when the plan changes. Otherwise the plan has a set of its own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from synergyc.config import System
from synergyc.firmware.assign import FallbackPlan
from synergyc.ir.network import Network
from synergyc.pipeline.engines import Generate
from synergyc.pipeline.models import PreparedModel
from synergyc.pipeline.planning import segment_network
from synergyc.pipeline.replacing import placed_again
from synergyc.plan.types import Plan, Segment
from synergyc.synth.placed import PlacedNetwork
from synergyc.synth.program import Program
from synergyc.synth.resident import place_beside, place_resident
from synergyc.targets import Chip

_Key = tuple[str, int, int]
"""App, first and last layer of a segment."""


@dataclass(frozen=True)
class _Set:
    """Segments that are in an accelerator's memories together."""

    placed: Mapping[_Key, PlacedNetwork]
    programs: Mapping[_Key, Program]


Sets = Mapping[str, tuple[_Set, ...]]
"""The residency sets of each device, by their numbers."""


def chosen_sets(system: System, models: Mapping[str, PreparedModel], chosen: FallbackPlan) -> Sets:
    """Return the sets of the chosen plan; its segments are placed as when their programs were made.

    Raises SynergyError (``placement-differs``) if they are not.
    """
    found = {}
    for device in system.devices:
        sets = []
        for segments in chosen.plan.residency_sets(device.name):
            networks = [_network(models, segment) for segment in segments]
            keys = [_key(segment) for segment in segments]
            programs = [chosen.programs[segment.name] for segment in segments]
            placed = placed_again(networks, [program.placement for program in programs], device.chip)
            sets.append(_Set(dict(zip(keys, placed, strict=True)), dict(zip(keys, programs, strict=True))))
        found[device.name] = tuple(sets)
    return found


def placed_plan(
    system: System,
    models: Mapping[str, PreparedModel],
    plan: Plan,
    number: int,
    sets: Sets,
    generate: Generate,
) -> tuple[FallbackPlan, Sets]:
    """Return plan ``number`` with its programs and the numbers of their sets, and all sets with them.

    Raises SynergyError if its segments do not fit.
    """
    grown = dict(sets)
    programs: dict[str, Program] = {}
    numbers: dict[str, int] = {}
    for device in system.devices:
        for segments in plan.residency_sets(device.name):
            networks = {_key(segment): _network(models, segment) for segment in segments}
            index, all_sets = _with(grown[device.name], networks, number, device.chip, generate)
            grown[device.name] = all_sets
            for segment in segments:
                programs[segment.name] = all_sets[index].programs[_key(segment)]
                numbers[segment.name] = index
    apps = tuple(
        replace(app, segments=tuple(replace(item, residency=numbers[item.name]) for item in app.segments))
        for app in plan.apps
    )
    return FallbackPlan(replace(plan, apps=apps), programs), grown


def _with(
    sets: tuple[_Set, ...], networks: Mapping[_Key, Network], plan: int, chip: Chip, generate: Generate
) -> tuple[int, tuple[_Set, ...]]:
    """Return the number of a set that holds ``networks``, and the sets with it.

    Only the set of a device that has a single one grows: of several each is loaded again and again.
    """
    for index, item in enumerate(sets):
        missing = [key for key in networks if key not in item.programs]
        if missing and len(sets) > 1:
            continue
        there = tuple(item.placed.values())
        placed = place_beside([networks[key] for key in missing], there, chip) if missing else ()
        if placed is not None:
            larger = _extended(item, missing, placed, plan, chip, generate)
            return index, (*sets[:index], larger, *sets[index + 1 :])
    placed = place_resident(list(networks.values()), chip)
    return len(sets), (*sets, _extended(_Set({}, {}), list(networks), placed, plan, chip, generate))


def _extended(
    item: _Set,
    keys: Sequence[_Key],
    placed: Sequence[PlacedNetwork],
    plan: int,
    chip: Chip,
    generate: Generate,
) -> _Set:
    programs = {}
    for key, network in zip(keys, placed, strict=True):
        program = generate(network, chip)
        programs[key] = replace(program, name=f"{program.name}_plan{plan}")
    return _Set(dict(item.placed) | dict(zip(keys, placed, strict=True)), dict(item.programs) | programs)


def _network(models: Mapping[str, PreparedModel], segment: Segment) -> Network:
    return segment_network(models, segment.app, segment.first, segment.last)


def _key(segment: Segment) -> _Key:
    return (segment.app, segment.first, segment.last)
