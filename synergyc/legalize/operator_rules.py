"""Limits of single layers, wherever they are placed: operators, sizes, widths.

Numbers come from the target files; sources of rules without a number: ai8x-synthesis ``izer/izer.py`` and
``izer/backend/max7800x.py``, ai8x-training README "Limitations of MAX78000 Networks".
"""

from __future__ import annotations

from synergyc.ir.graph import Convolution, Node
from synergyc.ir.network import LARGEST_SHIFT, Layer, LayerOp
from synergyc.ir.types import Activation, describe_shape
from synergyc.legalize.limits import Finding, limit, over
from synergyc.legalize.rewrite.maps import FOLDED_TAPS
from synergyc.legalize.suit import has_groups
from synergyc.targets import Cnn


@limit(
    "stride = 1; transposed: stride = 2, output padding = 1",
    "use stride 1 and put a pooling layer of the same stride in front",
    "use a pooling layer behind the convolution",
    "for transposed ones: kernel_size=3, stride=2, output_padding=1",
)
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
        )
    if operator.transposed and set(operator.output_padding) != {1}:
        return Finding("output padding must be 1", describe_shape(operator.output_padding), "1")
    return None


@limit(
    "max(input channels, output channels)",
    "use fewer channels in this layer",
    "cut the layer into two that run one after the other and concatenate their outputs",
)
def channels(layer: Layer, cnn: Cnn) -> Finding | None:
    """A layer has a limited number of input and of output channels."""
    asked = max(layer.in_shape[0], layer.output.shape[0])
    return over("channels", asked, cnn.limits.channels)


@limit(
    "rows - 1 + 2 x padding, doubled rows for transposed convolutions; likewise columns",
    "pool or crop the input first",
    "fold the input into more channels (data folding)",
)
def map_size(layer: Layer, cnn: Cnn) -> Finding | None:
    """Rows and columns, with padding, fit the counters."""
    scale = 2 if layer.op is LayerOp.CONV_TRANSPOSE2D else 1
    sizes = [size * scale for size in layer.in_shape[1:]]
    padded = max(size - 1 + 2 * padding for size, padding in zip(sizes, (*layer.padding, 0, 0), strict=False))
    return over("rows or columns", padded, cnn.limits.rows)


@limit(
    "rows x columns of the kernel",
    "replace a 5x5 kernel by two, a 7x7 kernel by three 3x3 layers",
    "pad a smaller kernel with zeros to 3x3",
)
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
    )


@limit(
    "dilation of rows and columns",
    "use dilation 1 and a second 3x3 layer",
    "pool before the convolution: it widens the view as well",
)
def conv2d_dilation(layer: Layer, cnn: Cnn) -> Finding | None:
    """Two-dimensional convolutions are not dilated."""
    if layer.op is LayerOp.CONV1D or set(layer.dilation) == {1}:
        return None
    return Finding("dilation is not supported", describe_shape(layer.dilation), "1")


@limit(
    "(kernel - 1) x dilation + 1",
    "use a shorter kernel",
    "replace the layer by several short ones",
    "for a kernel of at most 3: no padding and no pooling in this layer",
)
def conv1d_kernel(layer: Layer, cnn: Cnn) -> Finding | None:
    """One-dimensional kernels, stretched by their dilation, have a limited length.

    Longer ones run as maps of ``dilation`` columns if the kernel has at most 3 taps and the layer neither
    pads nor pools.
    """
    if layer.op is not LayerOp.CONV1D:
        return None
    taps, dilation = layer.kernel[0], layer.dilation[0]
    folds = taps <= FOLDED_TAPS and dilation <= cnn.limits.rows and layer.padding == (0,)
    if dilation > 1 and folds and layer.pool is None:
        return None
    length = (taps - 1) * dilation + 1
    return over("kernel taps, counting the gaps of dilation", length, cnn.limits.conv1d_max_kernel)


@limit(
    "padding < kernel",
    "pad less",
    "put a layer with a larger kernel first",
)
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


