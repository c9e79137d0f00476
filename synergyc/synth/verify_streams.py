"""Check of layers that stream: chain, FIFOs, circular buffers (sections 1 and 5.3).

All of them run at the same time, so their buffers and the output of the last one must share no byte.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from synergyc.diagnostics import Diagnostic
from synergyc.ir.network import LayerOp
from synergyc.synth.placed import PlacedLayer, PlacedNetwork
from synergyc.targets import Cnn

_CHW_WORDS = 12
"""Buffer of CHW input on the first generation (section 5.3, FMAX)."""
_LAG_WORDS = 2
"""Words that the first generation's later layers lag more than they must (section 5.3)."""

Region = tuple[int, int, int]
"""Memory instance, first byte, byte behind the last."""


def streaming_layers(placed: PlacedNetwork) -> tuple[PlacedLayer, ...]:
    """Return the leading layers that stream from FIFOs; none where the input lies in memory."""
    if not placed.fifo:
        return ()
    count = 0
    while count < len(placed.layers) and placed.layers[count].streaming:
        count += 1
    return placed.layers[:count]


def stream_problems(placed: PlacedNetwork, cnn: Cnn) -> Iterator[Diagnostic]:
    """Yield the rules that the streaming layers of ``placed`` break."""
    layers = streaming_layers(placed)
    yield from _order_problems(placed, layers, cnn)
    yield from _fifo_problems(placed, layers[0], cnn)
    yield from _chain_problems(layers)
    regions: list[tuple[str, Region]] = []
    for index, layer in enumerate(layers):
        words = ring_words(layers, index, cnn)
        end = layer.in_offset_bytes + 4 * words
        if end > cnn.instance_bytes or words > cnn.limits.streaming.buffer_words:
            yield _problem(
                layer, "stream-memory", "the circular buffer does not fit", f"{end} bytes", cnn.instance_bytes
            )
        regions += _regions(layer.layer.name, layer.processors, layer.in_offset_bytes, end, cnn)
    last = layers[-1]
    end = last.out_offset_bytes + 4 * _output_words(last, cnn)
    regions += _regions("the output", last.output_processors, last.out_offset_bytes, end, cnn)
    for position, (name, one) in enumerate(regions):
        for other, two in regions[:position]:
            if one[0] == two[0] and one[1] < two[2] and two[1] < one[2]:
                yield Diagnostic(
                    "stream-overlap", f"circular buffers share memory: {other} and {name}", layer=name
                )


def _order_problems(placed: PlacedNetwork, layers: Sequence[PlacedLayer], cnn: Cnn) -> Iterator[Diagnostic]:
    """Streaming layers come first and are few; layer 0 is the first; some chips must pad the last one."""
    most = cnn.limits.streaming.layers
    if len(layers) > most:
        yield _problem(layers[-1], "stream-layers", "too many streaming layers", f"{len(layers)}", most)
    late = [layer for layer in placed.layers[len(layers) :] if layer.streaming]
    if late or placed.first_layer:
        yield _problem(layers[0], "stream-layers", "streaming layers must be the first, from layer 0 on")
    if not any(layers[-1].form.layer.padding) and "unpadded_streaming" not in cnn.features:
        yield _problem(layers[-1], "stream-padding", "the last streaming layer must be padded on this chip")
    if any(not layer.stream_kernel for layer in placed.layers[: len(layers) + 1]):
        yield _problem(layers[0], "stream-kernel", "1x1 kernels of streaming layers must run as 3x3")


def _fifo_problems(placed: PlacedNetwork, first: PlacedLayer, cnn: Cnn) -> Iterator[Diagnostic]:
    """FIFO i feeds the first memory instance of quadrant i; one processor of it if the data are CHW."""
    each = 1 if first.big else cnn.processors_per_instance
    fed = sum(
        ((1 << each) - 1) << quadrant * cnn.processors_per_quadrant for quadrant in range(cnn.quadrants)
    )
    if first.processors & ~fed:
        yield _problem(first, "stream-fifo", f"no FIFO reaches all processors of {first.processors:#018x}")
    given = placed.inputs[0]
    same = (given.processors, given.offset_bytes, given.big) == (
        first.processors,
        first.in_offset_bytes,
        first.big,
    )
    if len(placed.inputs) > 1 or not same:
        yield _problem(first, "stream-fifo", "the only input must be read where the FIFOs leave it")


