"""The captured model: a list of operators in execution order, one node for each.

A graph is either *float* (weights are float32, as captured and folded) or *integer* (weights are int8,
each weighted node carries its :class:`Requantization`, each value its scale); quantization turns one into
the other. Values are named after the node that makes them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

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


Operator = Convolution | Linear | BatchNorm | Pooling | Relu | Abs | Elementwise | Concatenation | Flatten


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
    """The tensor that the sensor delivers."""

    name: str
    shape: Shape


@dataclass(frozen=True, eq=False)
class Graph:
    """A model as captured. ``fraction_bits[v] = f`` means: the integers of value ``v`` are real * 2**f."""

    name: str
    input: GraphInput
    nodes: tuple[Node, ...]
    output: str
    fraction_bits: Mapping[str, int] = field(default_factory=dict)

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
        for node in self.nodes:
            operands = ", ".join(f"%{name}" for name in node.inputs)
            lines.append(
                f"  %{node.name}: {describe_shape(node.shape)}{self._scale(node.name)}"
                f" = {node.operator} ({operands})  # {node.origin.module}"
            )
        return "\n".join([*lines, f"  return %{self.output}", ""])

    def _scale(self, name: str) -> str:
        return f" q{self.fraction_bits[name]}" if name in self.fraction_bits else ""


def _weighted(weight: Array, bias: Array | None, quantized: Requantization | None) -> list[str]:
    parts = [f"weight {describe_array(weight)}", f"bias {describe_array(bias)}"]
    if quantized is not None:
        parts.append("wide" if quantized.wide else f"shift {quantized.output_shift}")
        parts.append(f"{quantized.weight_bits} bit")
    return parts
