"""The chips' limits, one function each: its docstring states the rule, its result says how it is broken.

Numbers come from the target files; sources of rules without a number: ai8x-synthesis ``izer/izer.py`` and
``izer/backend/max7800x.py``, ai8x-training README "Limitations of MAX78000 Networks".
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from synergyc.ir.graph import Convolution, Node
from synergyc.ir.network import Layer, LayerOp, Network
from synergyc.ir.types import Activation, describe_shape
from synergyc.legalize import memory
from synergyc.legalize.suit import has_groups
from synergyc.targets import Cnn

_MAX_SHIFT = 15
"""The shift register field holds four bits and a sign (izer/backend/max7800x.py)."""


@dataclass(frozen=True)
class Finding:
    """How a rule is broken."""

    message: str
    need: str
    have: str
    hint: str | None = None


def _over(what: str, need: int, have: int, hint: str | None = None) -> Finding | None:
    return Finding(f"too many {what}", str(need), f"at most {have}", hint) if need > have else None


def convolution_stride(node: Node, cnn: Cnn) -> Finding | None:
    """Convolutions have stride 1; transposed ones have stride 2 and output padding 1."""
    operator = node.operator
    if not isinstance(operator, Convolution):
        return None
    allowed = 2 if operator.transposed else 1
    if set(operator.stride) != {allowed}:
        return Finding(
            "convolution stride is not supported",
            describe_shape(operator.stride),
            str(allowed),
            None if operator.transposed else "use stride 1 and put a pooling layer in front",
        )
    if operator.transposed and set(operator.output_padding) != {1}:
        return Finding("output padding must be 1", describe_shape(operator.output_padding), "1")
    return None


def channels(layer: Layer, cnn: Cnn) -> Finding | None:
    """A layer has a limited number of input and of output channels."""
    asked = max(layer.in_shape[0], layer.output.shape[0])
    return _over("channels", asked, cnn.limits.channels)


def map_size(layer: Layer, cnn: Cnn) -> Finding | None:
    """Rows and columns, with padding, fit the counters."""
    scale = 2 if layer.op is LayerOp.CONV_TRANSPOSE2D else 1
    sizes = [size * scale for size in layer.in_shape[1:]]
    padded = max(size - 1 + 2 * padding for size, padding in zip(sizes, (*layer.padding, 0, 0), strict=False))
    return _over("rows or columns", padded, cnn.limits.rows, "pool or crop the input first")


def conv2d_kernel(layer: Layer, cnn: Cnn) -> Finding | None:
    """Two-dimensional convolutions have square kernels of a few sizes; transposed ones the largest."""
    allowed = cnn.limits.conv2d_kernels
    if layer.op is LayerOp.CONV_TRANSPOSE2D:
        allowed = (max(allowed),)
    elif layer.op is not LayerOp.CONV2D:
        return None
    if len(set(layer.kernel)) == 1 and layer.kernel[0] in allowed:
        return None
    return Finding(
        "kernel size is not supported",
        describe_shape(layer.kernel),
        " or ".join(f"{size}x{size}" for size in allowed),
        "replace a 5x5 or 7x7 kernel by two or three 3x3 layers",
    )


def conv2d_dilation(layer: Layer, cnn: Cnn) -> Finding | None:
    """Two-dimensional convolutions are not dilated."""
    if layer.op is LayerOp.CONV1D or set(layer.dilation) == {1}:
        return None
    return Finding("dilation is not supported", describe_shape(layer.dilation), "1", "use pooling instead")


def conv1d_kernel(layer: Layer, cnn: Cnn) -> Finding | None:
    """One-dimensional kernels, stretched by their dilation, have a limited length."""
    if layer.op is not LayerOp.CONV1D:
        return None
    length = (layer.kernel[0] - 1) * layer.dilation[0] + 1
    return _over("kernel taps, counting the gaps of dilation", length, cnn.limits.conv1d_max_kernel)


def padding_size(layer: Layer, cnn: Cnn) -> Finding | None:
    """Padding is smaller than the kernel and limited."""
    if layer.weight is None:
        return None
    for padding, kernel in zip(layer.padding, layer.kernel, strict=True):
        if padding >= kernel or padding > cnn.limits.padding:
            allowed = min(kernel - 1, cnn.limits.padding)
            return Finding(
                "padding is too large for the kernel",
                describe_shape(layer.padding),
                f"at most {allowed}",
            )
    return None


def conv1d_padding(layer: Layer, cnn: Cnn) -> Finding | None:
    """One-dimensional convolutions of many channels cannot pad on some chips."""
    if layer.op is not LayerOp.CONV1D or layer.padding == (0,):
        return None
    return _over(
        "input channels for a padded one-dimensional convolution",
        layer.in_shape[0],
        cnn.limits.conv1d_padded_channels,
        "drop the padding of this layer",
    )


def groups(layer: Layer, cnn: Cnn) -> Finding | None:
    """Grouped convolutions are depthwise (as many groups as channels), on chips that have them."""
    if has_groups(layer, cnn):
        return None
    depthwise = layer.groups == layer.in_shape[0] == layer.output.shape[0]
    hint = "use a plain convolution (groups=1)"
    if not depthwise:
        return Finding("groups must be 1 or equal the channels", str(layer.groups), "1", hint)
    return Finding("depthwise convolution is not supported", str(layer.groups), "1", hint)


def pool_window(layer: Layer, cnn: Cnn) -> Finding | None:
    """A pooling window has a limited size, counting its dilation, and lies inside the map."""
    if layer.pool is None:
        return None
    sizes = [
        (window - 1) * step + 1 for window, step in zip(layer.pool.window, layer.pool.dilation, strict=True)
    ]
    map_sizes = (*layer.in_shape[1:], 1)[:2]
    if any(size > available for size, available in zip(sizes, map_sizes, strict=True)):
        return Finding(
            "pooling window is larger than the map", describe_shape(tuple(sizes)), describe_shape(map_sizes)
        )
    return _over("rows or columns in the pooling window", max(sizes), cnn.limits.pool_window)


def pool_stride(layer: Layer, cnn: Cnn) -> Finding | None:
    """The pooling stride is limited."""
    stride = 1 if layer.pool is None else layer.pool.stride
    return _over("rows or columns in the pooling stride", stride, cnn.limits.pool_stride)


def pool_dilation(layer: Layer, cnn: Cnn) -> Finding | None:
    """Pooling is dilated only with windows of 2, in two dimensions, on chips that can."""
    if layer.pool is None or layer.pool.dilation == (1, 1):
        return None
    dilated = [
        window for window, step in zip(layer.pool.window, layer.pool.dilation, strict=True) if step > 1
    ]
    if "pool_dilation" in cnn.features and set(dilated) == {2} and len(layer.in_shape) == 3:
        return None
    return Finding("dilated pooling is not supported here", describe_shape(layer.pool.dilation), "1x1")


def pool_alone(layer: Layer, cnn: Cnn) -> Finding | None:
    """Pooling many channels to more than one pixel needs a convolution in the same layer on some chips."""
    if layer.pool is None or layer.weight is not None or set(layer.pooled_shape[1:]) == {1}:
        return None
    return _over(
        "channels for pooling without a convolution",
        layer.in_shape[0],
        cnn.limits.pool_only_channels,
        "let a convolution follow the pooling",
    )


def eltwise_operands(layer: Layer, cnn: Cnn) -> Finding | None:
    """An element-wise layer has a limited number of operands, pools at most two late, and is no conv1d."""
    if layer.eltwise is None:
        return None
    allowed = cnn.limits.eltwise_operands if layer.pool_first or layer.pool is None else 2
    if layer.op is LayerOp.CONV1D:
        return Finding("one-dimensional convolution cannot combine operands", str(len(layer.inputs)), "1")
    return _over("element-wise operands", len(layer.inputs), allowed)


def distinct_inputs(layer: Layer, cnn: Cnn) -> Finding | None:
    """A layer that reads several tensors reads each of them once: they lie side by side in memory."""
    if len(set(layer.inputs)) == len(layer.inputs):
        return None
    return Finding(
        "operands must be different tensors",
        f"{len(layer.inputs)} operands",
        f"{len(set(layer.inputs))} tensors",
        "scale the weights of the layer before instead of adding a tensor to itself",
    )


def flatten_size(layer: Layer, cnn: Cnn) -> Finding | None:
    """A flattened input has a limited number of pixels and of values."""
    if not layer.flatten:
        return None
    _, *sizes = layer.pooled_shape
    pixels = 1
    for size in sizes:
        pixels *= size
    found = _over("pixels to flatten", pixels, cnn.limits.flatten_pixels, "pool before flattening")
    values = layer.in_shape[0] * pixels
    return found or _over("values to flatten", values, cnn.limits.flatten_values, "pool before flattening")


def flatten_alone(layer: Layer, cnn: Cnn) -> Finding | None:
    """A layer that flattens is linear and does not pool."""
    if not layer.flatten or (layer.op is LayerOp.LINEAR and layer.pool is None):
        return None
    return Finding("flattening cannot be combined with pooling or convolution", str(layer.op), "linear")


def weight_bits(layer: Layer, cnn: Cnn) -> Finding | None:
    """Weights have one of a few widths."""
    if layer.weight is None or layer.weight_bits in cnn.limits.weight_bits:
        return None
    allowed = ", ".join(map(str, cnn.limits.weight_bits))
    return Finding("weight width is not supported", f"{layer.weight_bits} bit", allowed)


def output_shift(layer: Layer, cnn: Cnn) -> Finding | None:
    """The programmed shift, which includes that of narrow weights, fits its register field."""
    shift = 0 if layer.weight is None else layer.hardware_shift
    if abs(shift) <= _MAX_SHIFT:
        return None
    return Finding(
        "output shift is out of range",
        str(shift),
        f"-{_MAX_SHIFT} to {_MAX_SHIFT}",
        "scales of input, weights and output are too far apart: normalize the layer's output",
    )


def output_width(layer: Layer, cnn: Cnn) -> Finding | None:
    """Raw 32-bit sums come from weighted layers without activation."""
    if not layer.wide or (layer.weight is not None and layer.activation is Activation.NONE):
        return None
    return Finding("32-bit output must come straight from a weighted layer", "32 bit", "8 bit")


def activation_place(layer: Layer, cnn: Cnn) -> Finding | None:
    """Layers without weights have no activation."""
    if layer.weight is not None or layer.activation is Activation.NONE:
        return None
    return Finding("activation needs a weighted operator in its layer", str(layer.activation), "none")


def layer_weights(layer: Layer, cnn: Cnn) -> Finding | None:
    """A layer's weights fit the weight memory of its processors."""
    largest = max(cnn.weight_slots, cnn.large_weight_slots)
    slots = memory.weight_slots(layer, cnn)
    hint = "use narrower weights or fewer channels, or pool before flattening"
    return _over("weight slots in each processor", slots, largest, hint)


