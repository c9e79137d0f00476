"""What one hardware layer does, as its registers say: plain values, independent of the register format."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, IntEnum


class Operation(Enum):
    """How a layer combines its input channels."""

    CONVOLVE = "convolution"
    DEPTHWISE = "depthwise convolution"
    PASSTHROUGH = "passthrough"


class Eltwise(IntEnum):
    """Element-wise functions, by their code in ONED[15:14]."""

    SUB = 0
    ADD = 1
    OR = 2
    XOR = 3


class Activation(Enum):
    """What follows the clamp to 8 bits."""

    NONE = "none"
    RELU = "relu"
    ABS = "abs"


@dataclass(frozen=True)
class Input:
    """Where the input map is: the same words in the data memory of every enabled processor.

    ``bytewise`` (CHW): four pixels in a word instead of four channels. ``rows`` and ``cols`` are as many as
    the pooling windows touch; ``row_pixels`` is the distance of two rows, ``pixel_words`` of two pixels.
    """

    word: int
    rows: int
    cols: int
    row_pixels: int
    pixel_words: int
    passes: int
    operands: int
    bytewise: bool


@dataclass(frozen=True)
class Pool:
    """Pooling window; 1x1 where there is none. ``average`` truncates unless ``rounding``."""

    rows: int
    cols: int
    row_dilation: int
    col_dilation: int
    stride: int
    average: bool
    rounding: bool

    @property
    def row_span(self) -> int:
        """Rows from the first to the last of a window."""
        return (self.rows - 1) * self.row_dilation + 1

    @property
    def col_span(self) -> int:
        """Columns from the first to the last of a window."""
        return (self.cols - 1) * self.col_dilation + 1


@dataclass(frozen=True)
class Kernel:
    """Convolution kernels: ``count`` of them in each processor, output position outer, pass inner.

    ``first_byte`` counts in the byte stream of a processor's weight memory (docs/accelerator.md, 4.1).
    ``elements`` > 0: flatten, each output has that many 1x1 kernels. ``interleave`` is 4 when four outputs
    are computed at a time from the four physical memories. ``unit``: every weight is 1.
    """

    rows: int
    cols: int
    pad_rows: int
    pad_cols: int
    bits: int
    binary: bool
    first_byte: int
    count: int
    positions: int
    elements: int
    interleave: int
    unit: bool
    transposed: bool

    @property
    def taps(self) -> int:
        """Weights in a kernel."""
        return self.rows * self.cols

    @property
    def first_slot(self) -> int:
        """Weight slot (9 bytes) the first kernel starts in."""
        return self.first_byte // 9


@dataclass(frozen=True)
class Pointer:
    """Where a quadrant writes: data memory instance and word inside it."""

    quadrant: int
    instance: int
    word: int


@dataclass(frozen=True)
class Output:
    """Where the output map goes.

    Convolution: one pointer, ``width`` positions in each pass, four to an instance. Otherwise: a pointer for
    each quadrant that takes part; ``spread`` says that outputs are packed from the pointer upward instead
    of staying with their processor. A pixel takes ``pixel_words``, a pass ``pass_words`` more.
    """

    pointers: tuple[Pointer, ...]
    pixel_words: int
    pass_words: int
    width: int
    wide: bool
    spread: bool
    time_slots: int


@dataclass(frozen=True)
class Bias:
    """Bias of a layer in the memory of ``quadrant``, from byte ``start``."""

    quadrant: int
    start: int


@dataclass(frozen=True)
class LayerConfig:
    """One hardware layer."""

    number: int
    operation: Operation
    processors: tuple[int, ...]
    input: Input
    pool: Pool
    eltwise: Eltwise | None
    pool_first: bool
    kernel: Kernel | None
    output: Output
    biases: tuple[Bias, ...]
    shift: int
    activation: Activation
    ring_words: int
    """Length of the circular buffer a streaming layer reads from; 0: plain memory."""
    streaming: bool

    @property
    def pooled_rows(self) -> int:
        """Rows after pooling."""
        return (self.input.rows - self.pool.row_span) // self.pool.stride + 1

    @property
    def pooled_cols(self) -> int:
        """Columns after pooling."""
        return (self.input.cols - self.pool.col_span) // self.pool.stride + 1

    @property
    def output_rows(self) -> int:
        """Rows of the output map."""
        if self.kernel is None:
            return self.pooled_rows
        rows = self.pooled_rows * (2 if self.kernel.transposed else 1)
        return rows + 2 * self.kernel.pad_rows - self.kernel.rows + 1

    @property
    def output_cols(self) -> int:
        """Columns of the output map."""
        if self.kernel is None:
            return self.pooled_cols
        cols = self.pooled_cols * (2 if self.kernel.transposed else 1)
        return cols + 2 * self.kernel.pad_cols - self.kernel.cols + 1

    @property
    def summary(self) -> str:
        """One line for traces."""
        name = self.operation.value
        if self.kernel is not None:
            name += f" {self.kernel.rows}x{self.kernel.cols}"
            name += " transposed" if self.kernel.transposed else ""
            name += f" flatten {self.kernel.elements}" if self.kernel.elements else ""
            name += f" {self.kernel.bits}-bit"
        if self.eltwise is not None:
            name += f" {self.eltwise.name.lower()} of {self.input.operands}"
        if self.pool.rows * self.pool.cols > 1:
            name += f" {'average' if self.pool.average else 'max'} pool {self.pool.rows}x{self.pool.cols}"
        shape = f"{self.input.rows}x{self.input.cols} -> {self.output_rows}x{self.output_cols}"
        return f"{name}, {len(self.processors)} processors, {self.input.passes} passes, {shape}"
