"""What the planner decides: which layers run on which device, and what it expects of that."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

Basis = Literal["given", "measured", "formula", "emulated", "assumed"]
"""What a figure stands on: the app file, a published measurement, a formula that was compared with
measurements, our firmware on the emulated chip, or nothing better than an estimate."""


@dataclass(frozen=True)
class Segment:
    """Layers ``first`` to ``last`` (inclusive) of an app's network on one device."""

    app: str
    index: int
    device: str
    first: int
    last: int
    swapped: bool = False
    """Its weights have to be loaded again after others had their place in the accelerator's memory."""
    residency: int = 0
    """Segments of a device with one number are in its accelerator's memories together; the first set, 0, is
    loaded at boot, any other one when a run needs it."""

    @property
    def name(self) -> str:
        """Name for files, symbols and messages: app and position in the pipeline."""
        return f"{self.app}_s{self.index}"

    def __str__(self) -> str:
        swapped = f", residency set {self.residency}" if self.swapped else ""
        return f"{self.name}: layers {self.first}-{self.last} on {self.device}{swapped}"


@dataclass(frozen=True)
class HandOff:
    """Tensors that cross a link once for each run. ``size_bytes`` counts payload as it travels."""

    app: str
    index: int
    source: str
    target: str
    link: str
    tensors: tuple[str, ...]
    size_bytes: int

    def __str__(self) -> str:
        tensors = ", ".join(self.tensors)
        return f"{self.app}: {tensors} ({self.size_bytes} B) {self.source} -> {self.target} over {self.link}"


@dataclass(frozen=True)
class Term:
    """One part of a prediction: time that ``unit`` (such as ``wrist.accelerator``) spends on a run."""

    unit: str
    task: str
    duration_us: float
    source: str
    """Where the figure comes from."""
    energy_uj: float = 0.0
    """Energy above idle that this work takes; 0 where another unit's term carries it."""
    basis: Basis = "assumed"
    error: float | None = None
    """Largest relative error against published measurements, None where there are none."""


HELD = "held"
"""Task of an accelerator that is done and waits: its result finds no room yet. It does not work then."""


@dataclass(frozen=True)
class Span:
    """A task of one run on a unit."""

    unit: str
    app: str
    run: int
    task: str
    begin_us: float
    end_us: float


@dataclass(frozen=True)
class AppSchedule:
    """What an app reaches: results a second, and from a sample to the begin of its result.

    ``latency_ms`` is the median with all units busy, which includes waiting in queues.
    """

    throughput_hz: float
    latency_ms: float
    largest_latency_ms: float


@dataclass(frozen=True)
class Schedule:
    """All runs that were played. ``busy`` is the share of time that each unit works."""

    spans: tuple[Span, ...]
    apps: Mapping[str, AppSchedule]
    busy: Mapping[str, float]
    loads_per_run: Mapping[tuple[str, int], float] = field(default_factory=dict)
    """How often a residency set is loaded for each run, by device and number of the set."""


@dataclass(frozen=True)
class Prediction:
    """What the cost model expects of one app in the steady state.

    ``throughput_hz`` is what the app gets if each unit serves all apps in turn, one run of each;
    ``latency_ms`` is that of a run that waits for no other. Objectives compare these. ``scheduled`` is what
    the played schedule gives; only chosen plans have one. Where weights are swapped, the first two count a
    load for each run; ``terms`` and ``energy_uj`` of a chosen plan as many as the schedule has.
    """

    throughput_hz: float
    latency_ms: float
    bottleneck: str
    cycles: Mapping[str, int]
    """Accelerator cycles of one run, by segment name."""
    terms: tuple[Term, ...] = field(default=())
    energy_uj: float = 0.0
    """Energy of one run above what the devices take when idle."""
    scheduled: AppSchedule | None = None


@dataclass(frozen=True)
class AppPlan:
    """Where one app runs: sensor device, segments in order, hand-offs in order, actuator device."""

    app: str
    sense_device: str
    interact_device: str
    segments: tuple[Segment, ...]
    hand_offs: tuple[HandOff, ...]
    predicted: Prediction
    replicated: bool = False
    """Each segment is the whole network; its devices take the runs in turn."""

    @property
    def devices(self) -> frozenset[str]:
        """All devices with a part in it, those that only pass tensors on included."""
        ends = {end for hand_off in self.hand_offs for end in (hand_off.source, hand_off.target)}
        return frozenset(
            ends | {self.sense_device, self.interact_device, *(part.device for part in self.segments)}
        )

    @property
    def lanes(self) -> tuple[AppPlan, ...]:
        """The chains that runs pass: the plan itself, or one for each replica with its own hand-offs."""
        if not self.replicated:
            return (self,)
        found = []
        left = list(self.hand_offs)
        for segment in self.segments:
            hops = [*_way(self.sense_device, segment.device, left)]
            hops += _way(segment.device, self.interact_device, left)
            found.append(replace(self, segments=(segment,), hand_offs=tuple(hops), replicated=False))
        found[-1] = replace(found[-1], hand_offs=(*found[-1].hand_offs, *left))
        return tuple(found)


def _way(source: str, target: str, hand_offs: list[HandOff]) -> Iterator[HandOff]:
    """Take the hand-offs from one device to another from the begin of a list."""
    while source != target and hand_offs:
        yield (hop := hand_offs.pop(0))
        source = hop.target


@dataclass(frozen=True)
class Plan:
    """Plans of all apps together."""

    apps: tuple[AppPlan, ...]
    objective: str
    selector: str
    considered: int
    """Number of candidates that were compared."""
    schedule: Schedule | None = field(default=None, compare=False, repr=False)

    def segments_on(self, device: str) -> tuple[Segment, ...]:
        """Return the segments that run on ``device``, in order of app and position."""
        return tuple(s for app in self.apps for s in app.segments if s.device == device)

    def residency_sets(self, device: str) -> tuple[tuple[Segment, ...], ...]:
        """Return the segments that are in the memories of ``device`` together, set by set."""
        segments = self.segments_on(device)
        numbers = sorted({segment.residency for segment in segments})
        return tuple(tuple(s for s in segments if s.residency == number) for number in numbers)

    def __str__(self) -> str:
        lines = [f"plan ({self.selector}, best {self.objective} of {self.considered})"]
        for app in self.apps:
            lines.append(f"  app {app.app}: sense on {app.sense_device}, interact on {app.interact_device}")
            lines += ["    replicas, which take the runs in turn"] * app.replicated
            lines += [f"    {segment}" for segment in app.segments]
            lines += [f"    {hand_off}" for hand_off in app.hand_offs]
        return "\n".join([*lines, ""])
