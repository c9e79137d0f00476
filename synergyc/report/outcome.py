"""What a run on emulated devices showed, beside what was predicted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class AppOutcome:
    """One app: ``sent`` runs were sensed; each was delivered right, delivered wrong, or dropped."""

    name: str
    sent: int
    right: int
    wrong: int
    dropped: int
    throughput_hz: float
    predicted_throughput_hz: float
    predicted_latency_ms: float
    accuracy: Mapping[str, float] | None
    """Share of right answers of the float model, the integer reference and the devices, same samples."""

    @property
    def ok(self) -> bool:
        """Whether every run was delivered and right."""
        return self.right == self.sent and self.wrong == 0


@dataclass(frozen=True)
class UnitOutcome:
    """One unit of a device: its work for one run, predicted and emulated, and its share of busy time.

    ``clock_hz`` turns microseconds into the unit's own cycles; None where it has none (a link).
    """

    device: str
    unit: str
    predicted_us: float
    emulated_us: float
    busy: float
    clock_hz: int | None

    @property
    def predicted_cycles(self) -> int | None:
        """Predicted work of one run in cycles of the unit's clock."""
        return None if self.clock_hz is None else round(self.predicted_us * self.clock_hz / 1e6)

    @property
    def emulated_cycles(self) -> int | None:
        """Emulated work of one run in cycles of the unit's clock."""
        return None if self.clock_hz is None else round(self.emulated_us * self.clock_hz / 1e6)


@dataclass(frozen=True)
class DeviceOutcome:
    """What one device did: its units, and what it reported of itself."""

    name: str
    units: tuple[UnitOutcome, ...]
    instructions: int
    resent_frames: int
    stack_bytes: int


@dataclass(frozen=True)
class RunOutcome:
    """A whole run."""

    apps: tuple[AppOutcome, ...]
    devices: tuple[DeviceOutcome, ...]
    virtual_s: float

    @property
    def ok(self) -> bool:
        """Whether every result of every app was right."""
        return all(app.ok for app in self.apps)
