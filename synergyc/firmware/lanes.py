"""The chains of an app: what its runs pass from the sensor to the results, joint by joint.

An app has one chain; one with replicas has several, its lanes. All tensors of a joint, and the ways between
devices, are known here; queues and tasks are made of them in ``assign``.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from synergyc.diagnostics import fail
from synergyc.firmware.layout import same_layout
from synergyc.plan.types import AppPlan, HandOff
from synergyc.synth.program import Program, TensorLayout


@dataclass(frozen=True)
class Joint:
    """Between two neighbours of the chain: the tensors that cross, in order, and the way between devices."""

    tensors: tuple[TensorLayout, ...]
    hops: tuple[HandOff, ...]

    @property
    def words(self) -> int:
        """Words of all tensors."""
        return sum(layout.words for layout in self.tensors)

    def first_words(self) -> dict[str, int]:
        """Return where each tensor begins in the stream, in words."""
        starts = itertools.accumulate((layout.words for layout in self.tensors), initial=0)
        return {layout.tensor.name: start for layout, start in zip(self.tensors, starts, strict=False)}


@dataclass(frozen=True)
class Lane:
    """A chain that an app's runs pass, one of several if there are replicas; ``name`` begins its queues'."""

    app: AppPlan
    name: str
    programs: tuple[Program, ...]
    joints: tuple[Joint, ...]

    @property
    def title(self) -> str:
        """What comments call it."""
        app = self.app
        return f"app {app.app}" if self.name == app.app else f"app {app.app} on {app.segments[0].device}"


def lanes_of(app: AppPlan, programs: Mapping[str, Program]) -> tuple[Lane, ...]:
    """Return the chains of an app's runs; all read samples, and give results, in one layout."""
    lanes = []
    for number, part in enumerate(app.lanes):
        name = f"{app.app}_r{number}" if app.replicated else app.app
        chain = tuple(programs[segment.name] for segment in part.segments)
        lanes.append(Lane(part, name, chain, tuple(_joints(part, chain))))
    for lane in lanes[1:]:
        _check_same(lanes[0], lane)
    return tuple(lanes)


def _check_same(one: Lane, other: Lane) -> None:
    """Raise SynergyError if two lanes do not begin and end with the same layouts."""
    for end in (0, -1):
        for mine, theirs in zip(one.joints[end].tensors, other.joints[end].tensors, strict=True):
            if not same_layout(mine, theirs):
                places = " and ".join(repr(lane.app.segments[0].device) for lane in (one, other))
                raise fail(
                    "replica-layout",
                    f"app {one.app.app!r}: its replicas on {places} hold {mine.tensor.name!r} in different"
                    " memory layouts",
                    need=f"{mine.words} words",
                    have=f"{theirs.words} words",
                    hint="other devices by forbid, or replicas: 1",
                )


def _joints(app: AppPlan, chain: Sequence[Program]) -> Iterator[Joint]:
    """Yield the joints of an app's chain in order; checks that tensors and layouts agree on both sides.

    A tensor that a later segment reads crosses every joint on its way, also past segments that do not.
    """
    places = [app.sense_device, *(segment.device for segment in app.segments), app.interact_device]
    hand_offs = list(app.hand_offs)
    known = {layout.tensor.name: layout for layout in chain[0].inputs}
    crossing = list(_crossing(app, chain))
    for index, (here, there) in enumerate(itertools.pairwise(places)):
        hops: list[HandOff] = []
        while here != there:
            if not hand_offs or hand_offs[0].source != here:
                raise fail("hand-off-path", f"app {app.app!r}: no hand-off leads from {here!r} to {there!r}")
            hops.append(hand_offs.pop(0))
            here = hops[-1].target
        known |= {layout.tensor.name: layout for layout in (chain[index - 1].outputs if index else ())}
        yield Joint(tuple(known[name] for name in crossing[index]), tuple(hops))
        for layout in chain[index].inputs if index < len(chain) else ():
            _check_layout(app, known[layout.tensor.name], layout)
    if hand_offs:
        raise fail("hand-off-path", f"app {app.app!r}: hand-off without use: {hand_offs[0]}")


def _crossing(app: AppPlan, chain: Sequence[Program]) -> tuple[tuple[str, ...], ...]:
    """Return the tensors that cross each joint: what the next segment reads, then what later ones need."""
    needed = [layout.tensor.name for layout in chain[-1].outputs]
    found = [tuple(needed)]
    for program in reversed(chain):
        made = {layout.tensor.name for layout in program.outputs}
        read = [layout.tensor.name for layout in program.inputs]
        needed = list(dict.fromkeys([*read, *(name for name in needed if name not in made)]))
        found.append(tuple(needed))
    unmade = set(needed) - {layout.tensor.name for layout in chain[0].inputs}
    if unmade:
        raise fail("hand-off-tensors", f"app {app.app!r}: no segment makes {', '.join(sorted(unmade))}")
    return tuple(reversed(found))


def _check_layout(app: AppPlan, made: TensorLayout, read: TensorLayout) -> None:
    if not same_layout(made, read):
        raise fail(
            "layout-mismatch",
            f"app {app.app!r}: tensor {made.tensor.name!r} is written and read in different memory layouts",
            need=f"{read.words} words",
            have=f"{made.words} words",
        )
