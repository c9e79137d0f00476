"""Biases in the bias memories: their bytes, and the vendor tool's rule for their places (section 4.5)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from synergyc.diagnostics import SynergyError, fail
from synergyc.synth.geometry import geometry_of, highest_bit, lowest_bit, round_up
from synergyc.synth.kernels import FOURFOLD
from synergyc.synth.packing import Column, packed, placing_order
from synergyc.synth.placed import BiasPlace, PlacedLayer
from synergyc.synth.solve import Outcome
from synergyc.targets import Cnn

Columns = dict[int, list[int | None]]
"""Bytes by quadrant, relative to the layer's start there; None: a byte that is not used."""


@dataclass(frozen=True, eq=False)
class BiasRequest:
    """A layer whose biases need memory, and the quadrants where they may go."""

    placed: PlacedLayer
    quadrants: tuple[int, ...]

    @property
    def name(self) -> str:
        """Name of the layer."""
        return self.placed.layer.name


def has_biases(placed: PlacedLayer) -> bool:
    """Tell whether the layer has biases to store: those that are all zero are left out."""
    return placed.layer.bias is not None and bool(placed.layer.bias.any())


def bias_columns(placed: PlacedLayer, cnn: Cnn) -> Columns:
    """Return the bytes of a layer's biases; layers that are not depthwise have one column, key 0."""
    if placed.layer.groups > 1:
        return _depthwise_columns(placed, cnn)
    return {0: [None] * _lead(placed, cnn) + _values(placed)}


def _values(placed: PlacedLayer) -> list[int | None]:
    return [] if placed.layer.bias is None else [int(value) & 0xFF for value in placed.layer.bias]


def _lead(placed: PlacedLayer, cnn: Cnn) -> int:
    """Return the dummy bytes before the first value: unaligned outputs, and a first layer that streams."""
    passes = geometry_of(placed.layer, cnn).out_passes.count
    lead = lowest_bit(placed.output_processors) % cnn.processors_per_instance * passes
    # The first generation loses the first bias of a streaming first layer (section 1, "bias with streaming").
    loses_one = cnn.generation == "ai85" and placed.streaming and placed.hardware_layer == 0
    return lead + loses_one


