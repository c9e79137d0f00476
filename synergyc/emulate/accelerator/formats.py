"""The two register formats, behind one interface (docs/accelerator.md, 5.2, 5.3 and 5.5)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from enum import Enum
from types import MappingProxyType
from typing import Protocol

from synergyc.emulate.accelerator.config import Pool
from synergyc.emulate.accelerator.registers import LayerWords, Word


class Part(Enum):
    """What a command in the TEST register clears."""

    LAYERS = "layer registers"
    DATA = "data memory"
    WEIGHTS = "weight memory"
    TRAM = "line buffers"
    BIAS = "bias memory"


_MOST_STRIDE = 16
"""STRIDE has four bits for a pooling stride less one."""

Command = tuple[tuple[Part, ...], int]
"""What a TEST value clears, and the done bits that follow."""


@dataclass(frozen=True)
class Axis:
    """One direction of the input map: how many pixels the windows touch, and the padding around them."""

    size: int
    pad: int


@dataclass(frozen=True)
class Frame:
    """The input map: both axes, pixels from row to row, words from pixel to pixel."""

    rows: Axis
    cols: Axis
    row_pixels: int
    pixel_words: int


@dataclass(frozen=True)
class Mask:
    """Which kernels a layer uses: first one in bits of the weight stream, and how many."""

    start: int
    count: int


class RegisterFormat(Protocol):
    """How one generation of the accelerator packs its registers."""

    pointer_bits: int
    """Word bits of a write pointer; the instance is above them."""
    control_mask: int
    """CTL bits that exist and are understood."""
    test_commands: Mapping[int, Command]
    """TEST values that are known."""
    pipelined: bool
    """Has a pipeline, which CTL[5] turns off."""
    marks_big_stream: bool
    """CTL[6] says that the first layer streams CHW input."""
    biased_eltwise: bool
    """A convolution after an element-wise step can have a bias."""
    skips_stream_bias: bool
    """A streaming first layer skips its first bias byte: the vendor's programs put an unused one there."""

    def pool(self, words: LayerWords, average_rounds: bool) -> Pool:
        """Return the pooling window."""

    def spread_pool(self, words: LayerWords, pool: Pool, fetches: int, kernel_cols: int) -> Pool:
        """Return ``pool`` with its stride, which STRIDE does not hold in a transposed convolution."""

    def frame(self, words: LayerWords, pool: Pool, fetches: int, transposed: bool) -> Frame:
        """Return the input map; ``fetches`` is the number of words of a pixel that are read."""

    def line(self, words: LayerWords) -> tuple[int, int, int]:
        """Return passes, words from output to output, and position field of LCTL2."""

    def mask(self, words: LayerWords, bits: int, repeats: tuple[int, int]) -> Mask:
        """Return the kernels of a convolution; ``repeats``: outputs at a time, and time slots."""

    def pass_outputs(self, words: LayerWords) -> int:
        """Return output passes of a layer that only passes data through."""

    def kernel_size(self, words: LayerWords) -> tuple[int, int] | None:
        """Return the kernel's rows and columns where a register of their own holds them."""

    def bypass(self, words: LayerWords) -> bool:
        """Return whether every weight is 1."""

    def broadcast(self, words: LayerWords) -> bool:
        """Return whether depthwise outputs stay with their processor."""

    def next_layer(self, words: LayerWords, stop: int, *, linked: bool) -> int | None:
        """Return the layer that follows, None at the end; ``stop`` is the last layer by LCNT.

        ``linked``: a link, where there is one, is taken.
        """


def _window(word: Word, active: bool) -> tuple[int, int]:
    span, dilation = word.field(0, 4), word.field(4, 4) + 1
    if not active and (span or dilation > 1):
        raise word.refuse("a pooling window is set, but LCTL[7] does not turn pooling on")
    if span % dilation:
        raise word.refuse("the window is not a multiple of its dilation")
    return span // dilation + 1, dilation


def _pool(words: LayerWords, average_rounds: bool) -> Pool:
    lctl = words["LCTL"]
    active, maximum = lctl.flag(7), lctl.flag(8)
    rows, row_dilation = _window(words["PRCNT"], active)
    cols, col_dilation = _window(words["PCCNT"], active)
    stride = words["STRIDE"].field(0, 4) + 1
    return Pool(rows, cols, row_dilation, col_dilation, stride, active and not maximum, average_rounds)


