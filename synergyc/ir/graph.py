"""The captured model: a list of operators in execution order, one node for each.

A graph is either *float* (weights are float32, as captured and folded) or *integer* (weights are int8,
each weighted node carries its :class:`Requantization`, each value its scale); quantization turns one into
the other. Values are named after the node that makes them.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np

from synergyc.ir.preparation import Preparation
from synergyc.ir.tail import Tail
from synergyc.ir.types import Array, EltwiseOp, Origin, Pool, Shape, describe_array, describe_shape


@dataclass(frozen=True)
class Requantization:
    """How a weighted sum becomes an activation: ``floor(sum * 2**(output_shift - weight_bits + 1) + 1/2)``.

    ``output_shift`` counts without the part that the weight width implies (``8 - weight_bits``), as in the
    vendor's checkpoints. ``wide`` keeps the raw 32-bit sum instead.
    """

    weight_bits: int
    output_shift: int
    wide: bool = False


@dataclass(frozen=True, eq=False)
class Convolution:
    """Cross-correlation; ``weight`` is (out, in/groups, *kernel), transposed: (in, out/groups, *kernel)."""

    weight: Array
    bias: Array | None
    stride: tuple[int, ...]
    padding: tuple[int, ...]
    dilation: tuple[int, ...]
    groups: int = 1
    transposed: bool = False
    output_padding: tuple[int, ...] = ()
    requantization: Requantization | None = None

    def __str__(self) -> str:
        kernel = describe_shape(self.weight.shape[2:])
        parts = [f"{'convtranspose' if self.transposed else 'conv'} {kernel}"]
        parts.append(f"stride {describe_shape(self.stride)} pad {describe_shape(self.padding)}")
        if set(self.dilation) != {1}:
            parts.append(f"dilation {describe_shape(self.dilation)}")
        if self.groups != 1:
            parts.append(f"groups {self.groups}")
        return ", ".join([*parts, *_weighted(self.weight, self.bias, self.requantization)])


@dataclass(frozen=True, eq=False)
class Linear:
    """Matrix product. ``weight`` is (out, in)."""

    weight: Array
    bias: Array | None
    requantization: Requantization | None = None

    def __str__(self) -> str:
        return ", ".join(["linear", *_weighted(self.weight, self.bias, self.requantization)])


@dataclass(frozen=True, eq=False)
class BatchNorm:
    """Inference-time normalization per channel; all arrays have shape (channels,)."""

    mean: Array
    variance: Array
    gain: Array | None
    offset: Array | None
    epsilon: float

    def __str__(self) -> str:
        return f"batchnorm mean {describe_array(self.mean)} eps {self.epsilon:g}"


@dataclass(frozen=True)
class Pooling:
    """Pooling without padding."""

    pool: Pool

    def __str__(self) -> str:
        return str(self.pool)


@dataclass(frozen=True)
class Relu:
    """``max(x, 0)``."""

    def __str__(self) -> str:
        return "relu"


@dataclass(frozen=True)
class Saturation:
    """Clipping to ``low``..``high``, done by the ends of the 8-bit range: it fixes the scale of its values.

    ``low`` is 0 or about ``-high``.
    """

    low: float
    high: float

    @property
    def fraction_bits(self) -> int:
        """The scale at which ``high`` is the largest integer, 127, or one more."""
        return math.floor(math.log2(128 / self.high) + 1e-9)

    def __str__(self) -> str:
        return f"saturation {self.low:g}..{self.high:g}"


@dataclass(frozen=True)
class Abs:
    """``|x|``."""

    def __str__(self) -> str:
        return "abs"


@dataclass(frozen=True)
class Elementwise:
    """Operands of equal shape and scale, combined left to right."""

    op: EltwiseOp

    def __str__(self) -> str:
        return str(self.op)


@dataclass(frozen=True)
class Concatenation:
    """Operands of equal scale, joined by channel."""

    def __str__(self) -> str:
        return "concat"


@dataclass(frozen=True)
class Flatten:
    """(C, H, W) to (C*H*W,) in PyTorch's order."""

    def __str__(self) -> str:
        return "flatten"


@dataclass(frozen=True)
class Reshape:
    """Axes of one pixel come or go: (C, L), (C, L, 1) and (C, 1, L) hold the same values in one order."""

    def __str__(self) -> str:
        return "reshape"


@dataclass(frozen=True, eq=False)
class Copy:
    """Values moved, not changed: a convolution of zeros and ones, with at most a single 1 for each output.

    Shifts, crops, pads with zeros, picks and repeats channels. ``weight`` is int8, shaped as in
    :class:`Convolution`; ``transposed`` ones have stride 2 and output padding 1, and repeat pixels.
    """

    weight: Array
    padding: tuple[int, ...]
    groups: int = 1
    transposed: bool = False

    @property
    def convolution(self) -> Convolution:
        """The same as a convolution with real weights."""
        rank = self.weight.ndim - 2
        stride = (2 if self.transposed else 1,) * rank
        return Convolution(
            self.weight.astype(np.float32),
            None,
            stride,
            self.padding,
            (1,) * rank,
            self.groups,
            self.transposed,
            (1,) * rank if self.transposed else (),
        )

    def __str__(self) -> str:
        kernel = describe_shape(self.weight.shape[2:])
        kind = "copy transposed" if self.transposed else "copy"
        return f"{kind} {kernel} pad {describe_shape(self.padding)}, {describe_array(self.weight)}"


