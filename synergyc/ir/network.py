"""The network as the accelerator sees it: fused layers with integer weights, in execution order.

A layer reads one or more tensors, pools, combines, multiplies and accumulates, adds the bias, rounds,
clips and activates, in that order: one pass through the hardware. Arithmetic: ``synergyc.reference``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum

from synergyc.ir.preparation import Preparation
from synergyc.ir.tail import Tail
from synergyc.ir.types import (
    Activation,
    Array,
    EltwiseOp,
    Origin,
    Pool,
    Shape,
    describe_array,
    describe_shape,
)

BIAS_SUMS = 128
"""A bias of 1 adds this many sums (ai8x-synthesis README, section "Number format"; izer/kernels.py)."""

LARGEST_SHIFT = 15
"""Of the programmed shift, either way: its field has four bits and a sign (izer/backend/max7800x.py)."""


class LayerOp(StrEnum):
    """What a layer does with its (pooled, combined) input."""

    CONV2D = "conv2d"
    CONV1D = "conv1d"
    CONV_TRANSPOSE2D = "convtranspose2d"
    LINEAR = "linear"
    PASSTHROUGH = "passthrough"


@dataclass(frozen=True)
class Tensor:
    """A tensor between layers: ``width_bits`` is 8 or 32; integers are real values * 2**fraction_bits."""

    name: str
    shape: Shape
    fraction_bits: int
    width_bits: int = 8

    @property
    def size_bytes(self) -> int:
        """Bytes of the values themselves, without padding of any layout."""
        return math.prod(self.shape) * self.width_bits // 8

    def __str__(self) -> str:
        return f"%{self.name}: i{self.width_bits}[{describe_shape(self.shape)}] q{self.fraction_bits}"


@dataclass(frozen=True, eq=False)
class Layer:
    """One accelerator layer.

    Attributes:
        name: unique in the network; also the name of the tensor that it makes.
        op: the operator; ``PASSTHROUGH`` has no weights.
        inputs: tensors read. More than one: combined by ``eltwise``, else concatenated by channel.
        output: the tensor made.
        in_shape: (C, H, W) or (C, L) of one operand, before pooling.
        kernel: (rows, columns), (length,) for conv1d, (1, 1) for linear.
        padding: like ``kernel``.
        dilation: like ``kernel``.
        groups: 1, or the number of channels (depthwise).
        weight: int8, (out, in/groups, *kernel), transposed: (in, out/groups, *kernel); None without weights.
        bias: int8, (out,), counted in units of ``BIAS_SUMS`` sums; None where there is none.
        weight_bits: 8, 4, 2 or 1.
        output_shift: without the implicit ``8 - weight_bits``; see ``hardware_shift``.
        pool: pooling before the operator.
        pool_first: pooling happens before operands are combined.
        flatten: the pooled input is read as a vector in C, H, W order (linear only).
        origins: where the parts of the layer stand in the user's model.
    """

    name: str
    op: LayerOp
    inputs: tuple[str, ...]
    output: Tensor
    in_shape: Shape
    kernel: tuple[int, ...] = (1, 1)
    padding: tuple[int, ...] = (0, 0)
    dilation: tuple[int, ...] = (1, 1)
    groups: int = 1
    weight: Array | None = None
    bias: Array | None = None
    weight_bits: int = 8
    output_shift: int = 0
    pool: Pool | None = None
    eltwise: EltwiseOp | None = None
    pool_first: bool = True
    flatten: bool = False
    activation: Activation = Activation.NONE
    origins: tuple[Origin, ...] = ()

    @property
    def hardware_shift(self) -> int:
        """The shift that is programmed: the chip scales narrow weights up by ``8 - weight_bits``.

        At most ``LARGEST_SHIFT`` to either side.
        """
        return self.output_shift + 8 - self.weight_bits

    @property
    def wide(self) -> bool:
        """Whether the raw 32-bit sums are stored."""
        return self.output.width_bits == 32

    @property
    def pooled_shape(self) -> Shape:
        """Shape of one operand after pooling, same axes as ``in_shape``.

        Counted as the vendor's tool does (ai8x-synthesis, ``izer/izer.py``), which with dilated windows of
        more than two pixels promises rows that lie beyond the map; rule ``pool-dilation`` refuses them.
        """
        if self.pool is None:
            return self.in_shape
        sizes = [
            (size + self.pool.stride - window - dilation + 1) // self.pool.stride
            for size, window, dilation in zip(
                self.in_shape[1:], self.pool.window, self.pool.dilation, strict=False
            )
        ]
        return (self.in_shape[0], *sizes)

    @property
    def streams(self) -> bool:
        """Whether the layer is one that can run while the one before still does: a plain convolution."""
        return self.op is LayerOp.CONV2D and self.groups == 1 and self.eltwise is None

    @property
    def macs(self) -> int:
        """Multiply-accumulate operations of one inference."""
        if self.weight is None:
            return 0
        return self.weight.size * (
            math.prod(self.pooled_shape[1:])
            if self.op is LayerOp.CONV_TRANSPOSE2D
            else math.prod(self.output.shape[1:])
        )

    def __str__(self) -> str:
        parts = [str(self.op)]
        if self.weight is not None:
            parts[0] += f" {describe_shape(self.kernel)} pad {describe_shape(self.padding)}"
        if self.groups != 1:
            parts.append(f"groups {self.groups}")
        if self.pool is not None:
            parts.append(str(self.pool) if self.pool_first or self.eltwise is None else f"late {self.pool}")
        if self.eltwise is not None:
            parts.append(f"eltwise {self.eltwise}")
        if self.flatten:
            parts.append("flatten")
        if self.weight is not None:
            parts.append(f"w{self.weight_bits} {describe_array(self.weight)}")
            parts.append(f"bias {describe_array(self.bias)}")
            if not self.wide:
                parts.append(f"shift {self.output_shift}")
        if self.activation is not Activation.NONE:
            parts.append(str(self.activation))
        operands = ", ".join(f"%{name}" for name in self.inputs)
        origin = ", ".join(origin.module for origin in self.origins)
        return f"{self.output} = {', '.join(parts)} ({operands})" + (f"  # {origin}" if origin else "")


@dataclass(frozen=True, eq=False)
class Network:
    """Layers in execution order. ``inputs`` come from outside, ``outputs`` are names of tensors to keep.

    Of a segment: ``shared_inputs`` are inputs that other segments make or read too, so that all must have
    them in one memory layout, that of outputs.

    Of a whole network with one input and output: ``preparation`` is how the sensor side makes the input from
    a sample, None where it is one; ``tail`` is what the CPU makes of the output.
    """

    name: str
    inputs: tuple[Tensor, ...]
    layers: tuple[Layer, ...]
    outputs: tuple[str, ...]
    tail: tuple[Tail, ...] = ()
    preparation: Preparation | None = None
    shared_inputs: tuple[str, ...] = ()

    @property
    def result(self) -> Tensor:
        """What an app reports: the output, or what ``tail`` makes of it, which has 32 bits."""
        tensor = self.tensor(self.outputs[0])
        for item in self.tail:
            bits = item.fraction_bits(tensor.fraction_bits, tensor.width_bits)
            tensor = Tensor(f"{self.outputs[0]}_result", item.shape(tensor.shape), bits, 32)
        return tensor

    def tensor(self, name: str) -> Tensor:
        """Return the input or intermediate tensor called ``name``; raises KeyError."""
        for tensor in (*self.inputs, *(layer.output for layer in self.layers)):
            if tensor.name == name:
                return tensor
        raise KeyError(name)

    def live_after(self, index: int) -> tuple[str, ...]:
        """Return the tensors that exist after layer ``index`` (-1: before the first) and are still needed.

        They are what crosses a link if the network is cut there.
        """
        made = [tensor.name for tensor in self.inputs]
        made += [layer.output.name for layer in self.layers[: index + 1]]
        needed = {name for layer in self.layers[index + 1 :] for name in layer.inputs} | set(self.outputs)
        return tuple(name for name in made if name in needed)

    def streamable(self, most: int) -> int:
        """Return how many leading layers can stream, at most ``most``: nobody else may read their data."""
        if len(self.inputs) != 1:
            return 0
        before = self.inputs[0].name
        for index, layer in enumerate(self.layers[:most]):
            readers = [other for other in self.layers if before in other.inputs]
            alone = layer.inputs == (before,) and len(readers) == 1 and before not in self.outputs
            if not (layer.streams and alone):
                return index
            before = layer.output.name
        return min(len(self.layers), most)

    def segment(self, first: int, last: int) -> Network:
        """Return layers ``first`` to ``last`` (inclusive) as a network of its own."""
        if not 0 <= first <= last < len(self.layers):
            raise ValueError(f"segment must lie in 0..{len(self.layers) - 1}, not {first}..{last}")
        layers = self.layers[first : last + 1]
        made = {layer.output.name for layer in layers}
        read = {name for layer in layers for name in layer.inputs} - made
        inputs = tuple(self.tensor(name) for name in self.live_after(first - 1) if name in read)
        outputs = tuple(name for name in self.live_after(last) if name in made)
        outside = (*self.layers[:first], *self.layers[last + 1 :])
        elsewhere = {name for layer in outside for name in (layer.output.name, *layer.inputs)}
        elsewhere.update(self.shared_inputs)
        shared = tuple(tensor.name for tensor in inputs if tensor.name in elsewhere)
        return Network(f"{self.name}_{first}_{last}", inputs, layers, outputs, shared_inputs=shared)

    def __str__(self) -> str:
        lines = [f"network {self.name}"]
        source = "" if self.preparation is None else f" from {self.preparation}"
        for tensor in self.inputs:
            shared = " shared with other segments" if tensor.name in self.shared_inputs else ""
            lines.append(f"  {tensor}{source}{shared}")
        lines += [f"  {layer}" for layer in self.layers]
        outputs = ", ".join(f"%{name}" for name in self.outputs)
        lines.append(f"  return {' of '.join([*map(str, reversed(self.tail)), outputs])}")
        lines += [f"  {self.result}"] if self.tail else []
        return "\n".join([*lines, ""])
