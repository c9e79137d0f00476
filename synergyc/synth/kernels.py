"""Weights as they lie in the 72-bit slots of the weight memories (sections 4.1 and 4.3).

A processor's weight memory is a stream of bytes: byte j of the stream is byte ``8 - j % 9`` of slot
``j // 9``, where byte 0 is the most significant.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from synergyc.diagnostics import fail
from synergyc.ir.network import Layer, LayerOp
from synergyc.synth.geometry import Geometry, highest_bit, lowest_bit
from synergyc.targets import Cnn

SLOT_BYTES = 9
"""Bytes of one slot: a 3x3 kernel of 8-bit weights (section 1)."""

FOURFOLD = 4
"""Outputs at a time, and physical memories that a processor's weights are in (section 4.6)."""

Bytes = npt.NDArray[np.uint8]
Integers = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class KernelImage:
    """The slots of one layer, relative to its first slot.

    Attributes:
        slots: indices of the slots that are written, ascending.
        content: (processors of a pass, slots, 9) bytes, the most significant byte of a slot first.
        length: slots that the placement must find free; written slots may reach further (leading dummies).
        count: kernels of one processor, as the mask counters count them.
    """

    slots: Integers
    content: Bytes
    length: int
    count: int


@dataclass(frozen=True)
class Positions:
    """Order in which outputs are computed: ``span`` positions for each pass, ``lead`` of them dummies.

    ``channels`` gives the output channel of each position of all passes, -1 for a dummy.
    """

    span: int
    lead: int
    channels: tuple[int, ...]


def positions_of(geometry: Geometry, output_processors: int, cnn: Cnn) -> Positions:
    """Return the output positions: from the first output processor, aligned down, to the last one."""
    shared = cnn.processors_per_instance
    lowest = lowest_bit(output_processors)
    aligned = lowest - lowest % shared
    span = highest_bit(output_processors) - aligned + 1
    channels: list[int] = []
    for index in range(geometry.out_passes.count):
        rank = 0
        for processor in range(aligned, aligned + span):
            used = output_processors >> processor & 1
            channel = index * geometry.out_passes.width + rank
            channels.append(channel if used and channel < geometry.out_channels else -1)
            rank += used
    return Positions(span, lowest % shared, tuple(channels))


def taps_of(layer: Layer, geometry: Geometry) -> Integers:
    """Return the weights as (out, in / groups, taps), as the hardware correlates them.

    Transposed convolutions run as ordinary ones over the stretched input: taps are flipped, the two channel
    axes swapped (section 2.4).
    """
    if layer.weight is None:
        raise ValueError(f"layer {layer.name} has no weights")
    weight = np.asarray(layer.weight, dtype=np.int64)
    if layer.op is LayerOp.CONV_TRANSPOSE2D:
        weight = weight[..., ::-1, ::-1]
        if not geometry.depthwise:
            weight = weight.swapaxes(0, 1)
    if geometry.flatten:
        return weight.reshape(geometry.out_channels, geometry.in_channels, -1)
    return weight.reshape(geometry.out_channels, -1, geometry.taps)