@limit(
    "input channels of a padded conv1d",
    "drop the padding of this layer",
    "use fewer channels in front of it",
    "pad once, in an earlier layer",
)
def conv1d_padding(layer: Layer, cnn: Cnn) -> Finding | None:
    """One-dimensional convolutions of many channels cannot pad on some chips."""
    if layer.op is not LayerOp.CONV1D or layer.padding == (0,):
        return None
    return over(
        "input channels for a padded one-dimensional convolution",
        layer.in_shape[0],
        cnn.limits.conv1d_padded_channels,
    )


@limit(
    "groups = 1, or = input channels = output channels",
    "use a plain convolution (groups=1)",
    "run the model on a chip with depthwise convolutions (MAX78002)",
)
def groups(layer: Layer, cnn: Cnn) -> Finding | None:
    """Grouped convolutions are depthwise (as many groups as channels), on chips that have them."""
    if has_groups(layer, cnn):
        return None
    depthwise = layer.groups == layer.in_shape[0] == layer.output.shape[0]
    if not depthwise:
        return Finding("groups must be 1 or equal the channels", str(layer.groups), "1")
    return Finding("depthwise convolution is not supported", str(layer.groups), "1")


@limit(
    "(window - 1) x dilation + 1",
    "pool twice with smaller windows",
    "use a smaller window",
)
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
    return over("rows or columns in the pooling window", max(sizes), cnn.limits.pool_window)


@limit(
    "pooling stride",
    "pool twice with smaller strides",
    "crop or resize the input before the network",
)
def pool_stride(layer: Layer, cnn: Cnn) -> Finding | None:
    """The pooling stride is limited."""
    stride = 1 if layer.pool is None else layer.pool.stride
    return over("rows or columns in the pooling stride", stride, cnn.limits.pool_stride)


@limit(
    "pooling dilation",
    "use a plain window",
    "take every second pixel by a pooling layer of window 1 and stride 2 first",
)
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


@limit(
    "channels of a pooling layer without a convolution",
    "let a convolution follow the pooling: it pools in the same layer",
    "pool before the channels grow",
    "pool down to a single pixel",
)
def pool_alone(layer: Layer, cnn: Cnn) -> Finding | None:
    """Pooling many channels to more than one pixel needs a convolution in the same layer on some chips."""
    if layer.pool is None or layer.weight is not None or set(layer.pooled_shape[1:]) == {1}:
        return None
    return over(
        "channels for pooling without a convolution",
        layer.in_shape[0],
        cnn.limits.pool_only_channels,
    )


@limit(
    "number of operands",
    "combine in two steps",
    "for conv1d: combine in a layer of its own, without convolution",
)
def eltwise_operands(layer: Layer, cnn: Cnn) -> Finding | None:
    """An element-wise layer has a limited number of operands, pools at most two late, and is no conv1d."""
    if layer.eltwise is None:
        return None
    allowed = cnn.limits.eltwise_operands if layer.pool_first or layer.pool is None else 2
    if layer.op is LayerOp.CONV1D:
        return Finding("one-dimensional convolution cannot combine operands", str(len(layer.inputs)), "1")
    return over("element-wise operands", len(layer.inputs), allowed)


