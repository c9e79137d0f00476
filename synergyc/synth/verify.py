"""Check of a placed network against the hardware's rules, independent of how it was placed.

Each rule is a function whose docstring states it; the rules are those of sections 1 and 5.9.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from synergyc.diagnostics import Diagnostic
from synergyc.ir.network import Layer, LayerOp
from synergyc.ir.types import Activation
from synergyc.synth.placed import PlacedLayer, PlacedNetwork
from synergyc.synth.verify_data import data_problems
from synergyc.synth.verify_memories import bias_problems, weight_problems
from synergyc.targets import Chip, Cnn

_MAX_SHIFT = 15
_WRITE_STEP_BITS = {"ai85": 4, "ai87": 8}
"""Width of the write pointer increment in LCTL2 (section 5.9)."""

Rule = Callable[[PlacedLayer, Cnn], Iterator[Diagnostic]]


def verify(placed: PlacedNetwork, chip: Chip) -> tuple[Diagnostic, ...]:
    """Return everything that is wrong with ``placed``; nothing if it may be generated and run."""
    cnn = chip.cnn
    found = check_limits(placed, chip)
    if found:
        return found  # data cannot be followed through maps that are wrong
    return (*data_problems(placed, cnn), *weight_problems(placed, cnn), *bias_problems(placed, cnn))


def check_limits(placed: PlacedNetwork, chip: Chip) -> tuple[Diagnostic, ...]:
    """Return which layers ask for more than the chip has; memories are not looked at."""
    found = list(_network_rules(placed, chip.cnn))
    for layer in placed:
        for rule in (*_OPERATOR_RULES, *_PLACE_RULES):
            found += rule(layer, chip.cnn)
    return tuple(found)


def check_operators(layers: Sequence[Layer], chip: Chip, *, first_layer: int = 0) -> tuple[Diagnostic, ...]:
    """Return which of ``layers`` the chip cannot run wherever they are placed."""
    found = list(_count_rule(first_layer + len(layers), chip.cnn))
    for layer in layers:
        anywhere = PlacedLayer(layer, 0, 1, 1, 0, 0)
        for rule in _OPERATOR_RULES:
            found += rule(anywhere, chip.cnn)
    return tuple(found)


def _count_rule(count: int, cnn: Cnn) -> Iterator[Diagnostic]:
    if count > cnn.limits.layers:
        yield Diagnostic(
            "layer-count",
            "too many layers for the accelerator",
            need=f"{count} layers",
            have=f"{cnn.limits.layers}",
            hint="cut the network into more segments",
        )


def _network_rules(placed: PlacedNetwork, cnn: Cnn) -> Iterator[Diagnostic]:
    """Layers are numbered in sequence below the limit; the quadrants in use are listed, 0 among them."""
    numbers = [
        number
        for layer in placed
        for number in (layer.hardware_layer - 1, layer.hardware_layer)[not layer.reset_before :]
    ]
    if numbers != list(range(numbers[0], numbers[0] + len(numbers))):
        yield Diagnostic("layer-order", f"hardware layers must be in sequence, not {numbers}")
    yield from _count_rule(numbers[-1] + 1, cnn)
    if numbers[0] and "start_layer" not in cnn.features:
        yield Diagnostic("start-layer", f"execution must start at layer 0 on this chip, not {numbers[0]}")
    union = 0
    for bits in (*(item.processors for item in placed), *(item.processors for item in placed.outputs)):
        union |= bits
    size = cnn.processors_per_quadrant
    used = tuple(q for q in range(cnn.quadrants) if union >> q * size & ((1 << size) - 1))
    if used != placed.quadrants or 0 not in used:
        yield Diagnostic(
            "quadrants", f"quadrants in use must be {used} and contain 0, not {placed.quadrants}"
        )


def _processors(layer: PlacedLayer, cnn: Cnn) -> Iterator[Diagnostic]:
    """As many bits are set in the maps as one pass has channels."""
    for bits, channels, side in (
        (layer.processors, layer.layer.in_shape[0], "input"),
        (layer.output_processors, layer.layer.output.shape[0], "output"),
    ):
        need = _width(channels, cnn)
        if bits.bit_count() != need or bits >> cnn.processors:
            yield _problem(
                layer,
                "processor-map",
                f"the {side} processor map {bits:#018x} does not hold {channels} channels",
                need=f"{need} processors",
                have=f"{bits.bit_count()}",
            )


def _alignment(layer: PlacedLayer, cnn: Cnn) -> Iterator[Diagnostic]:
    """Offsets are whole words; multi-pass and depthwise outputs start at the first lane of an instance."""
    for offset in (layer.in_offset_bytes, layer.out_offset_bytes):
        if offset % 4 or offset < 0:
            yield _problem(layer, "offset", f"offsets must be multiples of 4 from 0 on, not {offset}")
    if layer.weight_slot % 4 or layer.weight_slot < 0:
        yield _problem(
            layer, "weight-slot", f"weights must start at a multiple of 4, not {layer.weight_slot}"
        )
    shared = cnn.processors_per_instance
    lane = ((layer.output_processors & -layer.output_processors).bit_length() - 1) % shared
    aligned = layer.layer.output.shape[0] > cnn.processors or layer.layer.groups > 1
    if aligned and lane:
        yield _problem(
            layer, "output-alignment", f"the first output processor must be a multiple of {shared}"
        )


def _chw(layer: PlacedLayer, cnn: Cnn) -> Iterator[Diagnostic]:
    """CHW data: first layer only, one pass, one channel in each memory instance."""
    if not layer.big:
        return
    shared = cnn.processors_per_instance
    mask = (1 << shared) - 1
    crowded = any(
        (layer.processors >> first & mask).bit_count() > 1 for first in range(0, cnn.processors, shared)
    )
    if crowded or layer.layer.in_shape[0] > cnn.instances:
        yield _problem(layer, "chw-map", "CHW input takes one memory instance for each channel")
    if layer.passthrough or len(layer.layer.inputs) > 1:
        yield _problem(layer, "chw-operator", "CHW input must be read by a convolution of one tensor")


def _passthrough(layer: PlacedLayer, cnn: Cnn) -> Iterator[Diagnostic]:
    """Layers without weights: in each quadrant the output map is the input map, packed; no activation."""
    if not layer.passthrough:
        return
    size = cnn.processors_per_quadrant
    for quadrant in range(cnn.quadrants):
        read = layer.processors >> quadrant * size & ((1 << size) - 1)
        written = layer.output_processors >> quadrant * size & ((1 << size) - 1)
        packed = written // (written & -written) if written else 0
        if packed != (1 << read.bit_count()) - 1:
            yield _problem(
                layer,
                "passthrough-map",
                f"output processors {layer.output_processors:#018x} must be {layer.processors:#018x}"
                ", packed in each quadrant",
            )
            return
    if layer.layer.activation is not Activation.NONE or layer.layer.wide:
        yield _problem(layer, "passthrough-output", "layers without weights have 8-bit output, no activation")


def _sizes(layer: PlacedLayer, cnn: Cnn) -> Iterator[Diagnostic]:
    """Rows and columns stay below what the counters hold; those of the first generation count padding too."""
    pads = (*layer.layer.padding, 0, 0) if cnn.generation == "ai85" else (0, 0, 0, 0)
    for size, pad in zip((*layer.layer.in_shape[1:], *layer.layer.output.shape[1:]), pads, strict=False):
        if size + 2 * pad > cnn.limits.rows + 1:
            yield _problem(
                layer, "rows", "too many rows or columns", need=f"{size + 2 * pad}", have=f"{cnn.limits.rows}"
            )


def _channels(layer: PlacedLayer, cnn: Cnn) -> Iterator[Diagnostic]:
    """Channels of input (before flattening) and output stay below the limit."""
    for channels, side in ((layer.layer.in_shape[0], "input"), (layer.layer.output.shape[0], "output")):
        if channels > cnn.limits.channels:
            yield _problem(
                layer,
                "channels",
                f"too many {side} channels",
                need=f"{channels}",
                have=f"{cnn.limits.channels}",
            )


def _pooling(layer: PlacedLayer, cnn: Cnn) -> Iterator[Diagnostic]:
    """Windows and strides up to 16; dilated windows and many channels without weights on some chips only."""
    pool = layer.layer.pool
    if pool is None:
        return
    limits = cnn.limits
    if max(pool.window) > limits.pool_window or not 1 <= pool.stride <= limits.pool_stride:
        yield _problem(
            layer,
            "pool-size",
            f"{pool} is too large",
            need=str(pool),
            have=f"window and stride {limits.pool_window}",
        )
    reach = max((size - 1) * step for size, step in zip(pool.window, pool.dilation, strict=True))
    if pool.dilation != (1, 1) and ("pool_dilation" not in cnn.features or reach >= limits.pool_window):
        yield _problem(layer, "pool-dilation", f"{pool} cannot be done on this chip")
    single = all(size == 1 for size in layer.layer.pooled_shape[1:])
    many = layer.layer.in_shape[0] > cnn.processors
    if layer.passthrough and many and max(pool.window) > 1 and not single and cnn.generation == "ai85":
        yield _problem(
            layer,
            "pool-passes",
            "pooling of more than one pass without a convolution must give a single pixel on this chip",
            need=f"{layer.layer.in_shape[0]} channels",
            have=f"{cnn.processors}",
        )


def _operator(layer: PlacedLayer, cnn: Cnn) -> Iterator[Diagnostic]:
    """Kernel sizes, padding below the kernel size, groups, weight bits and shifts that the chip has."""
    inner, limits = layer.layer, cnn.limits
    kernels = {
        LayerOp.CONV2D: limits.conv2d_kernels,
        LayerOp.CONV1D: tuple(range(1, limits.conv1d_max_kernel + 1)),
        LayerOp.CONV_TRANSPOSE2D: (3,),
        LayerOp.LINEAR: (1,),
        LayerOp.PASSTHROUGH: (1,),
    }[inner.op]
    if any(size not in kernels for size in inner.kernel) or len(set(inner.kernel)) > 1:
        yield _problem(layer, "kernel-size", f"kernel must be {kernels}, not {inner.kernel}")
    if any(pad >= size or pad > 2 for pad, size in zip(inner.padding, inner.kernel, strict=False)):
        yield _problem(
            layer, "padding", f"padding {inner.padding} must be below {inner.kernel} and at most 2"
        )
    if any(step > 1 for step in inner.dilation) and inner.op is not LayerOp.CONV1D:
        yield _problem(layer, "dilation", f"dilation must be 1, not {inner.dilation}")
    padded = inner.op is LayerOp.CONV1D and any(inner.padding)
    if padded and inner.in_shape[0] > cnn.processors and cnn.generation == "ai87":
        yield _problem(layer, "padded-conv1d", "conv1d of more than one pass cannot be padded on this chip")
    if inner.groups > 1 and ("depthwise" not in cnn.features or inner.groups != inner.in_shape[0]):
        yield _problem(layer, "groups", f"groups must be 1, not {inner.groups}, on this chip")
    if layer.passthrough:
        return
    if inner.weight_bits not in limits.weight_bits:
        yield _problem(
            layer, "weight-bits", f"weights must have {limits.weight_bits} bits, not {inner.weight_bits}"
        )
    if abs(inner.hardware_shift) > _MAX_SHIFT:
        yield _problem(
            layer,
            "output-shift",
            "output shift is out of range",
            need=f"{inner.hardware_shift}",
            have="-15..15",
        )
    if inner.wide and inner.activation is not Activation.NONE:
        yield _problem(layer, "wide-activation", "32-bit output has no activation")


def _flatten(layer: PlacedLayer, cnn: Cnn) -> Iterator[Diagnostic]:
    """Flattening: a bounded number of pixels and values, no pooling, linear layers only."""
    inner = layer.layer
    if not inner.flatten:
        return
    pixels = 1
    for size in inner.in_shape[1:]:
        pixels *= size
    if pixels > cnn.limits.flatten_pixels:
        yield _problem(
            layer,
            "flatten-pixels",
            "too many pixels to flatten",
            need=f"{pixels}",
            have=f"{cnn.limits.flatten_pixels}",
        )
    values = pixels * inner.in_shape[0]
    if values > cnn.limits.flatten_values:
        yield _problem(
            layer,
            "flatten-values",
            "too many values to flatten",
            need=f"{values}",
            have=f"{cnn.limits.flatten_values}",
        )
    if inner.pool is not None or inner.op is not LayerOp.LINEAR:
        yield _problem(layer, "flatten-operator", "only a linear layer without pooling can flatten")


def _eltwise(layer: PlacedLayer, cnn: Cnn) -> Iterator[Diagnostic]:
    """2 to 16 operands of equal shape; restrictions with several passes, pooling or bias, by chip."""
    inner = layer.layer
    if inner.eltwise is None:
        return
    operands, passes = layer.operands, -(-inner.in_shape[0] // cnn.processors)
    if not 2 <= operands <= cnn.limits.eltwise_operands:
        yield _problem(
            layer, "eltwise-operands", "operands", need=f"{operands}", have=f"{cnn.limits.eltwise_operands}"
        )
    if inner.op is LayerOp.CONV1D:
        yield _problem(layer, "eltwise-conv1d", "element-wise operands cannot be combined with conv1d")
    limited = cnn.generation == "ai85" and passes > 1 and (operands, passes) != (2, 2)
    if limited and (not layer.passthrough or inner.pool is not None):
        yield _problem(
            layer, "eltwise-passes", "more than two passes or operands: no pooling, no convolution"
        )
    if cnn.generation == "ai87" and not layer.passthrough and inner.bias is not None and inner.bias.any():
        yield _problem(layer, "eltwise-bias", "element-wise operands, convolution and bias need two layers")
    if not inner.pool_first and operands > 2:
        yield _problem(layer, "eltwise-pool-last", "pooling after the combination allows two operands")


def _gaps(layer: PlacedLayer, cnn: Cnn) -> Iterator[Diagnostic]:
    """Skipped words: reading on some chips and in one pass only; writing up to the field's width."""
    if layer.read_gap and ("read_gap" not in cnn.features or layer.layer.in_shape[0] > cnn.processors):
        yield _problem(layer, "read-gap", f"input words cannot be {layer.read_gap} apart here")
    passes = 1 if layer.passthrough else -(-layer.layer.output.shape[0] // cnn.processors)
    step = passes * (layer.write_gap + 1)
    if step > 1 << _WRITE_STEP_BITS[cnn.generation]:
        yield _problem(
            layer,
            "write-gap",
            "output words are too far apart",
            need=f"{step} words",
            have=f"{1 << _WRITE_STEP_BITS[cnn.generation]}",
        )


_OPERATOR_RULES: tuple[Rule, ...] = (_channels, _sizes, _pooling, _operator, _flatten, _eltwise)
_PLACE_RULES: tuple[Rule, ...] = (_processors, _alignment, _chw, _passthrough, _gaps)


def _width(channels: int, cnn: Cnn) -> int:
    """Return the processors of one pass: equal passes, multiples of 4 where there is more than one."""
    passes = -(-channels // cnn.processors)
    width = -(-channels // passes)
    if passes > 1:
        width = min(cnn.processors, (width + cnn.processors_per_instance - 1) // 4 * 4)
    return width


def _problem(
    layer: PlacedLayer, rule: str, message: str, *, need: str | None = None, have: str | None = None
) -> Diagnostic:
    return Diagnostic(rule, message, layer=layer.layer.name, need=need, have=have)
