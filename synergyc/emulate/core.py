"""A core that takes exceptions, sleeps and faults: CPU, interrupt controller, system registers."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum

from synergyc.emulate import exceptions
from synergyc.emulate.accelerator.errors import BusError, NotModelled
from synergyc.emulate.cpu import Cpu, Stop, StopKind
from synergyc.emulate.faults import FaultReport, ReportKind
from synergyc.emulate.nvic import (
    BUS_FAULT,
    HARD_FAULT,
    MEM_MANAGE,
    NMI,
    SUPERVISOR_CALL,
    SYS_TICK,
    USAGE_FAULT,
    Nvic,
)
from synergyc.emulate.system import PPB_BASE, PPB_BYTES, SystemControl
from synergyc.emulate.systick import SysTick
from synergyc.emulate.timeline import Timeline
from synergyc.emulate.timing import TAIL_CHAIN_CYCLES

_REPORTED = (*(f"r{index}" for index in range(13)), "sp", "lr", "pc", "xpsr")
_SLEEPDEEP, _SLEEPONEXIT = 4, 2
_HFSR_VECTTBL, _HFSR_FORCED, _HFSR_DEBUG = 1 << 1, 1 << 30, 1 << 31
_BFAR_VALID = 1 << 15

# Stop to the fault's exception and its bit in CFSR (DDI 0403, B3.2.15).
_FAULTS = {
    StopKind.UNDEFINED: (USAGE_FAULT, 1 << 16),
    StopKind.INVALID_STATE: (USAGE_FAULT, 1 << 17),
    StopKind.NO_FLOAT: (USAGE_FAULT, 1 << 19),
    StopKind.DATA_FAULT: (BUS_FAULT, 1 << 9 | _BFAR_VALID),
    StopKind.FETCH_FAULT: (BUS_FAULT, 1 << 8),
    StopKind.EXCEPTION_RETURN: (USAGE_FAULT, 1 << 18),
}
_BRANCH_TO_WFI = b"\xfd\xe7"
"""The second instruction of ``1: wfi; b 1b``."""
_FAULT_ENABLE_BITS = {MEM_MANAGE: 16, BUS_FAULT: 17, USAGE_FAULT: 18}


class RunEnd(Enum):
    """Why :meth:`Core.run` came back."""

    TIME = "time"
    """The end of the time span was reached."""
    IDLE = "idle"
    """Asleep or in an endless loop, and no event is left that could change that."""
    RESET = "reset"
    """The program asked for a reset."""
    HALT = "halt"
    """The program cannot go on; see :attr:`Core.halt`."""


class Core:
    """Runs a program in virtual time, with exceptions."""

    def __init__(self, cpu: Cpu, frequency_hz: int, interrupts: int, priority_bits: int) -> None:
        self.cpu = cpu
        self.timeline = Timeline(cpu.clock, frequency_hz)
        self.nvic = Nvic(interrupts, priority_bits, self.timeline.stop_soon)
        self.systick = SysTick(cpu.clock, self.timeline, lambda: self.nvic.pend(SYS_TICK))
        self.system = SystemControl(self.nvic, self.systick, cpu.clock, self.request_reset)
        cpu.map_bus(PPB_BASE, PPB_BYTES, self.system)
        self.halt: FaultReport | None = None
        self.faults: list[FaultReport] = []
        """All faults since power-up, also those that a handler took care of."""
        self.sleeping = False
        self.spinning = False
        """The program is in a branch to itself: only an interrupt ends that."""
        self.sleep_cycles = 0
        self.on_sleep: Callable[[int, int], None] | None = None
        """Called with begin and end of each time asleep, for timelines."""
        self._parked = False
        self._fault: FaultReport | None = None
        self._reset_requested = False

    def request_reset(self) -> None:
        """Let :meth:`run` come back for a reset before the next block."""
        self._reset_requested = True
        self.timeline.stop_soon()

    def reset(self, vector_table: int) -> None:
        """Begin at the reset vector of a table; raises BusError when it is not in memory."""
        self._reset_requested = False
        self.halt = self._fault = None
        self.sleeping = self.spinning = self._parked = False
        self.nvic.reset()
        self.systick.reset()
        self.system.reset(vector_table)
        stack, handler = self.cpu.read_words(vector_table, 2)
        self.cpu.write_many(xpsr=1 << 24, control=0, primask=0, basepri=0, faultmask=0)
        self.cpu.write_many(msp=stack, lr=0xFFFF_FFFF, pc=handler | 1)
        self.cpu.clock.float_used = 0
        self.cpu.clock.restart()

    def run(self, end_ps: int | None) -> RunEnd:
        """Run until a time (at most one block of instructions longer), or until nothing more can happen."""
        self.timeline.set_end(end_ps)
        while True:
            if self.timeline.is_due():
                self._fire_events()
                end_ps = self.timeline.end_ps  # what happens meanwhile may bring the end nearer
                if end_ps is not None and self.timeline.now_ps >= end_ps and not self._must_return():
                    return RunEnd.TIME
            if self._must_return():
                return RunEnd.HALT if self.halt is not None else RunEnd.RESET
            self._take_pending()
            if not (self._pass_time() if self.sleeping else self._execute()):
                # A fault's handler that ends in sleep or in a loop will not return: the fault was the end.
                self.halt = self._fault
                return RunEnd.IDLE if self._fault is None else RunEnd.HALT

    def _must_return(self) -> bool:
        return self.halt is not None or self._reset_requested

    def next_activity_ps(self) -> int | None:
        """Return when the CPU or a peripheral does something by itself next; None when never."""
        if self.halt is not None:
            return None
        waits = self._parked or ((self.sleeping or self.spinning) and self.nvic.next_pending() is None)
        if waits and not self._reset_requested:
            return self.timeline.next_ps()
        return self.timeline.now_ps

    def _fire_events(self) -> None:
        try:
            self.timeline.fire_due()
        except NotModelled as error:
            self.halt = self.report("not_modelled", str(error), error.address)

    def report(self, kind: ReportKind, reason: str, address: int | None) -> FaultReport:
        """Return a report of the present state."""
        registers = dict(zip(_REPORTED, self.cpu.read_many(*_REPORTED), strict=True))
        return FaultReport(kind, reason, address, registers, tuple(self.nvic.active), self.timeline.now_ps)

    def _execute(self) -> bool:
        """Run the CPU once; return False when it spins and nothing can end that."""
        self.timeline.arm()
        self.spinning = False
        try:
            stop = self.cpu.run()
        except NotModelled as error:
            self.halt = self.report("not_modelled", str(error), error.address)
            return True
        if stop.kind is StopKind.SPIN:
            return self._spin()
        if stop.kind is StopKind.SLEEP:
            self._sleep()
        elif stop.kind is StopKind.SUPERVISOR_CALL:
            self._raise(SUPERVISOR_CALL)
        elif stop.kind is StopKind.BREAKPOINT:
            self.system.hfsr |= _HFSR_DEBUG
            self._note_fault("breakpoint instruction", None)
            self._raise(HARD_FAULT)
        elif stop.kind is StopKind.EXCEPTION_RETURN:
            self._return_from_exception()
        elif stop.kind is not StopKind.LIMIT:
            self._raise_fault(stop)
        return True

    def _spin(self) -> bool:
        """Handle a branch to itself: time passes; in the handler of a fault, the program is at its end."""
        if self._fault is not None and any(HARD_FAULT <= n <= USAGE_FAULT for n in self.nvic.active):
            return False
        self.spinning = True
        return self._pass_time()

    def _sleep(self) -> None:
        self._parked = False
        if self.system.scr & _SLEEPDEEP:
            self.halt = self.report("not_modelled", "deep sleep (SCR.SLEEPDEEP) is not modelled", None)
        self.sleeping = True

    def _pass_time(self) -> bool:
        """Let time pass to the next event or the end; return False when no event is left."""
        next_ps = self.timeline.next_ps()
        if next_ps is None:
            return False
        end_ps = self.timeline.end_ps
        self.wait_to(next_ps if end_ps is None else min(next_ps, end_ps))
        return True

    def wait_to(self, at_ps: int) -> None:
        """Let time pass without executing, as :meth:`run` leaves it to the caller when it comes back idle."""
        began_ps = self.timeline.now_ps
        cycles = self.timeline.sleep_to(at_ps)
        if self.sleeping:
            self.sleep_cycles += cycles
            if self.on_sleep is not None and cycles:
                self.on_sleep(began_ps, self.timeline.now_ps)

    def skip_to(self, at_ps: int) -> None:
        """Let time pass without power: nothing is executed, and it counts as sleep."""
        self.sleep_cycles += self.timeline.sleep_to(at_ps)

    # --- exceptions -------------------------------------------------------------------------------------

    def _priority(self) -> int:
        primask, basepri, faultmask = self.cpu.read_many("primask", "basepri", "faultmask")
        return self.nvic.execution_priority(primask=primask, basepri=basepri, faultmask=faultmask)

    def _take_pending(self) -> None:
        """Enter the handler of the most urgent pending exception if it preempts; else watch the masks."""
        clock = self.cpu.clock
        number = self.nvic.next_pending()
        if number is None:
            clock.watch_masks = 0
            return
        primask, basepri, faultmask = self.cpu.read_many("primask", "basepri", "faultmask")
        unmasked = self.nvic.execution_priority(primask=0, basepri=basepri, faultmask=faultmask)
        preempts = self.nvic.preempts(number, unmasked)
        if preempts and (not primask or self.nvic.preempts(number, self._priority())):
            clock.watch_masks = 0
            self.sleeping = False
            self._enter(number)
            return
        clock.watch_masks = 1
        # WFI also ends for an interrupt that only PRIMASK holds back (DDI 0403, B1.5.19). A branch back to
        # the WFI would then run forever without any effect: the same as sleeping on.
        if self.sleeping and preempts:
            self._parked = self.cpu.read_memory(self.cpu.read("pc"), 2) == _BRANCH_TO_WFI
            self.sleeping = self._parked

    def _enter(self, number: int) -> None:
        handler = self._vector(number)
        if handler is None:
            return
        try:
            exceptions.enter(self.cpu, number, handler)
        except BusError as error:
            self.halt = self._fault or self.report(
                "fault", "stack outside memory on exception entry", error.address
            )
            return
        self.nvic.activate(number)

    def _vector(self, number: int) -> int | None:
        """Return the handler's address, or halt the program when the vector table is not in memory."""
        table = self.system.vector_table
        try:
            return self.cpu.read_words(table + 4 * number, 1)[0]
        except BusError as error:
            self.system.hfsr |= _HFSR_VECTTBL
            self.halt = self.report("fault", f"vector of exception {number} is not in memory", error.address)
            return None

    def _raise(self, number: int) -> None:
        """Enter a synchronous exception; one that cannot preempt becomes a HardFault, that in turn a halt."""
        if not self.nvic.preempts(number, self._priority()):
            if number == HARD_FAULT:
                reason = "fault inside the handler of HardFault or NMI (lockup)"
                self.halt = self._fault or self.report("fault", reason, None)
                return
            self.system.hfsr |= _HFSR_FORCED
            if self._fault is None:
                self._note_fault(f"exception {number} cannot preempt here", None)
            self._raise(HARD_FAULT)
            return
        self._enter(number)

    def _raise_fault(self, stop: Stop) -> None:
        number, status = _FAULTS[stop.kind]
        reason = f"{stop.kind.value}: {stop.reason}" if stop.reason else stop.kind.value
        has_address = stop.kind in (StopKind.DATA_FAULT, StopKind.FETCH_FAULT)
        self._note_fault(reason, stop.address if has_address else None)
        self.system.cfsr |= status
        if status & _BFAR_VALID:
            self.system.fault_address = stop.address
        enabled = self.system.shcsr >> _FAULT_ENABLE_BITS[number] & 1
        if not enabled:
            self.system.hfsr |= _HFSR_FORCED
        self._raise(number if enabled else HARD_FAULT)

    def _note_fault(self, reason: str, address: int | None) -> None:
        self._fault = self.report("fault", reason, address)
        self.faults.append(self._fault)

    def _return_from_exception(self) -> None:
        # Unicorn clears bit 0 of the value that was branched to.
        pc, faultmask = self.cpu.read_many("pc", "faultmask")
        exc_return = pc | 1
        active = self.nvic.active
        if not active or not exceptions.is_valid_return(exc_return, len(active)):
            self._raise_fault(
                Stop(StopKind.EXCEPTION_RETURN, reason=f"EXC_RETURN 0x{exc_return:08x} is not valid here")
            )
            return
        number = active[-1]
        self.nvic.deactivate(number)
        if faultmask and number != NMI:
            self.cpu.write("faultmask", 0)
        if HARD_FAULT <= number <= USAGE_FAULT:
            self._fault = None
        chained = self.nvic.next_pending()
        if chained is not None and self.nvic.preempts(chained, self._priority()):
            handler = self._vector(chained)
            if handler is not None:
                exceptions.start_handler(self.cpu, chained, handler, exc_return)
                self.nvic.activate(chained)
                self.cpu.clock.cycles += TAIL_CHAIN_CYCLES
            return
        try:
            exceptions.leave(self.cpu, exc_return)
        except BusError as error:
            self.halt = self.report("fault", "stack outside memory on exception return", error.address)
            return
        if self.system.scr & _SLEEPONEXIT and not active:
            self._sleep()