@limit(
    "operands and passes (64 channels each) of an element-wise layer that also pools or convolves",
    "combine in a layer of its own and let pooling or convolution follow",
    "use at most 64 channels",
    "combine two operands at a time",
)
def eltwise_passes(layer: Layer, cnn: Cnn) -> Finding | None:
    """Some chips pool or convolve operands of several passes only if there are two of both."""
    operands, passes = len(layer.inputs), -(-layer.in_shape[0] // cnn.processors)
    if layer.eltwise is None or passes < 2 or "eltwise_passes" in cnn.features:
        return None
    if (operands, passes) == (2, 2) or (layer.weight is None and layer.pool is None):
        return None
    return Finding(
        "operands of several passes cannot be pooled or convolved in the same layer",
        f"{operands} operands in {passes} passes",
        "2 operands in 2 passes",
    )


@limit(
    "biases of a convolution that combines operands",
    "combine in a layer of its own, without convolution",
    "leave the bias out (bias=False)",
)
def eltwise_bias(layer: Layer, cnn: Cnn) -> Finding | None:
    """Some chips add no bias in a convolution that combines operands first."""
    biased = layer.bias is not None and bool(layer.bias.any())
    if layer.eltwise is None or not biased or "eltwise_bias" in cnn.features:
        return None
    return Finding("a convolution that combines operands cannot have a bias", "a bias", "none")


@limit(
    "number of different operands",
    "double the weights of the layer before instead of adding a tensor to itself",
    "add the output of a second layer",
)
def distinct_inputs(layer: Layer, cnn: Cnn) -> Finding | None:
    """A layer that reads several tensors reads each of them once: they lie side by side in memory."""
    if len(set(layer.inputs)) == len(layer.inputs):
        return None
    return Finding(
        "operands must be different tensors",
        f"{len(layer.inputs)} operands",
        f"{len(set(layer.inputs))} tensors",
    )


@limit(
    "rows x columns; channels x rows x columns",
    "pool before flattening",
    "use a global average pool instead of flattening",
    "reduce channels by a 1x1 convolution first",
)
def flatten_size(layer: Layer, cnn: Cnn) -> Finding | None:
    """A flattened input has a limited number of pixels and of values."""
    if not layer.flatten:
        return None
    _, *sizes = layer.pooled_shape
    pixels = 1
    for size in sizes:
        pixels *= size
    found = over("pixels to flatten", pixels, cnn.limits.flatten_pixels)
    values = layer.in_shape[0] * pixels
    return found or over("values to flatten", values, cnn.limits.flatten_values)


@limit(
    "one operation in the layer",
    "pool in a layer of its own in front",
    "use a linear layer behind the flattening",
)
def flatten_alone(layer: Layer, cnn: Cnn) -> Finding | None:
    """A layer that flattens is linear and does not pool."""
    if not layer.flatten or (layer.op is LayerOp.LINEAR and layer.pool is None):
        return None
    return Finding("flattening cannot be combined with pooling or convolution", str(layer.op), "linear")


@limit(
    "bits of a weight",
    "choose one of the allowed widths with --bits, for all layers or by layer",
    "let bits: auto choose in the app file",
)
def weight_bits(layer: Layer, cnn: Cnn) -> Finding | None:
    """Weights have one of a few widths."""
    if layer.weight is None or layer.weight_bits in cnn.limits.weight_bits:
        return None
    allowed = ", ".join(map(str, cnn.limits.weight_bits))
    return Finding("weight width is not supported", f"{layer.weight_bits} bit", allowed)


@limit(
    "output_shift + 8 - weight bits",
    "normalize the output of the layer (batch normalization)",
    "use 8-bit weights",
    "scale weights of neighbouring layers to alike sizes",
)
def output_shift(layer: Layer, cnn: Cnn) -> Finding | None:
    """The programmed shift, which includes that of narrow weights, fits its register field."""
    shift = 0 if layer.weight is None else layer.hardware_shift
    if abs(shift) <= LARGEST_SHIFT:
        return None
    return Finding(
        "output shift is out of range",
        str(shift),
        f"-{LARGEST_SHIFT} to {LARGEST_SHIFT}",
    )


@limit(
    "width of the output",
    "use 32-bit output in the last layer only, without activation",
    "move the activation into a layer before",
)
def output_width(layer: Layer, cnn: Cnn) -> Finding | None:
    """Raw 32-bit sums come from weighted layers without activation."""
    if not layer.wide or (layer.weight is not None and layer.activation is Activation.NONE):
        return None
    return Finding("32-bit output must come straight from a weighted layer", "32 bit", "8 bit")


@limit(
    "one weighted operator before each activation",
    "put a convolution before the activation",
    "drop the activation: values are clipped to 8 bits anyway",
)
def activation_place(layer: Layer, cnn: Cnn) -> Finding | None:
    """Layers without weights have no activation."""
    if layer.weight is not None or layer.activation is Activation.NONE:
        return None
    return Finding("activation needs a weighted operator in its layer", str(layer.activation), "none")
