"""Reports of programs that cannot go on: what happened, where, and the registers at that moment."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from synergyc.diagnostics import Diagnostic

ReportKind = Literal["fault", "not_modelled"]


@dataclass(frozen=True)
class FaultReport:
    """A fault of the program (``fault``) or something the emulator cannot do (``not_modelled``).

    ``address`` is that of the access, where there was one; ``handlers`` are the numbers of the exceptions
    being handled, outermost first.
    """

    kind: ReportKind
    reason: str
    address: int | None
    registers: dict[str, int]
    handlers: tuple[int, ...]
    at_ps: int

    @property
    def pc(self) -> int:
        """Address of the instruction."""
        return self.registers["pc"]

    def render(self, symbol_at: Callable[[int], str]) -> str:
        """Return the report as text, addresses of code with their symbols."""
        address = "" if self.address is None else f" at 0x{self.address:08x}"
        lines = [
            f"{self.reason}{address}",
            f"  at {self.at_ps / 1e6:.3f} us, pc 0x{self.pc:08x} ({symbol_at(self.pc)}),"
            f" called from 0x{self.registers['lr']:08x} ({symbol_at(self.registers['lr'] & ~1)})",
        ]
        if self.handlers:
            lines.append(
                f"  in the handler of exception {', '.join(str(number) for number in self.handlers)}"
            )
        values = [f"{name} 0x{value:08x}" for name, value in self.registers.items()]
        lines += ["  " + "  ".join(values[index : index + 6]) for index in range(0, len(values), 6)]
        return "\n".join(lines)

    def diagnostic(self, device: str, symbol_at: Callable[[int], str]) -> Diagnostic:
        """Return the report as a diagnostic about ``device``."""
        rule = "emulated-fault" if self.kind == "fault" else "not-modelled"
        return Diagnostic(rule, f"{device}: {self.render(symbol_at)}")