def layer_bias(layer: Layer, cnn: Cnn) -> Finding | None:
    """A layer's bias fits the bias memory of one quadrant."""
    return _over("bias bytes", memory.bias_bytes(layer), cnn.bias_bytes, "leave the bias out (bias=False)")


def layer_data(layer: Layer, cnn: Cnn) -> Finding | None:
    """A layer's input and its output each fit the data memory."""
    size = max(memory.input_bytes(layer, cnn), memory.output_bytes(layer, cnn))
    return _over(
        "bytes of activations in each data memory instance",
        size,
        cnn.instance_bytes,
        "pool earlier, or use fewer channels in multiples of the processors",
    )


def layer_count(network: Network, cnn: Cnn) -> Finding | None:
    """A network has a limited number of layers."""
    return _over("layers", len(network.layers), cnn.limits.layers, "split the network over more devices")


def weight_memory(network: Network, cnn: Cnn) -> Finding | None:
    """The weights of all layers fit the weight memory of the fullest processor."""
    needed = memory.fullest_processor_slots(network, cnn)
    return _over(
        "weight slots in the fullest processor",
        needed,
        max(cnn.weight_slots, cnn.large_weight_slots),
        "split the network over more devices, or use narrower weights",
    )


def bias_memory(network: Network, cnn: Cnn) -> Finding | None:
    """The biases of all layers fit the bias memory of all quadrants."""
    needed = sum(memory.bias_bytes(layer) for layer in network.layers)
    return _over("bias bytes", needed, cnn.bias_bytes * cnn.quadrants, "split the network over more devices")


NodeRule = Callable[[Node, Cnn], Finding | None]
LayerRule = Callable[[Layer, Cnn], Finding | None]
NetworkRule = Callable[[Network, Cnn], Finding | None]


def _named(*rules: Callable[..., Finding | None]) -> dict[str, Callable[..., Finding | None]]:
    return {rule.__name__.replace("_", "-"): rule for rule in rules}


NODE_RULES: Mapping[str, NodeRule] = _named(convolution_stride)
"""Rules of the graph, for what layers have no room to express."""

LAYER_RULES: Mapping[str, LayerRule] = _named(
    channels,
    map_size,
    conv2d_kernel,
    conv2d_dilation,
    conv1d_kernel,
    padding_size,
    conv1d_padding,
    groups,
    pool_window,
    pool_stride,
    pool_dilation,
    pool_alone,
    eltwise_operands,
    distinct_inputs,
    flatten_size,
    flatten_alone,
    weight_bits,
    output_shift,
    output_width,
    activation_place,
    layer_weights,
    layer_bias,
    layer_data,
)
"""Rules of a single layer, by their identifiers in diagnostics."""

NETWORK_RULES: Mapping[str, NetworkRule] = _named(layer_count, weight_memory, bias_memory)
"""Rules of all layers together."""