def kernel_image(
    layer: Layer, geometry: Geometry, output_processors: int, cnn: Cnn, *, binary: bool = False
) -> KernelImage:
    """Return the slots of a layer with weights; ``binary`` stores +1 as 0 and -1 as 1."""
    taps = taps_of(layer, geometry)
    if binary:
        taps = np.minimum(taps, 0)
    positions = positions_of(geometry, output_processors, cnn)
    if geometry.flatten:
        sequence, real = _flatten_sequence(taps, geometry, positions)
    elif geometry.depthwise:
        sequence, real = _depthwise_sequence(taps, geometry)
    else:
        sequence, real = _sequence(taps, geometry, positions, 8 // layer.weight_bits)
    stream = _pack(sequence, layer.weight_bits)
    marks = _pack(real[np.newaxis].astype(np.int64), layer.weight_bits)[0] > 0
    count, length = _count_and_length(geometry, positions, layer.weight_bits)
    return _slots(stream, marks, length, count)


def bypass_image(geometry: Geometry) -> KernelImage:
    """Return the image of a layer whose weights are all 1: no slots, but kernels to count."""
    none = np.zeros(0, dtype=np.int64)
    content = np.zeros((geometry.in_passes.width, 0, SLOT_BYTES), dtype=np.uint8)
    count = 1 if geometry.depthwise else geometry.out_channels
    return KernelImage(slots=none, content=content, length=0, count=count)


def fourfold_image(
    layer: Layer, geometry: Geometry, output_processors: int, cnn: Cnn, *, binary: bool = False
) -> KernelImage:
    """Return the slots of a layer that computes four outputs at a time (section 4.6).

    Output o comes from physical memory o mod 4, each of which holds every fourth kernel; slots count from the
    layer's first slot divided by 4. Raises SynergyError for kernels other than 3x3.
    """
    positions = positions_of(geometry, output_processors, cnn)
    if geometry.taps != SLOT_BYTES or len(positions.channels) % FOURFOLD or geometry.depthwise:
        raise fail(
            "fourfold",
            "four outputs at a time need 3x3 kernels and a multiple of four output positions",
            layer=layer.name,
            have=f"{geometry.taps} taps, {len(positions.channels)} positions",
        )
    taps = taps_of(layer, geometry)
    taps = np.minimum(taps, 0) if binary else taps
    parts = []
    for lane in range(FOURFOLD):
        every = replace(positions, channels=positions.channels[lane::FOURFOLD])
        sequence, _ = _sequence(taps, geometry, every, 8 // layer.weight_bits)
        stream = _pack(sequence, layer.weight_bits)
        parts.append(stream.reshape(stream.shape[0], -1, SLOT_BYTES)[:, :, ::-1])
    slots = np.arange(parts[0].shape[1])
    count, length = _count_and_length(geometry, positions, layer.weight_bits)
    memory = cnn.weight_slots // FOURFOLD
    return KernelImage(
        slots=np.concatenate([slots + lane * memory for lane in range(FOURFOLD)]),
        content=np.ascontiguousarray(np.concatenate(parts, axis=1)),
        length=length,
        count=count,
    )


def _sequence(
    taps: Integers, geometry: Geometry, positions: Positions, factor: int
) -> tuple[Integers, npt.NDArray[np.bool_]]:
    """Return (processors, kernels, taps) in the order of use, and which kernels are real (kernels, taps).

    Positions are filled up to a multiple of ``factor``, the number of kernels that share bytes.
    """
    filler = -len(positions.channels) % factor
    channels = np.array([*positions.channels, *([-1] * filler)])
    passes, width = geometry.in_passes.count, geometry.in_passes.width
    padded = np.zeros((geometry.out_channels + 1, passes * width, geometry.taps), dtype=np.int64)
    padded[:-1, : geometry.in_channels] = taps
    kernels = padded[channels].reshape(len(channels), passes, width, geometry.taps)
    sequence = kernels.transpose(2, 0, 1, 3).reshape(width, -1, geometry.taps)
    real = np.repeat(channels >= 0, passes)
    return sequence, np.repeat(real[:, np.newaxis], geometry.taps, axis=1)


def _depthwise_sequence(taps: Integers, geometry: Geometry) -> tuple[Integers, npt.NDArray[np.bool_]]:
    passes, width = geometry.in_passes.count, geometry.in_passes.width
    padded = np.zeros((passes * width, geometry.taps), dtype=np.int64)
    padded[: geometry.in_channels] = taps[:, 0]
    sequence = padded.reshape(passes, width, geometry.taps).swapaxes(0, 1)
    return sequence, np.ones((passes, geometry.taps), dtype=np.bool_)


def _flatten_sequence(
    taps: Integers, geometry: Geometry, positions: Positions
) -> tuple[Integers, npt.NDArray[np.bool_]]:
    """Return single weights in the order output, pixel, pass; outputs beyond the last one take no room."""
    passes, width = geometry.in_passes.count, geometry.in_passes.width
    channels = np.array(positions.channels)
    channels = channels[: np.flatnonzero(channels >= 0)[-1] + 1]
    padded = np.zeros((geometry.out_channels + 1, passes * width, taps.shape[2]), dtype=np.int64)
    padded[:-1, : geometry.in_channels] = taps
    kernels = padded[channels].reshape(len(channels), passes, width, -1)
    sequence = kernels.transpose(2, 0, 3, 1).reshape(width, -1, 1)
    real = np.repeat(channels >= 0, geometry.flatten_values)
    return sequence, real[:, np.newaxis]


def _pack(sequence: Integers, bits: int) -> Bytes:
    """Return the byte streams: ``8 / bits`` consecutive kernels share bytes, last tap first."""
    factor = 8 // bits
    processors, kernels, taps = sequence.shape
    padded = np.zeros((processors, -(-kernels // factor) * factor, taps), dtype=np.int64)
    padded[:, :kernels] = sequence & ((1 << bits) - 1)
    shifts = (np.arange(factor) * bits)[:, np.newaxis]
    merged = (padded.reshape(processors, -1, factor, taps) << shifts).sum(axis=2)
    stream: Bytes = merged[:, :, ::-1].reshape(processors, -1).astype(np.uint8)
    return stream


def _count_and_length(geometry: Geometry, positions: Positions, bits: int) -> tuple[int, int]:
    """Return the kernel count of the mask counters and the slots to reserve (sections 4.1, 4.3)."""
    passes, out_passes = geometry.in_passes.count, geometry.out_passes.count
    if geometry.depthwise:
        reserved = passes
        count = passes + positions.lead * passes
    else:
        unit = geometry.flatten_values if geometry.flatten else passes
        spare = 0
        if geometry.flatten:
            used = sum(channel >= 0 for channel in positions.channels)
            width = sum(1 for channel in positions.channels[: positions.span] if channel >= 0)
            spare = out_passes * width - used
        lead = positions.lead if out_passes == 1 else 0
        reserved = ((positions.span - lead) * out_passes - spare) * unit
        count = reserved + positions.lead * out_passes * unit
    factor = 8 // bits
    extra = reserved % factor * geometry.taps * (factor - 1)
    return count, -(-(reserved * geometry.taps * bits + extra) // (8 * SLOT_BYTES))


def _slots(stream: Bytes, marks: npt.NDArray[np.bool_], length: int, count: int) -> KernelImage:
    """Cut streams into slots; slots before the last real weight that hold only dummies are not written."""
    last = int(np.flatnonzero(marks)[-1]) // SLOT_BYTES
    total = max(length, -(-stream.shape[1] // SLOT_BYTES))
    padded = np.zeros((stream.shape[0], total * SLOT_BYTES), dtype=np.uint8)
    padded[:, : stream.shape[1]] = stream
    used: npt.NDArray[np.bool_] = np.zeros(total * SLOT_BYTES, dtype=np.bool_)
    used[: len(marks)] = marks
    written = np.logical_or.reduce(used.reshape(total, SLOT_BYTES), axis=1)
    slots = np.flatnonzero(written | (np.arange(total) > last))
    content = padded.reshape(stream.shape[0], total, SLOT_BYTES)[:, slots, ::-1]
    return KernelImage(slots, np.ascontiguousarray(content), length, count)
