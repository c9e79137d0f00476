"""The records of a manifest: one class for each kind of entry. Units are in the names of fields."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from synergyc.diagnostics import Diagnostic


class Record(BaseModel):
    """What all records have in common: they cannot be changed, and hold nothing that is not listed."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class FileRecord(Record):
    """A file of the build and its SHA-256."""

    path: str
    sha256: str
    size_bytes: int


class SegmentRecord(Record):
    """Layers ``first_layer`` to ``last_layer`` of an app's network, on one device's accelerator."""

    name: str
    app: str
    first_layer: Annotated[int, Field(ge=0)]
    last_layer: Annotated[int, Field(ge=0)]
    layers: tuple[str, ...]
    engine: str
    weight_bytes: int
    predicted_cycles: int
    residency: int = 0
    """Segments of a device with one number are in its accelerator's memories together."""
    placement: str = ""
    """SHA-256 of where the build placed its layers: what places them again must come to the same."""


class LoadRecord(Record):
    """A residency set of a device that has several: its weights are loaded from flash when a run needs them.

    ``loads_per_run``: how often, for one run of each app, by the schedule; ``load_ms``: how long one takes.
    """

    residency: int
    weight_bytes: int
    load_ms: float
    loads_per_run: float


class PowerRecord(Record):
    """What a device takes on average, by the cost model, with apps at the rates they want.

    ``idle_mw`` when nothing happens; above that ``runs_mw`` for runs, ``links_mw`` to keep links up.
    """

    idle_mw: float
    runs_mw: float
    links_mw: float
    battery_h: float | None


class DeviceRecord(Record):
    """One board and its image; ``port``: what drives the chip, our own code or the vendor's SDK.

    ``own_flash_bytes`` and ``own_ram_bytes`` are what the firmware takes beside weights, samples and tensors.
    """

    name: str
    board: str
    chip: str
    elf: FileRecord
    flash_bytes: int
    flash_limit_bytes: int
    ram_bytes: int
    ram_limit_bytes: int
    own_flash_bytes: int
    own_ram_bytes: int
    segments: tuple[SegmentRecord, ...]
    port: Literal["baremetal", "msdk"] = "baremetal"
    loads: tuple[LoadRecord, ...] = ()
    power: PowerRecord | None = None
    """None: only a plan for absent devices uses it."""


class TensorRecord(Record):
    """A tensor: integers are real values * 2**fraction_bits."""

    name: str
    shape: tuple[int, ...]
    width_bits: int
    fraction_bits: int


class HandOffRecord(Record):
    """Tensors that cross a link once for each run; ``payload_bytes`` as they travel."""

    app: str
    source: str
    target: str
    link: str
    tensors: tuple[TensorRecord, ...]
    payload_bytes: int


class SecuredRecord(Record):
    """Two devices whose frames are encrypted: the name of their key, and where each image keeps it."""

    key: str
    symbols: dict[str, str]


class LinkRecord(Record):
    """A link between devices, the UART that each end uses, and the pairs that share a key."""

    name: str
    medium: str
    rate_kbps: Annotated[float, Field(gt=0)]
    ends: dict[str, str]
    secured: tuple[SecuredRecord, ...] = ()


class TermRecord(Record):
    """A part of a prediction, with the source of its figure."""

    unit: str
    task: str
    duration_us: float
    source: str
    basis: str
    error: float | None


class PredictionRecord(Record):
    """What the planner's schedule expects with all units busy.

    ``latency_ms`` is the median from sample to result, waiting in queues included; ``unloaded_latency_ms``
    that of a run that waits for no other. ``guaranteed_hz``: each unit serves all apps in turn.
    """

    throughput_hz: float
    latency_ms: float
    guaranteed_hz: float
    unloaded_latency_ms: float
    energy_uj: float
    bottleneck: str
    terms: tuple[TermRecord, ...]


class DifferenceRecord(Record):
    """The first layer whose values differ between two stages, the rms error, and the answers that change."""

    before: str
    after: str
    layer: str
    error: float
    answers: int


