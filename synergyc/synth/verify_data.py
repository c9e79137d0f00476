"""Check of data memory: labels are moved instead of values (sections 3.1 to 3.4).

Every byte that a layer reads must still hold the element of the tensor that the layer means to read, and no
layer may write where it reads.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from synergyc.diagnostics import Diagnostic
from synergyc.synth.placed import PlacedLayer, PlacedNetwork, PlacedTensor
from synergyc.synth.verify_order import Numbers, Places, overwrites_input
from synergyc.synth.verify_streams import stream_problems, streaming_layers
from synergyc.targets import Cnn

_EMPTY = -1
_TENSOR_STEP = 1 << 32
"""A label is the number of the tensor times this, plus the index of the element."""

Labels = Numbers
"""What each byte holds."""


def data_problems(placed: PlacedNetwork, cnn: Cnn) -> Iterator[Diagnostic]:
    """Yield reads of bytes that are not there any more, overlaps, and accesses beyond an instance."""
    memory = np.full(cnn.instances * cnn.instance_bytes, _EMPTY, dtype=np.int64)
    numbers: dict[str, int] = {}
    shapes: dict[str, tuple[int, ...]] = {}
    streams = streaming_layers(placed)
    if streams:
        problems = list(stream_problems(placed, cnn))
        yield from problems
        if problems:
            return
    for tensor in placed.inputs if not streams else ():
        places = _tensor_bytes(tensor, cnn)
        shapes[tensor.tensor.name] = tensor.tensor.shape
        if (problem := _outside(tensor.tensor.name, places, cnn)) is not None:
            yield problem
            return
        if (memory[places.bytes] != _EMPTY).any():
            yield Diagnostic("data-overlap", "two inputs overlap in data memory", layer=tensor.tensor.name)
        _mark(memory, places, numbers, tensor.tensor.name)
    for layer in streams[-1:]:  # what is left of a stream is its last output
        shapes[layer.layer.output.name] = layer.layer.output.shape
        places = _written_bytes(layer, cnn)
        if (problem := _outside(layer.layer.name, places, cnn)) is not None:
            yield problem
            return
        _mark(memory, places, numbers, layer.layer.output.name)
    for layer in placed.layers[len(streams) :]:
        problems = list(_layer_problems(layer, memory, numbers, shapes, cnn))
        yield from problems
        if problems:
            return  # labels are wrong from here on
    for tensor in placed.outputs:
        places = _tensor_bytes(tensor, cnn)
        if _lost(memory, places, _labels(numbers, tensor.tensor.name, places.bytes.shape)):
            yield Diagnostic("data-lost", "an output is not where it is said to be", layer=tensor.tensor.name)


def _layer_problems(
    layer: PlacedLayer,
    memory: Labels,
    numbers: dict[str, int],
    shapes: dict[str, tuple[int, ...]],
    cnn: Cnn,
) -> Iterator[Diagnostic]:
    """Check the reads of one layer, then do its writes."""
    name = layer.layer.name
    form = layer.form.layer
    reads = _read_bytes(layer, cnn)
    writes = _written_bytes(layer, cnn)
    around = reads
    if form.in_shape[1:] != layer.layer.in_shape[1:]:
        around = _read_bytes(layer, cnn, math.prod(form.in_shape[1:]))
    for side, places in (("input", around), ("output", writes)):
        if (problem := _outside(f"{name} ({side})", places, cnn)) is not None:
            yield problem
            return
    expected = _expected(layer, numbers, shapes)
    if expected.size != reads.bytes.size:
        yield Diagnostic("data-shape", "the operands do not have the shape that the layer reads", layer=name)
        return
    if _lost(memory, reads, expected.reshape(reads.bytes.shape)):
        yield Diagnostic(
            "data-lost", f"not all of {', '.join(layer.layer.inputs)} is where the layer reads", layer=name
        )
    stray = writes if form.output.shape == layer.layer.output.shape else _stray_bytes(layer, cnn)
    if (problem := _outside(f"{name} (stray output)", stray, cnn)) is not None:
        yield problem
        return
    if overwrites_input(layer, around, writes, stray, memory.size):
        yield Diagnostic("data-overlap", "the output overwrites input that is still to be read", layer=name)
    if stray is not writes:
        memory[stray.bytes] = _EMPTY
    shapes[layer.layer.output.name] = layer.layer.output.shape
    _mark(memory, writes, numbers, layer.layer.output.name)


def _expected(layer: PlacedLayer, numbers: dict[str, int], shapes: dict[str, tuple[int, ...]]) -> Labels:
    """Return the labels that the layer means to read, (operands, channels, pixels) flattened."""
    parts = []
    for name in layer.layer.inputs:
        channels = shapes[name][0]
        labels = np.arange(math.prod(shapes[name]), dtype=np.int64) + numbers[name] * _TENSOR_STEP
        parts.append(labels.reshape(channels, -1))
    return np.concatenate([part.reshape(-1) for part in parts])


def _read_bytes(layer: PlacedLayer, cnn: Cnn, pixels: int | None = None) -> Places:
    """Return the bytes that a layer reads, in the order operand, channel, pixel.

    ``pixels``: of a channel, where the hardware reads on behind the input (section 5.7).
    """
    inner = layer.layer
    channels = inner.in_shape[0]
    pixels = math.prod(inner.in_shape[1:]) if pixels is None else pixels
    passes = -(-channels // cnn.processors)
    step = passes * layer.operands * (layer.read_gap + 1)
    parts = []
    for operand in range(layer.operands):
        parts.append(
            _bytes(
                layer.processors,
                layer.in_offset_bytes + 4 * operand,
                channels,
                pixels,
                cnn,
                pixel_words=step,
                pass_words=layer.operands,
                big=layer.big,
            )
        )
    return parts[0] if len(parts) == 1 else _joined(parts)


def _written_bytes(layer: PlacedLayer, cnn: Cnn) -> Places:
    output = layer.layer.output
    channels, pixels = output.shape[0], math.prod(output.shape[1:])
    passes = -(-channels // cnn.processors)
    words = 4 if output.width_bits == 32 else 1
    return _bytes(
        layer.output_processors,
        layer.out_offset_bytes,
        channels,
        pixels,
        cnn,
        pixel_words=passes * (layer.write_gap + 1) * words,
        pass_words=(layer.write_gap + 1) * words,
        value_bytes=output.width_bits // 8,
    )


def _stray_bytes(layer: PlacedLayer, cnn: Cnn) -> Places:
    """Return all bytes that the hardware writes where they are not just the output (section 5.7)."""
    output = layer.form.layer.output
    passes = -(-output.shape[0] // cnn.processors)
    return _bytes(
        layer.output_processors,
        layer.out_offset_bytes - 4 * layer.form.skipped_pixels * passes * (layer.write_gap + 1),
        output.shape[0],
        math.prod(output.shape[1:]),
        cnn,
        pixel_words=passes * (layer.write_gap + 1),
        pass_words=layer.write_gap + 1,
    )


def _tensor_bytes(placed: PlacedTensor, cnn: Cnn) -> Places:
    shape = placed.tensor.shape
    return _bytes(
        placed.processors,
        placed.offset_bytes,
        shape[0],
        math.prod(shape[1:]),
        cnn,
        pixel_words=placed.pixel_words,
        pass_words=placed.pass_words,
        big=placed.big,
        value_bytes=placed.tensor.width_bits // 8,
    )


def _bytes(
    processors: int,
    offset_bytes: int,
    channels: int,
    pixels: int,
    cnn: Cnn,
    *,
    pixel_words: int,
    pass_words: int,
    big: bool = False,
    value_bytes: int = 1,
) -> Places:
    """Return the bytes of a tensor, (channels, pixels, bytes of a value).

    Each is the sum of what its channel, its pixel and its place in the value add.
    """
    order = [processor for processor in range(cnn.processors) if processors >> processor & 1]
    channel = np.arange(channels)
    processor = np.array(order)[channel % len(order)]
    lane = processor % cnn.processors_per_instance
    word = channel // len(order) * pass_words
    step = 4 * pixel_words
    if big:
        of_channel, step = np.full(channels, offset_bytes), 1
    elif value_bytes == 1:
        of_channel = offset_bytes + 4 * word + lane
    else:
        of_channel = offset_bytes + 4 * (word + lane)
    instance = processor // cnn.processors_per_instance
    first = (instance * cnn.instance_bytes + of_channel)[:, np.newaxis, np.newaxis]
    behind = (step * np.arange(pixels)[:, np.newaxis] + np.arange(value_bytes))[np.newaxis]
    last = step * (pixels - 1) + value_bytes - 1
    lowest, highest = int(of_channel.min()), int(of_channel.max()) + last
    return Places(first + behind, lowest, highest, frozenset(instance.tolist()))


def _joined(parts: list[Places]) -> Places:
    """Return the bytes of all operands, one behind the other."""
    return Places(
        np.concatenate([part.bytes for part in parts]),
        min(part.lowest for part in parts),
        max(part.highest for part in parts),
        frozenset().union(*(part.instances for part in parts)),
    )


def _outside(name: str, places: Places, cnn: Cnn) -> Diagnostic | None:
    if places.lowest >= 0 and places.highest < cnn.instance_bytes:
        return None
    return Diagnostic(
        "data-memory",
        "the tensor does not fit a memory instance at its offset",
        layer=name,
        need=f"{places.highest + 1} bytes",
        have=f"{cnn.instance_bytes} bytes",
    )


def _labels(numbers: dict[str, int], name: str, shape: tuple[int, ...]) -> Labels:
    values = shape[0] * shape[1]
    labels = np.arange(values, dtype=np.int64).reshape(shape[0], shape[1], 1)
    return np.broadcast_to(labels + numbers[name] * _TENSOR_STEP, shape)


def _lost(memory: Labels, places: Places, labels: Labels) -> bool:
    return bool((memory[places.bytes] != labels).any())


def _mark(memory: Labels, places: Places, numbers: dict[str, int], name: str) -> None:
    numbers[name] = len(numbers)
    memory[places.bytes] = _labels(numbers, name, places.bytes.shape)
