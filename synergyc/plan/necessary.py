"""What must hold for any plan, by conditions that need no search: they refuse quickly what can never fit."""

from __future__ import annotations

from collections.abc import Iterable

from synergyc.diagnostics import Diagnostic, SynergyError
from synergyc.ir.network import Layer
from synergyc.plan.cycles import SLOT_BITS
from synergyc.plan.instance import Instance
from synergyc.plan.problem import PlanDevice, PlanProblem
from synergyc.plan.space import allowed_devices, is_segment, legal_cuts
from synergyc.targets import Chip, load_runtime


def covered(instance: Instance, j: int) -> bool:
    """Return whether segments that fit a chip of their own can make up the whole network of app ``j``.

    Necessary for a plan, not sufficient: links, pins and how often a chip is there are not looked at, only
    the number of devices. Long segments are tried first, so that few questions are asked where all is well.
    """
    problem, model = instance.problem, instance.tables[j].model
    names = allowed_devices(problem, model.app)
    by_chip = {problem.device(name).chip.name: name for name in names}
    cuts = legal_cuts(model.network, several=problem.multi_tensor_cuts)
    lasts = (-1, *cuts, len(model.network.layers) - 1)
    tried: dict[int, int] = {}

    def fits(first: int, last: int) -> bool:
        return is_segment(model.network, first, last) and any(
            instance.checks.segment_fits(model.app.name, name, first, last) for name in by_chip.values()
        )

    def reaches_end(place: int, devices: int) -> bool:
        if place == len(lasts) - 1:
            return True
        if devices <= tried.get(place, 0):
            return False
        tried[place] = devices
        return any(
            fits(lasts[place] + 1, lasts[end]) and reaches_end(end, devices - 1)
            for end in range(len(lasts) - 1, place, -1)
        )

    return reaches_end(0, len(names))


def too_many(instance: Instance) -> SynergyError | None:
    """Return the error for the fewest apps whose weights no devices have room for; None if they have.

    Weights lie in weight memories or, where they may be swapped, in flash.
    """
    problem = instance.problem
    room_bytes = sum(_room_bytes(device, problem) for device in problem.devices)
    weights = {table.model.app.name: _distinct_bits(table.model.network.layers) for table in instance.tables}
    together: dict[tuple[bytes, int], int] = {}
    names: list[str] = []
    for name in sorted(weights, key=lambda name: -sum(weights[name].values())):
        together |= weights[name]
        names.append(name)
        need_bytes = -(-sum(together.values()) // 8)
        if need_bytes > room_bytes:
            return _conflict(
                names,
                "even where weights are loaded in turn they must fit the flash of all devices"
                if problem.weight_swap
                else "weights must fit the weight memories of all devices",
                f"{need_bytes:,} bytes",
                f"{room_bytes:,} bytes",
            )
    return None


def _conflict(names: Iterable[str], message: str, need: str, have: str) -> SynergyError:
    listed = list(map(repr, names))
    several = len(listed) > 1
    head = Diagnostic(
        "apps-conflict",
        f"apps {', '.join(listed)} cannot run together: {message}"
        if several
        else f"app {listed[0]} cannot run on these devices: {message}",
        need=need,
        have=have,
        hint="add a device, forbid less, narrow weights (quantize: {bits: 4})"
        + (", or leave one of them out" if several else ""),
    )
    return SynergyError(head)


def _room_bytes(device: PlanDevice, problem: PlanProblem) -> int:
    """Return the weights that a device can hold: in its weight memory or, swapped, in flash beside code."""
    memory_bytes = weight_memory_bytes(device.chip)
    if not problem.weight_swap:
        return memory_bytes
    return max(memory_bytes, device.chip.flash.size_bytes - load_runtime().flash_reserve_bytes)


def weight_memory_bytes(chip: Chip) -> int:
    """Return the bytes of all weight slots of ``chip``."""
    return SLOT_BITS // 8 * sum(chip.cnn.slots(processor) for processor in range(chip.cnn.processors))


def _distinct_bits(layers: Iterable[Layer]) -> dict[tuple[bytes, int], int]:
    """Return the bits of weights by their values and width: layers with equal ones may share them."""
    return {
        (layer.weight.tobytes(), layer.weight_bits): layer.weight.size * layer.weight_bits
        for layer in layers
        if layer.weight is not None
    }
