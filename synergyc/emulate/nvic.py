"""The nested vectored interrupt controller: which exception is pending, active, and may preempt.

Source: ARMv7-M Architecture Reference Manual (ARM DDI 0403), B1.5 (exception model) and B3.4 (NVIC).
Exceptions are named by their number: 3 is HardFault, interrupt n is 16 + n. Lower priority values are more
urgent; NMI and HardFault have -2 and -1.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

NMI, HARD_FAULT, MEM_MANAGE, BUS_FAULT, USAGE_FAULT = 2, 3, 4, 5, 6
SUPERVISOR_CALL, DEBUG_MONITOR, PEND_SV, SYS_TICK = 11, 12, 14, 15
FIRST_INTERRUPT = 16
THREAD_PRIORITY = 256
"""Less urgent than any exception: the priority of code outside handlers."""
_FIXED_PRIORITIES = {NMI: -2, HARD_FAULT: -1}


def _bits(mask: int) -> Iterator[int]:
    while mask:
        low = mask & -mask
        yield low.bit_length() - 1
        mask ^= low


class Nvic:
    """State of all exceptions, as bit masks over exception numbers.

    ``on_change`` is called when an exception may have become executable.
    """

    def __init__(self, interrupts: int, priority_bits: int, on_change: Callable[[], None]) -> None:
        self.count = FIRST_INTERRUPT + interrupts
        self._priority_mask = 0xFF & ~(0xFF >> priority_bits)
        self._on_change = on_change
        self.reset()

    def reset(self) -> None:
        """Return to the state after reset; lines keep their level until their peripheral changes it."""
        # System exceptions cannot be disabled here; their own enables are checked where they are raised.
        self.enabled = (1 << FIRST_INTERRUPT) - 1
        self.pending = 0
        self.active: list[int] = []
        self._lines = 0
        self._priorities = bytearray(self.count)
        self.priority_group = 0

    def priority(self, number: int) -> int:
        """Return the priority of an exception: -2, -1, or 0..255."""
        fixed = _FIXED_PRIORITIES.get(number)
        return self._priorities[number] if fixed is None else fixed

    def set_priority(self, number: int, value: int) -> None:
        """Set the priority byte; bits that are not implemented stay 0."""
        self._priorities[number] = value & self._priority_mask
        self._on_change()

    def set_line(self, interrupt: int, level: bool) -> None:
        """Set the level of a peripheral's interrupt line; a high line pends its interrupt."""
        number = FIRST_INTERRUPT + interrupt
        bit = 1 << number
        if not level:
            self._lines &= ~bit
        elif not self._lines & bit:
            self._lines |= bit
            self.pend(number)

    def pend(self, number: int) -> None:
        """Make an exception pending."""
        self.pending |= 1 << number
        self._on_change()

    def clear_pending(self, number: int) -> None:
        """Withdraw a pending exception; a line that is still high pends it again."""
        self.pending &= ~(1 << number)
        if number not in self.active:
            self.pending |= self._lines & (1 << number)

    def enable(self, mask: int) -> None:
        """Enable exceptions given as a mask over exception numbers."""
        self.enabled |= mask
        self._on_change()

    def disable(self, mask: int) -> None:
        """Disable interrupts given as a mask over exception numbers."""
        self.enabled &= ~mask

    def activate(self, number: int) -> None:
        """Begin the handler of an exception."""
        self.pending &= ~(1 << number)
        self.active.append(number)

    def deactivate(self, number: int) -> None:
        """End a handler; a line that is still high pends its interrupt again."""
        self.active.remove(number)
        self.pending |= self._lines & (1 << number)

    def execution_priority(self, *, primask: int, basepri: int, faultmask: int) -> int:
        """Return the priority below which (numerically) an exception preempts (DDI 0403, B1.5.4)."""
        priority = min(
            (self._group(self.priority(number)) for number in self.active), default=THREAD_PRIORITY
        )
        if basepri:
            priority = min(priority, self._group(basepri & self._priority_mask))
        if primask & 1:
            priority = min(priority, 0)
        if faultmask & 1:
            priority = min(priority, -1)
        return priority

    def next_pending(self) -> int | None:
        """Return the most urgent exception that is pending and enabled, the lowest number first."""
        candidates = self.pending & self.enabled
        if not candidates:
            return None
        if not candidates & candidates - 1:
            return candidates.bit_length() - 1
        return min(_bits(candidates), key=lambda number: (self.priority(number), number))

    def preempts(self, number: int, execution_priority: int) -> bool:
        """Return whether an exception may interrupt code of a priority."""
        return self._group(self.priority(number)) < execution_priority

    def _group(self, priority: int) -> int:
        """Return the part of a priority that decides about preemption (AIRCR.PRIGROUP)."""
        return priority if priority < 0 else priority & ~((2 << self.priority_group) - 1)