def _chain_problems(layers: Sequence[PlacedLayer]) -> Iterator[Diagnostic]:
    """Each streaming layer is a plain convolution that reads what the one before writes, at its place."""
    for index, layer in enumerate(layers):
        inner = layer.layer
        if inner.op is not LayerOp.CONV2D or inner.eltwise is not None or inner.flatten:
            yield _problem(layer, "stream-operator", f"{inner.op} cannot stream")
        if index == 0:
            continue
        before = layers[index - 1]
        same = (
            inner.inputs == (before.layer.output.name,)
            and layer.processors == before.output_processors
            and layer.in_offset_bytes == before.out_offset_bytes
            and not layer.read_gap
            and not before.write_gap
        )
        if not same:
            yield _problem(layer, "stream-chain", f"must read what {before.layer.name} writes, in place")


def ring_words(layers: Sequence[PlacedLayer], index: int, cnn: Cnn) -> int:
    """Return the words of the circular buffer that a streaming layer reads (register FMAX, section 5.3)."""
    rule = _first_generation if cnn.generation == "ai85" else _second_generation
    return rule(layers, index, cnn)


def _first_generation(layers: Sequence[PlacedLayer], index: int, cnn: Cnn) -> int:
    layer = layers[index]
    _, _, columns = _shape(layer)
    (down, across), stride, _ = _pool(layer)
    if index == 0:
        if layer.big:
            return _CHW_WORDS
        start = ((down - 1) * columns + across) * down
    else:
        before = layers[index - 1].form.layer
        width = (*before.pooled_shape[1:], 1)[1] + 2 * before.padding[-1]
        start = width * (before.kernel[0] - 1 + down - 1) + before.kernel[-1] - 1 + across + _LAG_WORDS
    words = start + (down - 1) * columns + max(stride, across)
    return _whole(words, _passes(layer, cnn))


def _second_generation(layers: Sequence[PlacedLayer], index: int, cnn: Cnn) -> int:
    layer = layers[index]
    _, _, columns = _shape(layer)
    (down, across), stride, step = _pool(layer)
    pad = layer.form.layer.padding[-1]
    rows, step_columns = max(down * step[0], stride), max(across * step[1], stride)
    padded = columns + 2 * pad
    wide = rows * padded + pad + 2 * step_columns
    if index == 0:
        start = step_columns if stride == 1 and down == 1 else wide
        words = start + step_columns + (stride - 1) * padded
        return words * stride * 4 if layer.big else words
    whole = columns // step_columns
    whole -= whole * stride + across > columns
    rest = 0 if step_columns == 1 else columns - whole * step_columns
    start = (pad or stride) * padded + wide + (rest * stride if index == len(layers) - 1 else 0)
    passes = _passes(layer, cnn)
    return _whole(start + (passes - 1) * (rows * columns + pad + step_columns) + step_columns, passes)


def _shape(layer: PlacedLayer) -> tuple[int, int, int]:
    channels, rows, columns = (*layer.layer.in_shape, 1, 1)[:3]
    return channels, rows, columns


def _pool(layer: PlacedLayer) -> tuple[tuple[int, int], int, tuple[int, int]]:
    """Return window, stride and dilation."""
    pool = layer.layer.pool
    return ((1, 1), 1, (1, 1)) if pool is None else (pool.window, pool.stride, pool.dilation)


def _passes(layer: PlacedLayer, cnn: Cnn) -> int:
    return -(-layer.layer.in_shape[0] // cnn.processors)


def _whole(words: int, passes: int) -> int:
    return -(-words // passes) * passes


def _output_words(layer: PlacedLayer, cnn: Cnn) -> int:
    output = layer.layer.output
    passes = -(-output.shape[0] // cnn.processors)
    return math.prod(output.shape[1:]) * passes * (layer.write_gap + 1) * output.width_bits // 8


def _regions(name: str, processors: int, first: int, end: int, cnn: Cnn) -> list[tuple[str, Region]]:
    lanes = cnn.processors_per_instance
    instances = {processor // lanes for processor in range(cnn.processors) if processors >> processor & 1}
    return [(name, (instance, first, end)) for instance in sorted(instances)]


def _problem(
    layer: PlacedLayer, rule: str, message: str, need: str | None = None, have: int | None = None
) -> Diagnostic:
    limit = None if have is None else str(have)
    return Diagnostic(rule, message, layer=layer.layer.name, need=need, have=limit)