def _spread_stride(
    words: LayerWords, pool: Pool, cols: Axis, kernel_cols: int, strides: Iterable[int]
) -> Pool:
    """Return ``pool`` with the one of ``strides`` for which the line buffer has the length of an output row.

    Other registers are the same for all strides; where two of them fit no source tells which is meant.
    """
    tptr = words["TPTR"]
    line = tptr.field(0, 16) - tptr.field(16, 16) + 1
    last = cols.size - pool.col_span
    fit = [s for s in strides if 2 * (last // s + 1) + 2 * cols.pad - kernel_cols + 1 == line]
    if len(fit) != 1:
        raise tptr.refuse(f"a line of {line} pixels fits {len(fit)} pooling strides")
    return replace(pool, stride=fit[0])


class Ai85:
    """MAX78000."""

    pointer_bits = 13
    control_mask = 0x80FFFE1F
    test_commands: Mapping[int, Command] = MappingProxyType(
        {
            1 << 0: ((Part.DATA,), 1 << 27 | 1 << 18),
            1 << 2: ((Part.WEIGHTS,), 1 << 27 | 1 << 19),
            1 << 4: ((Part.TRAM,), 1 << 27 | 1 << 20),
            1 << 6: ((Part.BIAS,), 1 << 27 | 1 << 21),
        }
    )
    pipelined = False
    marks_big_stream = False
    biased_eltwise = True
    skips_stream_bias = True

    def pool(self, words: LayerWords, average_rounds: bool) -> Pool:
        """Return the pooling window."""
        for name in ("PRCNT", "PCCNT"):
            if words[name].value > 0xF:
                raise words[name].refuse("pooling has no dilation here")
        return _pool(words, average_rounds)

    def spread_pool(self, words: LayerWords, pool: Pool, fetches: int, kernel_cols: int) -> Pool:
        """Return ``pool`` with its stride: the line buffer's length is all that depends on it."""
        cols = self._axis(words["CCNT"], transposed=True)
        return _spread_stride(words, pool, cols, kernel_cols, range(1, _MOST_STRIDE + 1))

    def frame(self, words: LayerWords, pool: Pool, fetches: int, transposed: bool) -> Frame:
        """Return the input map: RCNT and CCNT count the padded rows and columns."""
        rows, cols = self._axis(words["RCNT"], transposed), self._axis(words["CCNT"], transposed)
        for name, axis, span in (("RCNT", rows, pool.row_span), ("CCNT", cols, pool.col_span)):
            if axis.size < span:
                raise words[name].refuse(f"{axis.size} pixels are fewer than the pooling window's {span}")
        return Frame(rows, cols, cols.size, fetches)

    def _axis(self, word: Word, transposed: bool) -> Axis:
        pad = word.field(16, 2)
        size = word.field(0, 10) + 1 - 2 * pad
        if size < 1 or (transposed and size % 2):
            raise word.refuse(f"{size} pixels are left without the padding")
        return Axis(size // 2 if transposed else size, pad)

    def line(self, words: LayerWords) -> tuple[int, int, int]:
        """Return passes, words from output to output, and position field of LCTL2."""
        word = words["LCTL2"]
        return word.field(0, 4) + 1, word.field(4, 4) + 1, word.field(8, 9)

    def mask(self, words: LayerWords, bits: int, repeats: tuple[int, int]) -> Mask:
        """Return the kernels of a convolution."""
        word = words["MCNT"]
        start, last = word.field(16, 16), word.field(0, 16)
        if last < start or (last - start) % bits:
            raise word.refuse(f"the range of kernels is not a multiple of {bits} bits")
        return Mask(start, (last - start) // bits + 1)

    def pass_outputs(self, words: LayerWords) -> int:
        """Return output passes of a layer that only passes data through."""
        word = words["MCNT"]
        last = word.field(0, 16)
        if last % 8:
            raise word.refuse("the number of passes is not whole")
        return last // 8 + 1

    def kernel_size(self, words: LayerWords) -> tuple[int, int] | None:
        """Return None: there is no such field."""
        return None

    def bypass(self, words: LayerWords) -> bool:
        """Return False: there is no such bit."""
        return False

    def broadcast(self, words: LayerWords) -> bool:
        """Return False: there is no such bit."""
        return False

    def next_layer(self, words: LayerWords, stop: int, *, linked: bool) -> int | None:
        """Return the layer that follows: there is no link register."""
        return words.layer + 1 if words.layer < stop else None


class Ai87:
    """MAX78002."""

    pointer_bits = 15
    control_mask = 0xC0FFFFFF
    test_commands: Mapping[int, Command] = MappingProxyType(
        {
            0x1880: ((Part.LAYERS,), 1 << 25),
            0x1C80: ((Part.LAYERS, Part.BIAS), 1 << 25),
            0x1001: ((Part.DATA,), 1 << 18),
            0x2004: ((Part.WEIGHTS,), 1 << 19),
            0x3010: ((Part.TRAM,), 1 << 20),
            0x1C40: ((Part.BIAS,), 1 << 21),
        }
    )
    pipelined = True
    marks_big_stream = True
    biased_eltwise = False
    skips_stream_bias = False

    def pool(self, words: LayerWords, average_rounds: bool) -> Pool:
        """Return the pooling window."""
        return _pool(words, average_rounds)

    def spread_pool(self, words: LayerWords, pool: Pool, fetches: int, kernel_cols: int) -> Pool:
        """Return ``pool`` with its stride: it is also a factor of the pixel distance and of the row step."""
        pitch = words["STRIDE"].field(4, 28)
        ccnt = words["CCNT"]
        rest, step = ccnt.field(16, 16), words["RCNT"].field(16, 16)
        width = ccnt.field(0, 11) + rest
        _, pad = self._axis(ccnt, 1)
        strides = (
            s
            for s in range(1, _MOST_STRIDE + 1)
            if pitch % (s * max(1, fetches)) == 0 and step == (rest + (s - 1) * width) * (pitch // s)
        )
        return _spread_stride(words, pool, Axis(width // 2, pad), kernel_cols, strides)

    def frame(self, words: LayerWords, pool: Pool, fetches: int, transposed: bool) -> Frame:
        """Return the input map: RCNT and CCNT hold the last window's start and the way to the next row."""
        stride = words["STRIDE"]
        pitch = stride.field(4, 28)
        if pitch % pool.stride:
            raise stride.refuse("the pixel distance is not a multiple of the stride")
        pitch //= pool.stride
        rcnt, ccnt = words["RCNT"], words["CCNT"]
        last_row, row_pad = self._axis(rcnt, pool.stride)
        last_col, col_pad = self._axis(ccnt, pool.stride)
        rest = ccnt.field(16, 16)
        width = last_col + rest
        if rcnt.field(16, 16) != (rest + (pool.stride - 1) * width) * pitch:
            raise rcnt.refuse("the step to the next row does not fit the columns of CCNT")
        if last_col + pool.col_span > width:
            raise ccnt.refuse("the last pooling window reaches into the next row")
        several = last_row or last_col
        if several and (pitch < fetches or (fetches and pitch % fetches)):
            raise stride.refuse(f"pixels are {pitch} words apart, but {fetches} words of each are read")
        rows, cols = last_row + pool.row_span, last_col + pool.col_span
        if transposed:
            if pool.stride > 2 or rest - pool.col_span >= pool.stride:
                raise rcnt.refuse("more than one of the doubled rows or columns is left after pooling")
            rows, cols = rows + rows % pool.stride, width
            if rows % 2 or cols % 2:
                raise rcnt.refuse("a transposed convolution needs twice the rows and columns")
            rows, cols, width = rows // 2, cols // 2, width // 2
        return Frame(Axis(rows, row_pad), Axis(cols, col_pad), width, pitch)

    def _axis(self, word: Word, stride: int) -> tuple[int, int]:
        last = word.field(0, 11)
        pad = word.field(13, 2) + 1 if word.flag(15) else 0
        if last % stride:
            raise word.refuse(f"the last window starts at {last}, not a multiple of the stride {stride}")
        return last, pad

    def line(self, words: LayerWords) -> tuple[int, int, int]:
        """Return passes, words from output to output, and position field of LCTL2."""
        word = words["LCTL2"]
        return word.field(0, 4) + 1, word.field(4, 8) + 1, word.field(12, 9)

    def mask(self, words: LayerWords, bits: int, repeats: tuple[int, int]) -> Mask:
        """Return the kernels of a convolution; OCHAN counts them, by interleave and time slots."""
        last, first, outputs = words["MCNT1"], words["MCNT2"], words["OCHAN"]
        interleave, slots = repeats
        count, left = divmod((outputs.field(0, 20) + 1) * interleave, slots)
        start, end = first.field(0, 19), last.field(0, 19)
        if left:
            raise outputs.refuse(f"not a multiple of {slots} time slots")
        if interleave == 1 and not self.bypass(words) and end - start != (count - 1) * bits:
            raise last.refuse(f"the range of kernels does not fit OCHAN's count {count}")
        return Mask(start, count)

    def pass_outputs(self, words: LayerWords) -> int:
        """Return output passes of a layer that only passes data through."""
        word = words["MCNT2"]
        last = word.field(0, 19)
        if last % 8:
            raise word.refuse("the number of passes is not whole")
        words["OCHAN"].field(0, 20)
        return last // 8 + 1

    def kernel_size(self, words: LayerWords) -> tuple[int, int] | None:
        """Return the kernel's rows and columns from LCTL."""
        lctl = words["LCTL"]
        return lctl.field(22, 4) + 1, lctl.field(18, 4) + 1

    def bypass(self, words: LayerWords) -> bool:
        """Return whether every weight is 1."""
        return words["LCTL"].flag(30)

    def broadcast(self, words: LayerWords) -> bool:
        """Return whether depthwise outputs stay with their processor."""
        return words["LCTL"].flag(29)

    def next_layer(self, words: LayerWords, stop: int, *, linked: bool) -> int | None:
        """Return the layer that follows: NXT's target, or the next one up to ``stop``."""
        word = words["NXT"]
        if word.flag(8):
            return None
        link, target = word.flag(7), word.field(0, 7)
        if not link and target:
            raise word.refuse("a target without the link bit")
        if words.layer == stop:
            return None
        return target if link and linked else words.layer + 1


FORMATS: dict[str, RegisterFormat] = {"ai85": Ai85(), "ai87": Ai87()}
