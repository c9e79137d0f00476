"""Convolutions and paddings as the accelerator has them: one axis at a time, exact, or not at all.

A kernel of the hardware reads fixed offsets around each pixel. Smaller and lopsided kernels are filled up
with zeros. Larger and dilated ones become several kernels that read shifted copies of the input, side by side
as channels, so that all products still meet in one sum.
"""

from __future__ import annotations

from dataclasses import dataclass

TAPS = 3
"""Rows and columns of the hardware's largest two-dimensional kernel (targets: limits.conv2d_kernels)."""

LONGEST = 9
"""Taps of the longest one-dimensional kernel (limits.conv1d_max_kernel)."""

FOLDED_TAPS = 3
"""Taps of the longest dilated one: the hardware reads the sequence as rows of a map (izer/izer.py)."""

MAX_PAD = 2
"""Pixels of padding on each side (limits.padding)."""

POOL_WINDOW = 16
"""Rows and columns of a pooling window, and the largest stride (limits.pool_window, limits.pool_stride)."""


@dataclass(frozen=True)
class Axis:
    """A kernel along one axis: ``size`` pixels of input, ``taps`` (without gaps), padding on both sides."""

    size: int
    taps: int
    before: int
    after: int

    @property
    def outputs(self) -> int:
        """Pixels of the result."""
        return self.size + self.before + self.after - self.taps + 1


@dataclass(frozen=True)
class Fitted:
    """A kernel of ``taps`` with ``padding`` on both sides; the first tap of the old one is its ``shift``."""

    taps: int
    padding: int
    shift: int


def fit(axis: Axis, taps: int) -> Fitted | None:
    """Return the kernel of exactly ``taps`` that computes the same, if there is one."""
    odd = axis.before + axis.after - axis.taps + taps
    padding = odd // 2
    shift = padding - axis.before
    if odd % 2 or not 0 <= padding <= MAX_PAD or padding >= taps:
        return None
    if shift < 0 or shift + axis.taps > taps:
        return None
    return Fitted(taps, padding, shift)


@dataclass(frozen=True)
class Blocks:
    """Kernels of three taps that together make one larger one.

    ``bases`` are their first offsets; ``paddings`` those of the copying layers that shift by up to that, so
    that the last layer needs none.
    """

    bases: tuple[int, ...]
    paddings: tuple[int, ...]


def split(axis: Axis, layers: int) -> Blocks | None:
    """Return the blocks along an axis, if ``layers`` of copying are enough."""
    twice = 2 * layers + axis.before + axis.after - axis.taps + TAPS
    total = twice // 2
    if twice % 2 or not 0 <= total <= MAX_PAD * layers:
        return None
    low, high = -total, 2 * layers - total
    first, last = -axis.before, axis.taps - axis.before - TAPS
    if axis.taps <= TAPS:
        bases = {min(max(last, min(first, high), low), high)}
    else:
        bases = {min(first + start, last) for start in range(0, axis.taps, TAPS)}
    if any(not low <= base <= high for base in bases):
        return None
    covered = {base + tap for base in bases for tap in range(TAPS)}
    if not covered >= set(range(first, first + axis.taps)):
        return None
    paddings = [total // layers + (index < total % layers) for index in range(layers)]
    return Blocks(tuple(sorted(bases)), tuple(paddings))


def steps(base: int, paddings: tuple[int, ...]) -> tuple[int, ...]:
    """Return the tap, in a kernel of three, that each copying layer reads to shift by ``base`` in all.

    No two layers shift in opposite directions: what one moves off the map, the next would miss.
    """
    taps, left = [], base
    for padding in paddings:
        shift = min(max(left, -padding), TAPS - 1 - padding)
        taps.append(shift + padding)
        left -= shift
    return tuple(taps)
