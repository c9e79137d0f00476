"""Speed of the emulated CPU: ``python benchmarks/cpu.py [--json]``.

Runs hand-assembled loops in virtual time, with both forms of the block hook, and prints host seconds and
emulated instructions per second of processor time, which other load changes little. ``realtime`` is virtual
seconds per host second at 100 MHz.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import asdict, dataclass

from synergyc.emulate.clock import native_library
from synergyc.emulate.cpu import Cpu, StopKind

_CODE_BASE = 0x1000_0000
_DATA_BASE = 0x2000_0000
_LOOPS = {
    # add r0, r1, #1 / eors / lsls / adds / b loop
    "arithmetic": "0844 4840 4900 0131 fae7",
    # ldr r2, [r4] / adds r2, #1 / str r2, [r4] / subs r5, #1 / bne loop / b loop
    "memory": "2268 0132 2260 013d fad1 f9e7",
    # movs r0..r7, ten adds, b loop: long blocks
    "long-blocks": "0020 0121 0222 0323 0844 1144 1a44 2344 0844 1144 1a44 2344 0844 1144 f0e7",
}


@dataclass(frozen=True)
class Result:
    """One measurement."""

    loop: str
    hook: str
    instructions: int
    cycles: int
    seconds: float

    @property
    def instructions_per_s(self) -> float:
        """Emulated instructions per host second."""
        return self.instructions / self.seconds


def measure(loop: str, native: bool, cycles: int) -> Result:
    """Run a loop for a number of CPU cycles, in slices of 100,000 as a simulation does."""
    cpu = Cpu("cortex-m4", native)
    cpu.map_memory(_CODE_BASE, 0x1000, writable=False)
    cpu.map_memory(_DATA_BASE, 0x1000, writable=True)
    cpu.write_memory(_CODE_BASE, bytes.fromhex(_LOOPS[loop]))
    cpu.write_many(pc=_CODE_BASE | 1, r4=_DATA_BASE, sp=_DATA_BASE + 0x1000)
    began = time.process_time()
    while cpu.clock.cycles < cycles:
        cpu.clock.limit = min(cpu.clock.cycles + 100_000, cycles)
        stop = cpu.run()
        if stop.kind is not StopKind.LIMIT:
            raise RuntimeError(f"the loop stopped: {stop}")
    seconds = time.process_time() - began
    return Result(loop, "native" if native else "python", cpu.clock.instructions, cpu.clock.cycles, seconds)


def main() -> None:
    """Print one line, or one JSON document, for all measurements."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.add_argument(
        "--cycles", type=int, default=100_000_000, help="CPU cycles of each native measurement"
    )
    arguments = parser.parse_args()
    hooks = [(False, arguments.cycles // 20)]
    if native_library() is not None:
        hooks.insert(0, (True, arguments.cycles))
    results = [measure(loop, native, cycles) for native, cycles in hooks for loop in _LOOPS]
    if arguments.json:
        print(
            json.dumps([{**asdict(r), "instructions_per_s": r.instructions_per_s} for r in results], indent=2)
        )
        return
    for result in results:
        mips = result.instructions_per_s / 1e6
        realtime = result.cycles / 1e8 / result.seconds
        print(
            f"{result.hook:7} {result.loop:12} {mips:8.1f} million instructions/s {realtime:6.2f} x real time"
        )


if __name__ == "__main__":
    main()
