"""Cost in CPU cycles of a straight run of Thumb-2 instructions on a Cortex-M4.

Source: Cortex-M4 Technical Reference Manual (ARM DDI 0439), tables 3-1 (processor instructions) and
7-1 (floating point). The costs are static: what the manual gives as a range takes a fixed value from
the constants below, and instructions that an IT block skips cost as much as those it executes.
Memory is taken to answer without wait states, as the instruction cache lets it.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntFlag

REFILL_CYCLES = 2
"""Pipeline refill after a taken branch; the manual gives 1 to 3, depending on alignment and width."""
DIVIDE_CYCLES = 7
"""SDIV and UDIV; the manual gives 2 to 12, depending on the operands."""
FLOAT_DIVIDE_CYCLES = 14
"""VDIV.F32 and VSQRT.F32."""
EXCEPTION_ENTRY_CYCLES = 12
"""From the recognition of an exception to the first instruction of its handler (DDI 0439, 3.9.1)."""
EXCEPTION_EXIT_CYCLES = 12
"""Unstacking; the manual names no number, taken equal to stacking."""
TAIL_CHAIN_CYCLES = 6
"""From one handler straight to the next (DDI 0439, 3.9.1)."""


class BlockFlag(IntFlag):
    """What the run loop must know about a block beyond its cost."""

    NONE = 0
    FLOAT = 1
    """Uses the floating point unit: needs CPACR, makes the FP context active."""
    MASKS = 2
    """May change PRIMASK, FAULTMASK or BASEPRI: a pending interrupt may become executable after it."""
    SPIN = 4
    """Is nothing but a branch to itself: only an interrupt ends it."""


@dataclass(frozen=True)
class BlockCost:
    """Cycles (without the refill of a taken final branch) and instructions of a block."""

    cycles: int
    instructions: int
    flags: BlockFlag


_SPIN_BLOCKS = (b"\xfe\xe7", b"\xff\xf7\xfe\xbf", b"\xff\xf7\xfe\xff")
"""``b .`` in its 16-bit and 32-bit encoding, ``bl .`` (the MSDK's start-up ends in that)."""


def block_cost(code: bytes) -> BlockCost:
    """Return the cost of the instructions in ``code``, a whole block of Thumb-2 halfwords."""
    if code in _SPIN_BLOCKS:
        return BlockCost(1, 1, BlockFlag.SPIN)
    cycles = instructions = 0
    flags = BlockFlag.NONE
    after_transfer = False
    offset = 0
    while offset + 2 <= len(code):
        first = int.from_bytes(code[offset : offset + 2], "little")
        offset += 2
        if first >> 11 in (0b11101, 0b11110, 0b11111):
            second = int.from_bytes(code[offset : offset + 2], "little")
            offset += 2
            cost, transfer, flag = _wide(first, second)
        else:
            cost, transfer, flag = _narrow(first)
        # A single load or store behind another one overlaps its address phase (DDI 0439, 3.3.2).
        cycles += 1 if transfer and after_transfer else cost
        after_transfer = transfer
        instructions += 1
        flags |= flag
    return BlockCost(cycles, instructions, flags)


_PLAIN = (1, False, BlockFlag.NONE)
_LOAD = (2, True, BlockFlag.NONE)
_STORE = (1, True, BlockFlag.NONE)


def _multiple(words: int) -> tuple[int, bool, BlockFlag]:
    return 1 + words, False, BlockFlag.NONE


def _narrow(code: int) -> tuple[int, bool, BlockFlag]:
    """Return cycles, whether it is a single load or store, and flags of a 16-bit instruction."""
    top = code >> 11
    if top == 0b01001:  # LDR literal
        return _LOAD
    if code >> 12 == 0b0101:  # load or store with a register offset; opcodes 3 to 7 load
        return _LOAD if (code >> 9) & 7 >= 3 else _STORE
    if 0b01100 <= top <= 0b10011:  # load or store with an immediate offset; bit 11 is the direction
        return _LOAD if top & 1 else _STORE
    if code >> 12 == 0b1100:  # LDM, STM
        return _multiple((code & 0xFF).bit_count())
    if code & 0xF600 == 0xB400:  # PUSH, POP
        return _multiple((code & 0x1FF).bit_count())
    if code & 0xFFE8 == 0xB660:  # CPS
        return 1, False, BlockFlag.MASKS
    return _PLAIN


def _wide(first: int, second: int) -> tuple[int, bool, BlockFlag]:
    """Return cycles, whether it is a single load or store, and flags of a 32-bit instruction."""
    if first & 0xEC00 == 0xEC00 and (second >> 8) & 0xE == 0xA:  # coprocessors 10 and 11
        return _float(first, second), False, BlockFlag.FLOAT
    if first & 0xFE00 == 0xE800:
        if first & 0x0040 == 0:  # LDM, STM
            return _multiple(second.bit_count())
        if first & 0xFFF0 == 0xE8D0:
            if second & 0xFFE0 == 0xF000:  # TBB, TBH
                return 2, False, BlockFlag.NONE
            return _LOAD  # LDREXB, LDREXH
        if first & 0xFFE0 == 0xE840:  # LDREX, STREX
            return 2, False, BlockFlag.NONE
        return _multiple(2)  # LDRD, STRD
    if first & 0xFE00 == 0xF800:
        return _LOAD if first & 0x0010 else _STORE
    if first & 0xFFE0 == 0xF380 and second & 0xD000 == 0x8000:  # MSR
        return 2, False, BlockFlag.MASKS
    if first == 0xF3EF and second & 0xD000 == 0x8000:  # MRS
        return 2, False, BlockFlag.NONE
    if first & 0xFFF0 == 0xFB00 and second & 0xF0E0 != 0xF000 and second & 0xE0 == 0:  # MLA, MLS
        return 2, False, BlockFlag.NONE
    if first & 0xFFD0 == 0xFB90:  # SDIV, UDIV
        return DIVIDE_CYCLES, False, BlockFlag.NONE
    return _PLAIN


def _float(first: int, second: int) -> int:
    """Return the cycles of a floating point instruction (DDI 0439, table 7-1)."""
    if first & 0xFE00 == 0xEC00:
        if first & 0xFFE0 == 0xEC40:  # VMOV between two core registers and two single registers
            return 2
        words = second & 0xFF
        if first & 0x0120 == 0x0100:  # VLDR, VSTR
            return 3 if second & 0x0100 else 2
        return 1 + words  # VLDM, VSTM, VPUSH, VPOP
    if second & 0x10:  # transfers between core and floating point registers
        return 1
    operation = first & 0xFFB0
    if operation == 0xEE80 and second & 0x40 == 0:
        return FLOAT_DIVIDE_CYCLES
    if first & 0xFFBF == 0xEEB1 and second & 0xC0 == 0xC0:
        return FLOAT_DIVIDE_CYCLES
    return 3 if operation in (0xEE00, 0xEE10, 0xEE90, 0xEEA0) else 1  # VMLA, VNMLA, VFNMA, VFMA families
