"""What a known-answer run showed."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields
from enum import StrEnum

import numpy as np
import numpy.typing as npt

from synergyc.diagnostics import Diagnostic


class Status(StrEnum):
    """How a run ended; only ``PASS`` is success."""

    PASS = "pass"  # noqa: S105 - not a password
    FAIL = "fail"
    HANG = "hang"
    FAULT = "fault"
    NOT_MODELLED = "not_modelled"


@dataclass(frozen=True)
class LayerTrace:
    """A hardware layer of the last inference.

    ``cycles`` are accelerator clock cycles, ``summary`` says what its registers asked for, ``output`` is
    what it computed: (channels, rows, columns), int8 or int32, channels in the order the hardware makes them.
    """

    layer: int
    cycles: int
    summary: str
    output: npt.NDArray[np.int8] | npt.NDArray[np.int32] = field(repr=False, compare=False)


@dataclass(frozen=True)
class MemoryUsed:
    """Bytes taken of flash and RAM (without the stack) by the image, of the accelerator's by the network."""

    flash_bytes: int
    ram_bytes: int
    weight_bytes: int
    bias_bytes: int
    data_bytes: int


@dataclass(frozen=True)
class KatReport:
    """Result of a known-answer run.

    ``cycles`` and ``layers`` are accelerator clock cycles of the last inference; ``accelerator_busy_cycles``
    counts all ``accelerator_runs`` (in one-shot mode, a run for each layer). ``instructions`` and
    ``cpu_cycles`` are the processor's, from reset to the end; ``time_s`` is that span in virtual time.
    ``diagnostics`` say why ``status`` is not PASS; ``warnings`` what is wrong whatever the status.
    """

    status: Status
    device: str
    cycles: int
    layers: tuple[LayerTrace, ...]
    console: str
    accelerator_runs: int
    accelerator_busy_cycles: int
    instructions: int
    cpu_cycles: int
    time_s: float
    memory: MemoryUsed
    diagnostics: tuple[Diagnostic, ...] = ()
    warnings: tuple[Diagnostic, ...] = ()

    def to_json(self) -> dict[str, object]:
        """Return the document that ``synergyc kat --json`` prints; tensors are left out."""
        document: dict[str, object] = {item.name: getattr(self, item.name) for item in fields(self)}
        document["layers"] = [
            {
                "layer": layer.layer,
                "cycles": layer.cycles,
                "summary": layer.summary,
                "output_shape": list(layer.output.shape),
            }
            for layer in self.layers
        ]
        document["memory"] = asdict(self.memory)
        for name in ("diagnostics", "warnings"):
            document[name] = [item.to_json() for item in getattr(self, name)]
        return document
