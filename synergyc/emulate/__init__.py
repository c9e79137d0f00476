"""Emulated devices: CPU, accelerator, peripherals, boards, and several of them in one virtual time.

Nothing here knows networks, plans or generators: a board executes an ELF file and the register
accesses of that file, and nothing else.
"""