def _depthwise_columns(placed: PlacedLayer, cnn: Cnn) -> Columns:
    """Return the bytes of each quadrant's own processors, pass by pass.

    In broadcast mode a pass takes 16 bytes, in the order 0, 4, 8, 12, 1, 5, ... of the processors.
    """
    size = cnn.processors_per_quadrant
    used = placed.processors
    first_quadrant = lowest_bit(used) // size
    if not placed.broadcast:
        # Processors of the first quadrant move down, so that its first one has byte 0.
        mask = (1 << size) - 1 << first_quadrant * size
        used = used & ~mask | (used & mask) >> lowest_bit(used) % size
    spans = highest_bit(used) // size > lowest_bit(used) // size
    first, last = lowest_bit(used), highest_bit(used)
    if placed.broadcast or spans:
        first = first // size * size
    if placed.broadcast:
        last = round_up(last + 1, size) - 1
    values = _values(placed)
    passes = geometry_of(placed.layer, cnn).in_passes
    columns: Columns = {}
    for index in range(passes.count):
        for processor in range(first, last + 1):
            source = _transposed(processor, size) if placed.broadcast else processor
            columns.setdefault(processor // size, []).append(
                _value_of(values, used, source, index * passes.width)
            )
    final = columns[last // size]
    while final and final[-1] is None:
        final.pop()
    return columns


def _transposed(processor: int, size: int) -> int:
    """Return the processor whose value lies at the place of ``processor`` in broadcast mode."""
    base, index = processor // size * size, processor % size
    return base + index % 4 * 4 + index // 4


def _value_of(values: Sequence[int | None], used: int, processor: int, first: int) -> int | None:
    if not used >> processor & 1:
        return None
    channel = first + (used & ((1 << processor) - 1)).bit_count()
    return values[channel] if channel < len(values) else None


def allocate_biases(
    requests: Sequence[BiasRequest],
    cnn: Cnn,
    *,
    start: Mapping[int, int] | None = None,
    share: bool = True,
) -> tuple[tuple[BiasPlace, ...], ...]:
    """Return the places of each request: depthwise first, then the largest first into the emptiest quadrant.

    Where that rule, which is the vendor tool's, finds no room, all ways to share out the quadrants are tried.
    ``start`` gives bytes that are taken already in each quadrant; ``share``: equal biases are stored once.
    Raises SynergyError when one does not fit.
    """
    filled = {quadrant: (start or {}).get(quadrant, 0) for quadrant in range(cnn.quadrants)}
    places: dict[int, tuple[BiasPlace, ...]] = {}
    sizes = {index: bias_columns(request.placed, cnn) for index, request in enumerate(requests)}
    depthwise: dict[str, tuple[BiasPlace, ...]] = {}
    for index, request in enumerate(requests):
        if request.placed.layer.groups > 1:
            text = repr(sizes[index])
            if text not in depthwise or not share:
                depthwise[text] = _place_depthwise(request, sizes[index], filled, cnn)
            places[index] = depthwise[text]

    def priority(index: int) -> int:
        request = requests[index]
        if cnn.generation == "ai85" and request.placed.layer.flatten:
            return -1
        return 0 if len(request.quadrants) == 1 else cnn.bias_bytes - len(sizes[index][0])

    rest = sorted((index for index in range(len(requests)) if index not in places), key=priority)
    columns = [_Column(requests[index], tuple(sizes[index][0])) for index in rest]
    once: dict[object, _Column] = {}
    for column in columns:
        once.setdefault(column.key if share else column, column)
    stored = list(once.values())
    try:
        found = _in_turn(stored, dict(filled), cnn)
    except SynergyError as error:
        found = _shared_out(stored, filled, cnn, error)
    by_key = dict(zip(once, found, strict=True))
    for index, column in zip(rest, columns, strict=True):
        places[index] = (by_key[column.key if share else column],)
    return tuple(places[index] for index in range(len(requests)))


@dataclass(frozen=True, eq=False)
class _Column:
    """The bytes of a layer that is not depthwise."""

    request: BiasRequest
    values: tuple[int | None, ...]

    @property
    def key(self) -> tuple[bool, tuple[int | None, ...]]:
        """What columns that may be stored once have in common."""
        return self.request.placed.fourfold, self.values


def _in_turn(columns: Sequence[_Column], filled: dict[int, int], cnn: Cnn) -> list[BiasPlace]:
    """Return the places by the vendor tool's rule: each into the emptiest quadrant."""
    return [
        _place_column(
            column.request,
            column.values,
            min(column.request.quadrants, key=lambda item: filled[item]),
            filled,
            cnn,
        )
        for column in columns
    ]


def _shared_out(
    columns: Sequence[_Column], filled: dict[int, int], cnn: Cnn, error: SynergyError
) -> list[BiasPlace]:
    """Return places of any kind; raises ``error`` with what the search says about it."""
    packable = [
        Column(len(item.values), item.request.quadrants, FOURFOLD if item.request.placed.fourfold else 1)
        for item in columns
    ]
    quadrants, finished = packed(packable, filled, cnn.bias_bytes)
    if quadrants is None:
        loose = [replace(item, step=1) for item in packable]  # alignment depends on the order, which is one
        proven = finished and packed(loose, filled, cnn.bias_bytes) == (None, True)
        said = Outcome.IMPOSSIBLE if proven else Outcome.UNKNOWN
        (first,) = error.diagnostics
        raise SynergyError(replace(first, message=f"{first.message} ({said})")) from error
    order = placing_order(packable)
    filled = dict(filled)
    found = {
        index: _place_column(columns[index].request, columns[index].values, quadrants[index], filled, cnn)
        for index in order
    }
    return [found[index] for index in range(len(columns))]


def _place_column(
    request: BiasRequest, column: Sequence[int | None], quadrant: int, filled: dict[int, int], cnn: Cnn
) -> BiasPlace:
    if request.placed.fourfold:  # the start is given in units of four bytes
        filled[quadrant] = round_up(filled[quadrant], FOURFOLD)
    if filled[quadrant] + len(column) > cnn.bias_bytes:
        raise _full(request, len(column), filled[quadrant], cnn)
    place = BiasPlace(quadrant, filled[quadrant])
    filled[quadrant] += len(column)
    return place


def _place_depthwise(
    request: BiasRequest, columns: Columns, filled: dict[int, int], cnn: Cnn
) -> tuple[BiasPlace, ...]:
    places = []
    for quadrant, column in sorted(columns.items()):
        if request.placed.broadcast:
            filled[quadrant] = round_up(filled[quadrant], cnn.processors_per_instance)
        if filled[quadrant] + len(column) > cnn.bias_bytes:
            raise _full(request, len(column), filled[quadrant], cnn)
        places.append(BiasPlace(quadrant, filled[quadrant]))
        filled[quadrant] += len(column)
    return tuple(places)


def _full(request: BiasRequest, size: int, filled: int, cnn: Cnn) -> SynergyError:
    return fail(
        "bias-memory",
        "biases do not fit the bias memory of any quadrant in use",
        layer=request.name,
        need=f"{size} bytes in one quadrant",
        have=f"{cnn.bias_bytes - filled} of {cnn.bias_bytes} bytes",
        hint="cut the network into more segments, or train without bias",
    )
