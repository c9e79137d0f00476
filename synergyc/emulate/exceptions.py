"""Exception entry and return of ARMv7-M, on the registers and the stack of a :class:`Cpu`.

Source: ARMv7-M Architecture Reference Manual (ARM DDI 0403), B1.5.6 (entry), B1.5.8 (return). Floating point
registers are stacked at once when the FP context is active: lazy stacking differs only in time.
"""

from __future__ import annotations

from synergyc.emulate.cpu import Cpu
from synergyc.emulate.timing import EXCEPTION_ENTRY_CYCLES, EXCEPTION_EXIT_CYCLES

_BASIC_BYTES = 0x20
_EXTENDED_BYTES = 0x68
_XPSR_THUMB = 1 << 24
_XPSR_ALIGNED = 1 << 9
"""Set in the stacked xPSR when the stack pointer was moved by 4 to align the frame to 8 bytes."""
_XPSR_FLAGS = 0xF80F_0000
_XPSR_IT = 0x0600_FC00
_EXC_RETURN = 0xFFFF_FFE1
"""Bits that EXC_RETURN always has; bit 4: basic frame, bit 3: to thread mode, bit 2: on the process stack."""
_RETURN_BASIC, _RETURN_THREAD, _RETURN_PROCESS = 0x10, 0x8, 0x4
_CONTROL_PROCESS_STACK, _CONTROL_FLOAT = 2, 4


def enter(cpu: Cpu, number: int, handler: int) -> None:
    """Stack the context and set the registers for the handler at ``handler`` of exception ``number``.

    Raises BusError when the stack is not in memory.
    """
    *registers, xpsr, control, stack = cpu.read_many(
        "r0", "r1", "r2", "r3", "r12", "lr", "pc", "xpsr", "control", "sp"
    )
    in_thread = xpsr & 0x1FF == 0
    has_float = bool(cpu.clock.float_used)
    aligned = stack & 4
    frame = stack - (_EXTENDED_BYTES if has_float else _BASIC_BYTES) & ~7 & 0xFFFF_FFFF
    words = (
        *registers,
        (xpsr & (_XPSR_FLAGS | _XPSR_IT | 0x1FF)) | _XPSR_THUMB | (_XPSR_ALIGNED if aligned else 0),
    )
    if has_float:
        words = (*words, *cpu.read_floats(), cpu.read("fpscr"), 0)
    cpu.write_words(frame, words)
    on_process_stack = in_thread and control & _CONTROL_PROCESS_STACK
    exc_return = (
        _EXC_RETURN
        | (0 if has_float else _RETURN_BASIC)
        | (_RETURN_THREAD if in_thread else 0)
        | (_RETURN_PROCESS if on_process_stack else 0)
    )
    # In this order: the stack pointer just set belongs to the old mode; CONTROL selects the main stack.
    cpu.write_many(sp=frame, control=control & 1)
    start_handler(cpu, number, handler, exc_return)
    cpu.clock.float_used = 0
    cpu.clock.cycles += EXCEPTION_ENTRY_CYCLES


def start_handler(cpu: Cpu, number: int, handler: int, exc_return: int) -> None:
    """Set the registers with which a handler begins, leaving the stack as it is."""
    cpu.write_many(xpsr=_XPSR_THUMB | number, lr=exc_return, pc=handler | 1)
    cpu.clock.restart()


def leave(cpu: Cpu, exc_return: int) -> None:
    """Restore the context that ``exc_return`` names, at the end of the last handler on the stack.

    Raises BusError when the stack is not in memory.
    """
    to_thread = bool(exc_return & _RETURN_THREAD)
    on_process_stack = to_thread and bool(exc_return & _RETURN_PROCESS)
    has_float = not exc_return & _RETURN_BASIC
    main_stack, process_stack, control = cpu.read_many("msp", "psp", "control")
    frame = process_stack if on_process_stack else main_stack
    r0, r1, r2, r3, r12, lr, pc, xpsr = cpu.read_words(frame, 8)
    stack = frame + (_EXTENDED_BYTES if has_float else _BASIC_BYTES)
    if has_float:
        *floats, fpscr = cpu.read_words(frame + _BASIC_BYTES, 17)
        cpu.write_floats(tuple(floats))
        cpu.write("fpscr", fpscr)
    if xpsr & _XPSR_ALIGNED:
        stack += 4
    control = control & 1 | (_CONTROL_PROCESS_STACK if on_process_stack else 0)
    # The exception number first: it brings the core back to the mode whose stack pointer is to be set.
    cpu.write_many(
        xpsr=xpsr & (_XPSR_FLAGS | _XPSR_IT | 0x1FF) | _XPSR_THUMB,
        control=control | (_CONTROL_FLOAT if has_float else 0),
        sp=stack & 0xFFFF_FFFF,
        r0=r0,
        r1=r1,
        r2=r2,
        r3=r3,
        r12=r12,
        lr=lr,
        pc=pc | 1,
    )
    cpu.clock.float_used = int(has_float)
    cpu.clock.cycles += EXCEPTION_EXIT_CYCLES
    cpu.clock.restart()


def is_valid_return(exc_return: int, handlers_active: int) -> bool:
    """Return whether EXC_RETURN is one that the architecture allows with that many handlers active."""
    if exc_return & ~_RETURN_BASIC not in (0xFFFF_FFE1, 0xFFFF_FFE9, 0xFFFF_FFED):
        return False
    return bool(exc_return & _RETURN_THREAD) == (handlers_active == 1)