def doubling(channels: int, *, rows: bool = True, columns: bool = True) -> Copy:
    """Return a copy that makes maps twice as large: pixels repeated along an axis, or with zeros between."""
    weight = np.zeros((channels, 1, 3, 3), dtype=np.int8)
    weight[:, :, 1 : 3 if rows else 2, 1 : 3 if columns else 2] = 1
    weight.setflags(write=False)
    return Copy(weight, (1, 1), channels, transposed=True)


@dataclass(frozen=True)
class Padding:
    """Pixels put around a map, or cut off where negative; (rows, columns) or (length,).

    Zeros, or with ``lowest`` what no maximum picks. No accelerator layer: rewritten before quantization.
    """

    before: tuple[int, ...]
    after: tuple[int, ...]
    lowest: bool = False

    def __str__(self) -> str:
        sizes = ", ".join(f"{a}+{b}" for a, b in zip(self.before, self.after, strict=True))
        return f"pad {sizes}{' lowest' if self.lowest else ''}"


@dataclass(frozen=True)
class Thinning:
    """Every n-th row and column from the first on; (rows, columns) or (length,).

    Rewritten before quantization.
    """

    steps: tuple[int, ...]

    def __str__(self) -> str:
        return f"thin {describe_shape(self.steps)}"


@dataclass(frozen=True)
class Clamp:
    """Clipping to ``low``..``high``, either may be infinite. Rewritten before quantization."""

    low: float
    high: float

    def __str__(self) -> str:
        return f"clamp {self.low:g}..{self.high:g}"


@dataclass(frozen=True, eq=False)
class LeakyRelu:
    """``max(x, 0) + slope * min(x, 0)``; ``slope`` is (channels,). Rewritten before quantization."""

    slope: Array

    def __str__(self) -> str:
        return f"leaky relu {describe_array(self.slope)}"


Operator = (
    Convolution
    | Linear
    | BatchNorm
    | Pooling
    | Relu
    | Saturation
    | Abs
    | Elementwise
    | Concatenation
    | Flatten
    | Reshape
    | Copy
    | Padding
    | Thinning
    | Clamp
    | LeakyRelu
)


@dataclass(frozen=True, eq=False)
class Node:
    """One operator: its inputs are names of other nodes or of the graph's input."""

    name: str
    operator: Operator
    inputs: tuple[str, ...]
    shape: Shape
    origin: Origin


@dataclass(frozen=True)
class GraphInput:
    """The tensor that the network reads: what the sensor delivers, after its ``preparation``."""

    name: str
    shape: Shape
    preparation: Preparation | None = None

    @property
    def source_shape(self) -> Shape:
        """Shape of a sample as the sensor delivers it."""
        return self.shape if self.preparation is None else self.preparation.source_shape

    @property
    def reads_bytes(self) -> bool:
        """Whether samples are uint8, and not int8."""
        return self.preparation is not None and self.preparation.reads_bytes

    def prepared(self, samples: Array) -> Array:
        """Return samples (N, *source_shape) as the network reads them, (N, *shape): see ``Preparation``."""
        return samples if self.preparation is None else self.preparation.apply(samples)


@dataclass(frozen=True, eq=False)
class Graph:
    """A model as captured. ``fraction_bits[v] = f`` means: the integers of value ``v`` are real * 2**f.

    ``tail`` is what the CPU makes of the output.
    """

    name: str
    input: GraphInput
    nodes: tuple[Node, ...]
    output: str
    fraction_bits: Mapping[str, int] = field(default_factory=dict)
    tail: tuple[Tail, ...] = ()

    def __iter__(self) -> Iterator[Node]:
        return iter(self.nodes)

    def node(self, name: str) -> Node:
        """Return the node called ``name``; raises KeyError."""
        for node in self.nodes:
            if node.name == name:
                return node
        raise KeyError(name)

    def consumers(self, name: str) -> tuple[Node, ...]:
        """Return the nodes that read value ``name``, in execution order."""
        return tuple(node for node in self.nodes if name in node.inputs)

    def __str__(self) -> str:
        lines = [f"graph {self.name}", f"  %{self.input.name}: {describe_shape(self.input.shape)}"]
        lines[1] += self._scale(self.input.name)
        if self.input.preparation is not None:
            lines[1] += f" from {self.input.preparation}"
        for node in self.nodes:
            operands = ", ".join(f"%{name}" for name in node.inputs)
            lines.append(
                f"  %{node.name}: {describe_shape(node.shape)}{self._scale(node.name)}"
                f" = {node.operator} ({operands})  # {node.origin.module}"
            )
        lines.append(f"  return {' of '.join([*map(str, reversed(self.tail)), f'%{self.output}'])}")
        return "\n".join([*lines, ""])

    def _scale(self, name: str) -> str:
        return f" q{self.fraction_bits[name]}" if name in self.fraction_bits else ""


def _weighted(weight: Array, bias: Array | None, quantized: Requantization | None) -> list[str]:
    parts = [f"weight {describe_array(weight)}", f"bias {describe_array(bias)}"]
    if quantized is not None:
        parts.append("wide" if quantized.wide else f"shift {quantized.output_shift}")
        parts.append(f"{quantized.weight_bits} bit")
    return parts
