"""What a known-answer run showed."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from enum import StrEnum

from synergyc.diagnostics import Diagnostic


class Status(StrEnum):
    """How a run ended; only ``PASS`` is success."""

    PASS = "pass"  # noqa: S105 - not a password
    FAIL = "fail"
    HANG = "hang"
    FAULT = "fault"
    NOT_MODELLED = "not_modelled"


@dataclass(frozen=True)
class LayerCycles:
    """A hardware layer: the accelerator clock cycles that it took, and what its registers asked for."""

    layer: int
    cycles: int
    summary: str


@dataclass(frozen=True)
class KatReport:
    """Result of a known-answer run.

    ``cycles`` and ``layers`` are accelerator clock cycles of the last inference; ``accelerator_busy_cycles``
    counts all ``accelerator_runs`` (in one-shot mode, a run for each layer). ``instructions`` and
    ``cpu_cycles`` are the processor's, from reset to the end; ``time_s`` is that span in virtual time.
    ``flash_bytes`` and ``ram_bytes`` are what the image takes of the chip's memories, without the stack.
    """

    status: Status
    device: str
    cycles: int
    layers: tuple[LayerCycles, ...]
    console: str
    accelerator_runs: int
    accelerator_busy_cycles: int
    instructions: int
    cpu_cycles: int
    time_s: float
    flash_bytes: int
    ram_bytes: int
    diagnostics: tuple[Diagnostic, ...] = ()

    def to_json(self) -> dict[str, object]:
        """Return the document that ``synergyc kat --json`` prints."""
        return {**asdict(self), "diagnostics": [item.to_json() for item in self.diagnostics]}
