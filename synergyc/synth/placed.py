"""A network with its place in the accelerator: processors, offsets, weight slots, bias bytes.

Both synthesis engines start from this form; the verifier (``verify``) checks it against the hardware's
rules. Section numbers in this package refer to ``docs/accelerator.md``.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator
from dataclasses import dataclass

from synergyc.ir.network import Layer, LayerOp, Tensor
from synergyc.synth.lowering import HardwareForm, hardware_form

_FORMS = (
    *("read_gap", "big", "binary", "streaming", "stream_kernel", "read_ahead", "fourfold"),
    *("grouped_passes", "reset_before", "bypass", "stops"),
)
"""What a placement decides about a layer beside the places that are printed."""


@dataclass(frozen=True)
class BiasPlace:
    """Where a layer's biases start: byte ``start`` of the bias memory of ``quadrant``."""

    quadrant: int
    start: int


@dataclass(frozen=True)
class PlacedTensor:
    """A tensor in data memory.

    Channel c of pass e is the ``c - e * width``-th set bit of ``processors`` (``width`` bits are set); its
    value at pixel p lies in word ``offset_bytes / 4 + p * pixel_words + e * pass_words`` of the processor's
    memory instance, in byte lane ``processor % 4``. 32-bit values take four consecutive words, one for each
    lane. ``big`` (CHW): one channel for each instance, byte ``offset_bytes + p``.
    """

    tensor: Tensor
    processors: int
    offset_bytes: int
    pixel_words: int
    pass_words: int
    big: bool = False

    @property
    def end_bytes(self) -> int:
        """First byte behind the tensor in its memory instances, whole words."""
        pixels = math.prod(self.tensor.shape[1:])
        if self.big:
            return self.offset_bytes + (pixels + 3) // 4 * 4
        passes = -(-self.tensor.shape[0] // self.processors.bit_count())
        words = 4 if self.tensor.width_bits > 8 else 1
        return self.offset_bytes + 4 * (
            (pixels - 1) * self.pixel_words + (passes - 1) * self.pass_words + words
        )


@dataclass(frozen=True, eq=False)
class PlacedLayer:
    """One hardware layer and its place.

    Attributes:
        layer: what is computed.
        hardware_layer: number of its registers.
        processors: 64-bit map P of the processors that read the input.
        output_processors: 64-bit map O of the processors whose memory receives the output.
        in_offset_bytes: start of the input inside the memory instances of ``processors``.
        out_offset_bytes: start of the output inside the memory instances of ``output_processors``.
        write_gap: words left free between output words, for other tensors to interleave.
        read_gap: likewise between input words.
        big: the input is CHW, one channel for each memory instance.
        weight_slot: first 9-byte slot K of the weights, the same in all processors.
        bias: where the biases start; one quadrant, depthwise layers: every quadrant in use.
        binary: 1-bit weights mean -1 and +1 instead of -1 and 0.
        streaming: the layer starts before its predecessor is done.
        stream_kernel: 1x1 kernels run as 3x3, because this layer or the one before streams.
        read_ahead: input is fetched before it is needed; input and output must be in different sub-instances.
        fourfold: four outputs are computed at a time.
        grouped_passes: input passes are counted in groups of four ("tcalc").
        reset_before: the hardware layer with the number before clears the averaging logic (section 5.7).
        bypass: all weights are 1 and take no memory.
        follower: hardware layer that runs next, where it is not the one with the next number.
        stops: execution ends with this layer although more layers are configured.
    """

    layer: Layer
    hardware_layer: int
    processors: int
    output_processors: int
    in_offset_bytes: int
    out_offset_bytes: int
    write_gap: int = 0
    read_gap: int = 0
    big: bool = False
    weight_slot: int = 0
    bias: tuple[BiasPlace, ...] = ()
    binary: bool = False
    streaming: bool = False
    stream_kernel: bool = False
    read_ahead: bool = False
    fourfold: bool = False
    grouped_passes: bool = False
    reset_before: bool = False
    bypass: bool = False
    follower: int | None = None
    stops: bool = False

    @property
    def form(self) -> HardwareForm:
        """The layer in the form that the hardware runs."""
        return hardware_form(self.layer, streaming=self.stream_kernel)

    @property
    def broadcast(self) -> bool:
        """Depthwise, and every output stays with the processor that made it."""
        return self.layer.groups > 1 and self.processors == self.output_processors

    @property
    def passthrough(self) -> bool:
        """Whether the layer has no weights: plain copy, pooling or element-wise operation."""
        return self.layer.op is LayerOp.PASSTHROUGH

    @property
    def stores_weights(self) -> bool:
        """Whether the layer has weights in the weight memory."""
        return not self.passthrough and not self.bypass

    @property
    def operands(self) -> int:
        """Number of tensors that are combined element-wise, 1 where none are."""
        return len(self.layer.inputs) if self.layer.eltwise is not None else 1


@dataclass(frozen=True, eq=False)
class PlacedNetwork:
    """Layers with their places; ``inputs`` and ``outputs`` as they lie in memory.

    Layers are in the order of their numbers, in which they run unless one names another follower.

    Attributes:
        fifo: the input comes through the FIFOs after the start instead of lying in memory before.
        weight_start: slot from which on weights were placed.
        first, last: indices of the layers with which execution starts and ends.
        snoop: values of the snoop units' registers, in the order of their addresses; empty: not used.
    """

    name: str
    chip: str
    layers: tuple[PlacedLayer, ...]
    inputs: tuple[PlacedTensor, ...]
    outputs: tuple[PlacedTensor, ...]
    quadrants: tuple[int, ...]
    fifo: bool = False
    weight_start: int = 0
    first: int = 0
    last: int = -1
    snoop: tuple[int, ...] = ()

    def __iter__(self) -> Iterator[PlacedLayer]:
        return iter(self.layers)

    @property
    def first_layer(self) -> int:
        """Hardware layer at which execution starts."""
        first = self.layers[self.first]
        return first.hardware_layer - first.reset_before

    @property
    def last_layer(self) -> int:
        """Hardware layer behind which execution ends."""
        return self.layers[self.last].hardware_layer

    @property
    def digest(self) -> str:
        """SHA-256 of the placement, in hexadecimal: networks of one digest lie alike."""
        forms = [[int(getattr(layer, name)) for name in _FORMS] for layer in self.layers]
        text = f"{self}{forms} {int(self.fifo)} {self.weight_start}"
        return hashlib.sha256(text.encode()).hexdigest()

    def __str__(self) -> str:
        lines = [f"placed {self.name} on {self.chip}, quadrants {', '.join(map(str, self.quadrants))}"]
        for word, tensors in (("input", self.inputs), ("output", self.outputs)):
            lines += [
                f"  {word} {t.tensor} processors {t.processors:016x} offset {t.offset_bytes:#06x}"
                for t in tensors
            ]
        for placed in self.layers:
            parts = [
                f"  {placed.hardware_layer} {placed.layer.name}: {placed.processors:016x}",
                f"@{placed.in_offset_bytes:#06x} -> {placed.output_processors:016x}",
                f"@{placed.out_offset_bytes:#06x}",
            ]
            if placed.write_gap:
                parts.append(f"gap {placed.write_gap}")
            if not placed.passthrough:
                parts.append(f"slot {placed.weight_slot}")
            parts += [f"bias q{bias.quadrant}+{bias.start}" for bias in placed.bias]
            lines.append(" ".join(parts))
        return "\n".join([*lines, ""])
