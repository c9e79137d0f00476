"""A layer as the hardware runs it: sizes, passes, processors for each pass (sections 1 and 2)."""

from __future__ import annotations

from dataclasses import dataclass

from synergyc.ir.network import Layer, LayerOp
from synergyc.targets import Cnn


def lowest_bit(bits: int) -> int:
    """Return the index of the lowest set bit of ``bits`` (not 0)."""
    return (bits & -bits).bit_length() - 1


def highest_bit(bits: int) -> int:
    """Return the index of the highest set bit of ``bits`` (not 0)."""
    return bits.bit_length() - 1


def set_bits(bits: int) -> tuple[int, ...]:
    """Return the indices of the set bits in ascending order."""
    return tuple(index for index in range(bits.bit_length()) if bits >> index & 1)


def round_up(value: int, step: int) -> int:
    """Return ``value`` rounded up to a multiple of ``step``."""
    return -(-value // step) * step


@dataclass(frozen=True)
class Passes:
    """How channels are spread: ``count`` passes of ``width`` processors, the last may be partly empty."""

    count: int
    width: int


def passes_of(channels: int, cnn: Cnn) -> Passes:
    """Return the passes that ``channels`` take (section 1, "Passes")."""
    count = -(-channels // cnn.processors)
    width = -(-channels // count)
    if channels > cnn.processors:
        width = min(round_up(width, cnn.processors_per_instance), cnn.processors)
    return Passes(count, width)


@dataclass(frozen=True)
class Geometry:
    """Sizes of one layer; ``rows`` and ``columns`` before pooling, 1-D layers have one column.

    ``window``, ``pool_dilation``, ``kernel`` and ``padding`` are (rows, columns).
    """

    op: LayerOp
    in_channels: int
    out_channels: int
    in_passes: Passes
    out_passes: Passes
    rows: int
    columns: int
    pooled_rows: int
    pooled_columns: int
    out_rows: int
    out_columns: int
    window: tuple[int, int]
    pool_stride: int
    pool_dilation: tuple[int, int]
    kernel: tuple[int, int]
    padding: tuple[int, int]
    operands: int
    flatten: bool
    depthwise: bool

    @property
    def taps(self) -> int:
        """Weights of one kernel."""
        return self.kernel[0] * self.kernel[1]

    @property
    def pixels(self) -> int:
        """Pixels of one channel of the input."""
        return self.rows * self.columns

    @property
    def out_pixels(self) -> int:
        """Pixels of one channel of the output."""
        return self.out_rows * self.out_columns

    @property
    def flatten_values(self) -> int:
        """Values that one processor multiplies for each output of a flattening layer."""
        return self.in_passes.count * self.pooled_rows * self.pooled_columns if self.flatten else 1

    @property
    def pools(self) -> bool:
        """Whether the window is larger than one pixel."""
        return self.window != (1, 1)


def geometry_of(layer: Layer, cnn: Cnn) -> Geometry:
    """Return the sizes of ``layer`` on an accelerator of kind ``cnn``."""
    rows, columns = _plane(layer.in_shape)
    pooled_rows, pooled_columns = _plane(layer.pooled_shape)
    out_rows, out_columns = _plane(layer.output.shape)
    flat = len(layer.in_shape) < 3
    window, dilation, stride = (1, 1), (1, 1), 1
    if layer.pool is not None:
        window, dilation, stride = layer.pool.window, layer.pool.dilation, layer.pool.stride
        if flat:
            window, dilation = (window[0], 1), (dilation[0], 1)
    in_channels, out_channels = layer.in_shape[0], layer.output.shape[0]
    return Geometry(
        op=layer.op,
        in_channels=in_channels,
        out_channels=out_channels,
        in_passes=passes_of(in_channels, cnn),
        out_passes=passes_of(out_channels, cnn),
        rows=rows,
        columns=columns,
        pooled_rows=pooled_rows,
        pooled_columns=pooled_columns,
        out_rows=out_rows,
        out_columns=out_columns,
        window=window,
        pool_stride=stride,
        pool_dilation=dilation,
        kernel=_pair(layer.kernel, 1),
        padding=_pair(layer.padding, 0),
        operands=len(layer.inputs) if layer.eltwise is not None else 1,
        flatten=layer.flatten,
        depthwise=layer.groups > 1,
    )


def _plane(shape: tuple[int, ...]) -> tuple[int, int]:
    return (shape[1] if len(shape) > 1 else 1, shape[2] if len(shape) > 2 else 1)


def _pair(values: tuple[int, ...], fill: int) -> tuple[int, int]:
    return (values[0], values[1]) if len(values) > 1 else (values[0], fill)
