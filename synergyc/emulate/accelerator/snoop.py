"""Snoop units: watch what layers write, and end a run or skip layers on a match (docs/accelerator.md, 5.10).

The registers have no public description. What is modelled is what the vendor tool's own test networks use and
expect; every other setting is refused.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from synergyc.emulate.accelerator import layers
from synergyc.emulate.accelerator.config import LayerConfig
from synergyc.emulate.accelerator.layers import OutOfReach
from synergyc.emulate.accelerator.memory import Bytes, Memories
from synergyc.emulate.accelerator.network import Kernels, Run
from synergyc.emulate.accelerator.registers import RegisterFile, Word
from synergyc.targets import Cnn

UNITS = ("SNP1", "SNP2")
STATE = ("ACC", "HIT", "MAX", "AM")
"""Accumulator of the matching data, count of matches, largest matching data and its address."""

_WRITE = 1 << 21
"""In an address: a word that a layer writes; instance and word are below, as in WPTR."""
_EQUAL, _RANGE = 2, 5
"""Comparisons of addresses and data: equal to the first register, or between the first and the second."""
_WORD_MASK = 0xFFFFFFFF


@dataclass(frozen=True)
class SnoopState:
    """What a unit has gathered; ``values`` in the order of :data:`STATE`."""

    unit: str
    values: tuple[int, int, int, int]


@dataclass(frozen=True)
class SnoopUnit:
    """One unit that is on: which writes of which layer it watches, and what it does about a match.

    A hit is a write to ``words`` of ``instance`` with a value in ``data``; ``lane`` None: of the whole word.
    Hits whose number is in ``ignored`` are no match.
    """

    name: str
    layer: int
    instance: int
    words: range
    data: range
    lane: int | None
    ignored: range | None
    stops: bool
    skips: bool
    accumulates: bool
    counts: bool
    finds_largest: bool
    state: SnoopState

    def watch(self, cnn: Cnn, config: LayerConfig, data: Bytes) -> tuple[bool, SnoopState]:
        """Return whether the writes of ``config``, now in ``data``, match, and the state after them."""
        if config.number != self.layer:
            return False, self.state
        if config.output.wide:
            raise OutOfReach(f"{self.name}_C1", "snooping of 32-bit output")
        hits = self._hits(cnn, config, data)
        total, count, largest, place = self.state.values
        if self.accumulates:
            total = (total + sum(value for _, value in hits)) & _WORD_MASK
        if self.counts:
            count += len(hits)
        for word, value in hits:
            if self.finds_largest and value > largest:
                largest, place = value, _WRITE | self.instance << cnn.instance_bits | word
        matches = bool(hits) and (self.ignored is None or len(hits) not in self.ignored)
        return matches, SnoopState(self.name, (total, count, largest, place))

    def _hits(self, cnn: Cnn, config: LayerConfig, data: Bytes) -> list[tuple[int, int]]:
        """Return (word, data) of the writes that match, in ascending order."""
        pixels = config.output_rows * config.output_cols
        step = config.output.pixel_words
        starts = {word for instance, _, word in layers.places(cnn, config) if instance == self.instance}
        written = {start + step * pixel for start in starts for pixel in range(pixels)}
        found = []
        for word in sorted(written.intersection(self.words)):
            lanes = data[self.instance, word]
            value = (
                int(lanes[self.lane]) if self.lane is not None else int.from_bytes(lanes.tobytes(), "little")
            )
            if value in self.data:
                found.append((word, value))
        return found


class Lookahead:
    """Computes layers ahead, on a copy of data memory, as what they write decides which layers run."""

    def __init__(self, cnn: Cnn, memories: Memories, kernels: Kernels, units: tuple[SnoopUnit, ...]) -> None:
        self._cnn = cnn
        self._memories = memories.trial() if units else memories
        self._kernels = kernels
        self._units = units

    @property
    def states(self) -> tuple[SnoopState, ...]:
        """What the units have gathered so far."""
        return tuple(unit.state for unit in self._units)

    def decide(self, config: LayerConfig) -> tuple[bool, bool]:
        """Return whether the link after ``config`` is taken, and whether the run ends there.

        Without a unit that skips layers, links are always taken. Raises OutOfReach.
        """
        if not self._units:
            return True, False
        Run(self._cnn, self._memories, self._kernels, (config,)).step()
        stopped, skips = False, []
        units = []
        for unit in self._units:
            matches, state = unit.watch(self._cnn, config, self._memories.data)
            units.append(replace(unit, state=state))
            stopped |= unit.stops and matches
            if unit.skips and unit.layer == config.number:
                skips.append(matches)
        self._units = tuple(units)
        return any(skips) or not skips, stopped


def read_units(cnn: Cnn, file: RegisterFile) -> tuple[SnoopUnit, ...]:
    """Return the units that the registers of a quadrant turn on; raises NotModelled for unknown settings."""
    return tuple(
        _read_unit(cnn, file, name, control)
        for name, control in ((name, file.word(f"{name}_C1")) for name in UNITS)
        if control.flag(0)
    )


def store(file: RegisterFile, states: tuple[SnoopState, ...]) -> None:
    """Write what the units have gathered to their registers."""
    for state in states:
        for register, value in zip(STATE, state.values, strict=True):
            file.put(f"{state.unit}_{register}", value)


def _read_unit(cnn: Cnn, file: RegisterFile, name: str, control: Word) -> SnoopUnit:
    place = file.word(f"{name}_C2")
    first = file.word(f"{name}_A1")
    addresses = _range(file, name, "A", control.field(12, 4), control)
    instance, word = divmod(addresses.start & ~_WRITE, 1 << cnn.instance_bits)
    last = (addresses.stop - 1) & ~_WRITE
    if not addresses.start & _WRITE or instance >= cnn.instances or last >> cnn.instance_bits != instance:
        raise first.refuse("an address that is not one of writes to a single data memory")
    layer, quadrant = place.field(0, 8), place.field(8, 4)
    if quadrant != instance // (cnn.instances // cnn.quadrants):
        raise place.refuse("the quadrant is not that of the address")
    counted, event = control.field(20, 4), place.field(12, 4)
    if (counted, event) not in ((0, 3), (_RANGE, 4)):
        raise place.refuse("known are match events without, and count events with a comparison of the count")
    lanes = {6: 3, 8: None}
    width, constant = control.field(28, 4), control.field(24, 4)
    if width not in lanes or constant != 2:
        raise control.refuse("known are whole words, and the highest byte")
    unit = SnoopUnit(
        name=name,
        layer=layer,
        instance=instance,
        words=range(word, (last & (1 << cnn.instance_bits) - 1) + 1),
        data=_range(file, name, "D", control.field(16, 4), control),
        lane=lanes[width],
        ignored=_range(file, name, "X", counted, control) if counted else None,
        stops=control.flag(1),
        skips=control.flag(2),
        accumulates=control.flag(3),
        counts=control.flag(4),
        finds_largest=control.flag(5),
        state=SnoopState(name, _state(file, name)),
    )
    control.require_known()
    place.require_known()
    return unit


def _range(file: RegisterFile, name: str, register: str, comparison: int, control: Word) -> range:
    first, second = file.word(f"{name}_{register}1"), file.word(f"{name}_{register}2")
    if comparison == _EQUAL:
        return range(first.value, first.value + 1)
    if comparison != _RANGE or second.value < first.value:
        raise control.refuse(f"comparison {comparison} of {name}_{register}1 and {name}_{register}2")
    return range(first.value, second.value + 1)


def _state(file: RegisterFile, name: str) -> tuple[int, int, int, int]:
    total, count, largest, place = (file.word(f"{name}_{register}").value for register in STATE)
    return total, count, largest, place
