"""One hardware layer: fetch from data memory, compute, and store."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from synergyc.emulate.accelerator import compute
from synergyc.emulate.accelerator.config import Kernel, LayerConfig, Operation, Pointer
from synergyc.emulate.accelerator.memory import SLOT_BYTES, Bytes, unpack
from synergyc.targets import Cnn

Map = npt.NDArray[np.int8] | npt.NDArray[np.int32]
Words = npt.NDArray[np.uint32]


class OutOfReach(Exception):  # noqa: N818 - turned into NotModelled by the caller, who knows the registers
    """A layer reads or writes where it cannot; ``register`` begins the name of the one that says so."""

    def __init__(self, register: str, reason: str) -> None:
        super().__init__(reason)
        self.register = register
        self.reason = reason


def input_words(config: LayerConfig) -> int:
    """Return the words of an instance from the first to the last that a layer reads."""
    source = config.input
    if config.kernel is not None and config.kernel.elements:
        return config.kernel.elements
    pixels = (source.rows - 1) * source.row_pixels + source.cols
    if source.bytewise:
        return -(-pixels // 4)
    return (pixels - 1) * source.pixel_words + source.passes * source.operands


def fetch(cnn: Cnn, config: LayerConfig, data: Bytes) -> npt.NDArray[np.int8]:
    """Return the input as (rows, cols, passes, operands, processors) from ``data`` (instance, word, lane)."""
    source, lanes = config.input, cnn.processors_per_instance
    instances = sorted({processor // lanes for processor in config.processors})
    words = input_words(config)
    if source.word + words > data.shape[1]:
        raise OutOfReach("RPTR", f"reads {words} words from word {source.word}, beyond the instance")
    if source.bytewise:
        shape, strides = (source.rows, source.cols, 1, 1), (source.row_pixels, 1, 1, 1)
        flat: Bytes | Words = data.reshape(data.shape[0], -1)[:, 4 * source.word :]
        picks = [instances.index(processor // lanes) for processor in config.processors]
    else:
        shape = (source.rows, source.cols, source.passes, source.operands)
        pitch = source.pixel_words * 4
        strides = (source.row_pixels * pitch, pitch, source.operands * 4, 4)
        flat = data.view("<u4")[:, source.word :, 0]
        picks = [instances.index(p // lanes) * lanes + p % lanes for p in config.processors]
    blocks = np.empty((*shape, len(instances)), flat.dtype)
    for i, instance in enumerate(instances):
        blocks[..., i] = np.lib.stride_tricks.as_strided(flat[instance], shape, strides, writeable=False)
    joined = blocks.view(np.int8)
    return joined if picks == list(range(joined.shape[-1])) else joined[..., picks]


def prepare(config: LayerConfig, fetched: npt.NDArray[np.int8]) -> npt.NDArray[np.int8]:
    """Return the input pooled and combined: (rows, cols, passes, processors)."""
    if config.eltwise is None:
        return compute.pool(fetched[:, :, :, 0], config.pool)
    if config.pool_first:
        return compute.combine(compute.pool(fetched, config.pool), config.eltwise)
    return compute.pool(compute.combine(fetched, config.eltwise), config.pool)


def kernels(cnn: Cnn, config: LayerConfig, kernel: Kernel, weights: Bytes) -> npt.NDArray[np.float32]:
    """Return the weights as (rows, cols, passes, processors, positions).

    Depthwise has one position; flatten has its elements in place of passes.
    """
    depth = kernel.elements or config.input.passes
    shape = (kernel.rows, kernel.cols, depth, len(config.processors), kernel.positions)
    if kernel.unit:
        return np.ones(shape, np.float32)
    parts = [_stream(config, kernel, span, weights) for span in weight_spans(cnn, config, kernel)]
    # (processors, positions / interleave, interleave, depth, taps)
    stacked = np.stack([part.reshape(part.shape[0], -1, depth, kernel.taps) for part in parts], axis=2)
    ordered = stacked.reshape(stacked.shape[0], -1, depth, kernel.taps)
    return ordered.transpose(3, 2, 0, 1).astype(np.float32, order="C").reshape(shape)


def weight_spans(cnn: Cnn, config: LayerConfig, kernel: Kernel) -> list[range]:
    """Return the bytes of a processor's weight stream that hold the kernels, for each physical memory."""
    groups = -(-(kernel.count // kernel.interleave) * kernel.bits // 8)
    step = (cnn.weight_slots // kernel.interleave) * SLOT_BYTES
    firsts = [kernel.first_byte + memory * step for memory in range(kernel.interleave)]
    spans = [range(first, first + groups * kernel.taps) for first in firsts]
    for processor in config.processors:
        if spans[-1].stop > cnn.slots(processor) * SLOT_BYTES:
            raise OutOfReach("MCNT", f"kernels end beyond the weight memory of processor {processor}")
    return spans


def _stream(config: LayerConfig, kernel: Kernel, span: range, weights: Bytes) -> npt.NDArray[np.int8]:
    """Return the kernels in one physical memory as (processors, count, taps)."""
    count = kernel.count // kernel.interleave
    packed = weights[list(config.processors), span.start : span.stop]
    groups = packed.reshape(len(config.processors), -1, kernel.taps)
    return unpack(np.ascontiguousarray(groups[:, :, ::-1]), kernel.bits, kernel.binary)[:, :count]


def weigh(
    config: LayerConfig, kernel: Kernel, prepared: npt.NDArray[np.int8], weights: npt.NDArray[np.float32]
) -> npt.NDArray[np.int32]:
    """Return the sums of products (rows, cols, outputs); outputs of depthwise are passes * processors."""
    rows, cols = prepared.shape[:2]
    channels = prepared.reshape(rows, cols, -1)
    if kernel.transposed:
        channels = compute.upsample(channels)
    padded = compute.pad(channels, kernel.pad_rows, kernel.pad_cols)
    taps = weights.reshape(kernel.rows, kernel.cols, -1, kernel.positions)
    if config.operation is Operation.DEPTHWISE:
        return compute.convolve_depthwise(padded, taps[..., 0])
    return compute.convolve(padded, taps)


def fetch_flat(cnn: Cnn, config: LayerConfig, kernel: Kernel, data: Bytes) -> npt.NDArray[np.int8]:
    """Return the values to flatten as (1, 1, elements, processors)."""
    source, lanes = config.input, cnn.processors_per_instance
    if source.word + kernel.elements > data.shape[1]:
        raise OutOfReach("RPTR", f"reads {kernel.elements} words from {source.word}, beyond the instance")
    words = data[:, source.word : source.word + kernel.elements].view(np.int8)
    columns = [words[processor // lanes, :, processor % lanes] for processor in config.processors]
    return np.stack(columns, axis=-1)[None, None]


def bias_of(cnn: Cnn, config: LayerConfig, bias: Bytes) -> npt.NDArray[np.int32] | int:
    """Return the bias of each output: of (positions,), or of (passes * processors,) for depthwise."""
    if not config.biases or config.kernel is None:
        return 0
    places = bias_places(cnn, config)
    outputs = config.kernel.positions
    if config.operation is Operation.DEPTHWISE:
        outputs = config.input.passes * len(config.processors)
    values = np.zeros(outputs, np.int32)
    if places:
        channels, quadrants, offsets = zip(*places, strict=True)
        values[list(channels)] = bias.view(np.int8)[list(quadrants), list(offsets)]
    return values


def bias_places(cnn: Cnn, config: LayerConfig) -> list[tuple[int, int, int]]:
    """Return (output, quadrant, byte of its bias memory) of every output that has a bias."""
    if not config.biases or config.kernel is None:
        return []
    if config.operation is Operation.DEPTHWISE:
        places = list(_depthwise_bias_places(cnn, config))
    else:
        bias = config.biases[0]
        places = [(o, bias.quadrant, bias.start + o) for o in range(config.kernel.positions)]
    last = max((byte for _, _, byte in places), default=0)
    if last >= cnn.bias_bytes:
        raise OutOfReach("POST", f"bias byte {last} is beyond the quadrant's {cnn.bias_bytes} bytes")
    return places


def _depthwise_bias_places(cnn: Cnn, config: LayerConfig) -> Iterator[tuple[int, int, int]]:
    starts = {place.quadrant: place.start for place in config.biases}
    firsts: dict[int, int] = {}
    for i, processor in enumerate(config.processors):
        quadrant, lane = divmod(processor, cnn.processors_per_quadrant)
        first = firsts.setdefault(quadrant, processor)
        if quadrant not in starts:
            continue
        for e in range(config.input.passes):
            if config.output.spread:
                byte = e * config.output.time_slots + processor - first
            else:  # 16 bytes for each pass, transposed 4x4
                byte = 16 * e + 4 * (lane % 4) + lane // 4
            yield e * len(config.processors) + i, quadrant, starts[quadrant] + byte


def places(cnn: Cnn, config: LayerConfig) -> list[tuple[int, int, int]]:
    """Return (instance, lane, word) of the first pixel of each output channel."""
    output, lanes = config.output, cnn.processors_per_instance
    if config.operation is Operation.CONVOLVE:
        pointer = output.pointers[0]
        positions = config.kernel.positions if config.kernel is not None else 0
        split = (divmod(o, output.width) for o in range(positions))
        return [_place(pointer, pos, pass_ * output.pass_words, lanes) for pass_, pos in split]
    pointers = {pointer.quadrant: pointer for pointer in output.pointers}
    ranks: dict[int, int] = {}
    found = []
    for e in range(config.input.passes):
        ranks.clear()
        for processor in config.processors:
            quadrant, lane = divmod(processor, cnn.processors_per_quadrant)
            rank = ranks.get(quadrant, 0)
            ranks[quadrant] = rank + 1
            pointer = pointers[quadrant]
            if output.spread:
                found.append(_place(pointer, rank, e * output.pass_words, lanes))
            else:
                word = pointer.word + e * output.pass_words
                found.append((processor // lanes, lane % lanes, word))
    return found


def _place(pointer: Pointer, position: int, offset: int, lanes: int) -> tuple[int, int, int]:
    return pointer.instance + position // lanes, position % lanes, pointer.word + offset


def reach(cnn: Cnn, config: LayerConfig) -> int:
    """Return the number of words an instance needs for the output."""
    pixels = config.output_rows * config.output_cols
    words = max(word for _, _, word in places(cnn, config))
    return words + (pixels - 1) * config.output.pixel_words + (4 if config.output.wide else 1)


def store(cnn: Cnn, config: LayerConfig, result: Map, data: Bytes) -> None:
    """Write ``result`` (rows, cols, channels) to ``data`` (instance, word, lane)."""
    pixels = result.shape[0] * result.shape[1]
    channels = result.reshape(pixels, -1)
    step, wide = config.output.pixel_words, config.output.wide
    limit = data.shape[1]
    words = data.view("<u4")[:, :, 0]
    full = None if wide or channels.shape[1] % 4 else channels.view("<u4")
    for c, count, (instance, lane, word) in _neighbours(places(cnn, config)):
        first = word + lane if wide else word
        end = first + (pixels - 1) * step + 1
        last = end + count - 1 if wide else end
        if instance >= cnn.instances or last > limit:
            raise OutOfReach("WPTR", f"writes to word {last - 1} of instance {instance}, beyond the memory")
        if wide:
            for k in range(count):
                words[instance, first + k : end + k : step] = channels[:, c + k].view(np.uint32)
        elif full is not None and count == 4 and c % 4 == 0:
            words[instance, first:end:step] = full[:, c // 4]
        else:
            data[instance, first:end:step, lane : lane + count] = channels[:, c : c + count].view(np.uint8)


def _neighbours(found: Sequence[tuple[int, int, int]]) -> Iterator[tuple[int, int, tuple[int, int, int]]]:
    """Yield (first channel, channels, place of the first) of channels that lie in lanes side by side."""
    first = 0
    for c in range(1, len(found) + 1):
        instance, lane, word = found[c - 1]
        if c == len(found) or found[c] != (instance, lane + 1, word):
            yield first, c - first, found[first]
            first = c
