"""The product of a synthesis engine: what to write to the accelerator, when, and where results lie.

A program is data. The firmware stage renders it as C, tests compare it with the vendor tool's writes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from synergyc.ir.network import Tensor


@dataclass(frozen=True)
class Write:
    """Stores of ``words`` to ascending addresses from ``address``; ``width_bytes`` is 4, or 1: one byte."""

    address: int
    words: tuple[int, ...]
    comment: str = ""
    width_bytes: int = 4


@dataclass(frozen=True)
class WaitBits:
    """Wait until all bits of ``mask`` read as ``value`` at ``address``."""

    address: int
    mask: int
    value: int
    comment: str = ""


Step = Write | WaitBits


@dataclass(frozen=True)
class Region:
    """Consecutive data memory words that belong to a tensor, in the accelerator's own layout.

    ``mask`` tells which bytes of each word carry values (lanes without a channel hold what was there).
    """

    address: int
    words: int
    mask: int = 0xFFFFFFFF


@dataclass(frozen=True)
class TensorLayout:
    """Where a tensor lies in data memory.

    A tensor travels as the words of its ``regions`` in order; ``elements[i]`` is the byte position, in that
    stream of little-endian words, of value i of the tensor in C order (32-bit values: of its lowest byte).
    """

    tensor: Tensor
    regions: tuple[Region, ...]
    elements: tuple[int, ...]

    @property
    def words(self) -> int:
        """Number of 32-bit words that travel."""
        return sum(region.words for region in self.regions)


@dataclass(frozen=True)
class FifoPort:
    """A FIFO through which input arrives after the start.

    The words that would lie in data memory from ``memory_address`` on go to ``data_address``, in order, each
    as soon as ``full_mask`` reads as 0 at ``status_address``.
    """

    data_address: int
    status_address: int
    full_mask: int
    memory_address: int


@dataclass(frozen=True)
class LayerSummary:
    """One hardware layer, for comments and reports."""

    name: str
    description: str
    hardware_layer: int
    processors: int
    output_processors: int


@dataclass(frozen=True)
class Program:
    """Everything that runs one segment on one chip's accelerator.

    ``engine`` and ``engine_version`` say what made it, ``placement`` of what (``PlacedNetwork.digest``).
    ``quadrants`` are those in use, the first is the master; ``done`` lists the control registers that the
    interrupt handler clears (address, bits to clear). With ``fifo_ports`` the input is not loaded before the
    start: it is pushed afterwards, a word for each port in turn.
    """

    name: str
    chip: str
    engine: str
    quadrants: tuple[int, ...]
    layers: tuple[LayerSummary, ...]
    init: tuple[Step, ...]
    weights: tuple[Write, ...]
    bias: tuple[Write, ...]
    configure: tuple[Step, ...]
    start: tuple[Step, ...]
    done: tuple[tuple[int, int], ...]
    inputs: tuple[TensorLayout, ...]
    outputs: tuple[TensorLayout, ...]
    fifo_ports: tuple[FifoPort, ...] = ()
    engine_version: str = ""
    placement: str = ""

    def phases(self) -> Iterator[tuple[str, tuple[Step, ...]]]:
        """Yield phase names and their steps in the order of execution (input is loaded before start)."""
        yield "init", self.init
        yield "weights", self.weights
        yield "bias", self.bias
        yield "configure", self.configure
        yield "start", self.start

    @property
    def weight_words(self) -> int:
        """Number of 32-bit words of weights that flash must hold."""
        return sum(len(write.words) for write in self.weights if write.width_bytes == 4)

    @property
    def load_words(self) -> int:
        """Number of words that loading its weights and biases stores."""
        return sum(len(write.words) for write in (*self.weights, *self.bias))

    def __str__(self) -> str:
        lines = [f"program {self.name} for {self.chip} ({self.engine})"]
        for layer in self.layers:
            lines.append(
                f"  layer {layer.hardware_layer} {layer.name}: {layer.description}; processors"
                f" {layer.processors:016x} -> {layer.output_processors:016x}"
            )
        for phase, steps in self.phases():
            lines.append(f"  {phase}:")
            for step in steps:
                if isinstance(step, WaitBits):
                    lines.append(f"    wait {step.address:08x} & {step.mask:08x} == {step.value:08x}")
                    continue
                shown = " ".join(f"{word:0{2 * step.width_bytes}x}" for word in step.words[:4])
                more = f" ... ({len(step.words)})" if len(step.words) > 4 else ""
                lines.append(f"    {step.address:08x} {shown}{more}  # {step.comment}".rstrip(" #"))
        for word, layouts in (("input", self.inputs), ("output", self.outputs)):
            for layout in layouts:
                spans = ", ".join(f"{r.address:08x}+{r.words}" for r in layout.regions)
                lines.append(f"  {word} {layout.tensor} at {spans}")
        return "\n".join([*lines, ""])
