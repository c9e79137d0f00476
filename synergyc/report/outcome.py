"""What a run on emulated devices showed, beside what was predicted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Latency:
    """Distribution of the time from sensing to the result, in milliseconds."""

    p50_ms: float
    p95_ms: float
    max_ms: float
    mean_ms: float


@dataclass(frozen=True)
class FirstDifference:
    """Where a run whose result was wrong leaves the reference when it is run again, alone and undisturbed.

    ``layer``, in the user's terms, is None where no layer does; ``device`` and ``segment`` too.
    """

    run: int
    message: str
    layer: str | None = None
    device: str | None = None
    segment: str | None = None

    def __str__(self) -> str:
        return f"run {self.run}: {self.message}"


@dataclass(frozen=True)
class AppOutcome:
    """One app: ``sent`` runs were sensed; each was delivered right, delivered wrong, or dropped.

    ``latency`` is None where nothing was delivered.
    """

    name: str
    sent: int
    right: int
    wrong: int
    dropped: int
    throughput_hz: float
    latency: Latency | None
    predicted_throughput_hz: float
    predicted_latency_ms: float
    predicted_energy_uj: float
    """Of one run, above what the devices take when idle."""
    accuracy: Mapping[str, float] | None
    """Share of right answers on the same samples by stage, from ``float`` to ``reference``, ``emulated``."""
    wrong_run: int | None = None
    """The first run whose result was wrong."""
    first_difference: FirstDifference | None = None

    def ok(self, *, disturbed: bool) -> bool:
        """Whether every run was delivered and right; a disturbed one may also have been dropped."""
        accounted = self.right + (self.dropped if disturbed else 0)
        return self.wrong == 0 and self.right > 0 and accounted == self.sent


@dataclass(frozen=True)
class UnitOutcome:
    """One unit of a device: its work for one run, predicted and emulated, and its share of busy time.

    ``clock_hz`` turns microseconds into the unit's own cycles; None where it has none (a link).
    """

    device: str
    unit: str
    predicted_us: float | None
    """None of a shared unit: the plan counts a channel as a whole, not each device's part."""
    emulated_us: float
    busy: float
    clock_hz: int | None
    shared: bool = False
    """Whether all devices share the unit: a radio channel."""
    held_us: float = 0.0
    """Further time of one run in which the unit can do nothing else: loading and unloading an accelerator."""

    @property
    def predicted_cycles(self) -> int | None:
        """Predicted work of one run in cycles of the unit's clock."""
        if self.clock_hz is None or self.predicted_us is None:
            return None
        return round(self.predicted_us * self.clock_hz / 1e6)

    @property
    def emulated_cycles(self) -> int | None:
        """Emulated work of one run in cycles of the unit's clock."""
        return None if self.clock_hz is None else round(self.emulated_us * self.clock_hz / 1e6)


@dataclass(frozen=True)
class SwapOutcome:
    """Loads of weights from flash, for all runs, and the mean time of one; predicted and emulated."""

    loads: int
    load_ms: float
    predicted_loads: float
    predicted_load_ms: float


@dataclass(frozen=True)
class DeviceOutcome:
    """What one device did: its units, and what it reported of itself."""

    name: str
    units: tuple[UnitOutcome, ...]
    instructions: int
    sent_frames: int
    resent_frames: int
    dropped_tensors: int
    lost_peers: int
    refused_frames: int
    """Of secured links: forged, replayed, or of another session."""
    boots: int
    stack_bytes: int
    ram_bytes: int
    energy_uj: float
    """Of all runs, above what the device takes when idle, by the cost model's figures and emulated work."""
    swap: SwapOutcome | None = None
    """None where all weights stay in place."""


@dataclass(frozen=True)
class PlanChange:
    """A device went over to another plan: ``devices`` were there; ``dropped`` runs were under way."""

    device: str
    plan: int
    devices: tuple[str, ...]
    at_s: float
    dropped: int
    took_ms: float
    predicted_ms: float
    """For loading weights, where they are not in place."""


@dataclass(frozen=True)
class PlanPhase:
    """What an app delivered on a device while a plan was in force, from the first to the last result."""

    app: str
    device: str
    plan: int
    begin_s: float
    end_s: float
    results: int
    throughput_hz: float
    predicted_hz: float


@dataclass(frozen=True)
class RunOutcome:
    """A whole run."""

    apps: tuple[AppOutcome, ...]
    devices: tuple[DeviceOutcome, ...]
    virtual_s: float
    sequential: bool = False
    disturbed: bool = False
    """Whether links or devices were given faults, so that runs may be dropped."""
    on_boards: bool = False
    """Whether these were real boards: ``virtual_s`` is the host's time, and ``devices`` is empty."""
    changes: tuple[PlanChange, ...] = ()
    phases: tuple[PlanPhase, ...] = ()
    """Empty if no device changed its plan."""
    late: tuple[str, ...] = ()
    """Incidents that came after the last result: they disturbed nothing."""

    @property
    def ok(self) -> bool:
        """Whether every result of every app was right, and none was lost without a reason."""
        return all(app.ok(disturbed=self.disturbed) for app in self.apps)

    @property
    def energy_uj(self) -> float:
        """Energy of one run of every app above idle, as emulated."""
        rounds = max((app.sent for app in self.apps), default=0)
        return sum(device.energy_uj for device in self.devices) / rounds if rounds else 0.0

    @property
    def bound_hz(self) -> float:
        """Rate of runs of every app that the busiest unit allows, by its work in this run."""
        work_us: dict[str, float] = {}
        for device in self.devices:
            for unit in device.units:
                key = unit.unit if unit.shared else f"{device.name}.{unit.unit}"
                work_us[key] = work_us.get(key, 0.0) + unit.emulated_us + unit.held_us
        busiest_us = max(work_us.values(), default=0.0)
        return 1e6 / busiest_us if busiest_us else 0.0