class AccuracyRecord(Record):
    """Share of right answers on the app's labelled samples, by stage.

    Stages: the float model; the same with batch normalization folded; integers in floating point, as they
    are trained; the integer reference. The class numbers behind them are in ``answers``, (stages, samples).
    """

    samples: int
    float_model: float
    folded: float
    fake_quantized: float
    integer_reference: float
    differences: tuple[DifferenceRecord, ...]
    answers: FileRecord


class AppRecord(Record):
    """One app: where it senses, runs and interacts, and the files to check it with.

    The sensor delivers the first ``replay_samples`` of ``samples``, of shape ``sensor_shape``. In flash they
    are prepared: ``input_bytes`` bytes each; entry i of ``input_elements`` is the place of value i in them.
    Another ``driver`` in ``sense`` delivers them as they are. A result is reported as ``output_bytes`` bytes.
    ``preparation`` are the steps from a sample of ``sensor_shape`` to the network's input, ``tail`` the
    functions of the model that follow the network: both are work of the CPU (docs/models.md).
    ``replicas`` are the devices that run the whole network and get the runs in turn, if there are any.
    """

    name: str
    sense: dict[str, str]
    interact: dict[str, str]
    input: TensorRecord
    output: TensorRecord
    cut_after: tuple[str, ...]
    graph: FileRecord
    network: FileRecord
    samples: FileRecord
    replay_samples: int
    labels: FileRecord | None
    input_elements: FileRecord
    input_bytes: int
    output_elements: FileRecord
    output_bytes: int
    accuracy: AccuracyRecord | None
    predicted: PredictionRecord
    sensor_shape: tuple[int, ...] = ()
    preparation: tuple[str, ...] = ()
    tail: tuple[str, ...] = ()
    replicas: tuple[str, ...] = ()


class PlacementRecord(Record):
    """Where a plan runs an app: ``segments`` are device, first and last layer, in order."""

    app: str
    sense: str
    interact: str
    segments: tuple[tuple[str, int, int], ...]
    throughput_hz: float
    latency_ms: float


class SwitchRecord(Record):
    """Weights that a device has to load when an alternative takes over."""

    device: str
    weight_bytes: int
    load_ms: float


class AlternativeRecord(Record):
    """The best plan for when only the devices ``present`` are there; its segments were placed.

    Ranked: most apps served first, then most devices. ``dropped`` are the apps that it cannot serve.
    ``plan`` is the number of the plan in the images that serves then, 0 is the one for all devices; None: the
    images have no room for it, ``reason`` says why. ``switches`` are from the plan for all devices.
    """

    present: tuple[str, ...]
    away: tuple[str, ...]
    served: tuple[str, ...]
    dropped: tuple[str, ...]
    apps: tuple[PlacementRecord, ...]
    switches: tuple[SwitchRecord, ...]
    switch_ms: float
    plan: int | None = None
    reason: str | None = None


class PlanLoadRecord(Record):
    """The residency set that a device loads at a change of plan, unless it is the one that is loaded."""

    device: str
    residency: int
    weight_bytes: int
    load_ms: float


class ImagePlanRecord(Record):
    """One of several plans in the images: where its apps run, and what each device has loaded for it."""

    number: int
    apps: tuple[PlacementRecord, ...]
    loads: tuple[PlanLoadRecord, ...]


class RejectedRecord(Record):
    """A plan that would have come before others, and the rule that stands against it."""

    apps: tuple[PlacementRecord, ...]
    rule: str
    reason: str
    need: str | None
    have: str | None


class WarningRecord(Record):
    """What the plan's schedule does not keep, in the form of a diagnostic."""

    rule: str
    message: str
    need: str | None
    have: str | None
    hint: str | None

    @property
    def diagnostic(self) -> Diagnostic:
        """The diagnostic that it records; places in the app file are not part of a build."""
        return Diagnostic(self.rule, self.message, need=self.need, have=self.have, hint=self.hint)
