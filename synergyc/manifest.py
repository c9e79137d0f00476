"""The deployment manifest: what runs where, the hashes of the images, and what to expect of them.

``manifest.json`` is the contract between a build and everything that uses one (run, flash, report). Its
JSON Schema is published in ``docs/manifest-schema.json``. Paths are relative to the build folder.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from synergyc.diagnostics import did_you_mean, fail, file_location

MANIFEST_NAME = "manifest.json"
REPORT_NAME = "report.html"
"""What `synergyc report` writes into a build, unless another file is named."""


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class FileRecord(_Record):
    """A file of the build and its SHA-256."""

    path: str
    sha256: str
    size_bytes: int


class SegmentRecord(_Record):
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


class LoadRecord(_Record):
    """A residency set of a device that has several: its weights are loaded from flash when a run needs them.

    ``loads_per_run``: how often, for one run of each app, by the schedule; ``load_ms``: how long one takes.
    """

    residency: int
    weight_bytes: int
    load_ms: float
    loads_per_run: float


class DeviceRecord(_Record):
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


class TensorRecord(_Record):
    """A tensor: integers are real values * 2**fraction_bits."""

    name: str
    shape: tuple[int, ...]
    width_bits: int
    fraction_bits: int


class HandOffRecord(_Record):
    """Tensors that cross a link once for each run; ``payload_bytes`` as they travel."""

    app: str
    source: str
    target: str
    link: str
    tensors: tuple[TensorRecord, ...]
    payload_bytes: int


class SecuredRecord(_Record):
    """Two devices whose frames are encrypted: the name of their key, and where each image keeps it."""

    key: str
    symbols: dict[str, str]


class LinkRecord(_Record):
    """A link between devices, the UART that each end uses, and the pairs that share a key."""

    name: str
    medium: str
    rate_kbps: Annotated[float, Field(gt=0)]
    ends: dict[str, str]
    secured: tuple[SecuredRecord, ...] = ()


class TermRecord(_Record):
    """A part of a prediction, with the source of its figure."""

    unit: str
    task: str
    duration_us: float
    source: str
    basis: str
    error: float | None


class PredictionRecord(_Record):
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


class DifferenceRecord(_Record):
    """The first layer whose values differ between two stages, the rms error, and the answers that change."""

    before: str
    after: str
    layer: str
    error: float
    answers: int


class AccuracyRecord(_Record):
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


class AppRecord(_Record):
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


class PlacementRecord(_Record):
    """Where a plan runs an app: ``segments`` are device, first and last layer, in order."""

    app: str
    sense: str
    interact: str
    segments: tuple[tuple[str, int, int], ...]
    throughput_hz: float
    latency_ms: float


class SwitchRecord(_Record):
    """Weights that a device has to load when an alternative takes over."""

    device: str
    weight_bytes: int
    load_ms: float


class AlternativeRecord(_Record):
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


class PlanLoadRecord(_Record):
    """The residency set that a device loads at a change of plan, unless it is the one that is loaded."""

    device: str
    residency: int
    weight_bytes: int
    load_ms: float


class ImagePlanRecord(_Record):
    """One of several plans in the images: where its apps run, and what each device has loaded for it."""

    number: int
    apps: tuple[PlacementRecord, ...]
    loads: tuple[PlanLoadRecord, ...]


class RejectedRecord(_Record):
    """A plan that would have come before others, and the rule that stands against it."""

    apps: tuple[PlacementRecord, ...]
    rule: str
    reason: str
    need: str | None
    have: str | None


class Manifest(_Record):
    """The whole build."""

    synergy_manifest: Literal[1]
    app_file: str
    plan_id: int
    objective: str
    selector: str
    considered_plans: int
    optimal: bool
    gap: float
    tools: dict[str, str]
    devices: tuple[DeviceRecord, ...]
    links: tuple[LinkRecord, ...]
    apps: tuple[AppRecord, ...]
    hand_offs: tuple[HandOffRecord, ...]
    runners_up: tuple[tuple[PlacementRecord, ...], ...] = ()
    """Other plans for all devices, best first."""
    rejected: tuple[RejectedRecord, ...] = ()
    not_resident: tuple[str, ...] = ()
    """Why not all weights stay in place, for a plan that loads them in turn."""
    alternatives: tuple[AlternativeRecord, ...] = ()
    image_plans: tuple[ImagePlanRecord, ...] = ()
    """The plans that the images change between as devices come and go; empty if they hold one."""
    files: tuple[str, ...] = ()
    """All files that the build wrote beside the manifest: what another build may remove."""

    @model_validator(mode="after")
    def _agrees_with_itself(self) -> Self:
        """Refuse records that name devices, apps or links that are not there."""
        problem = next(_wrong_names(self), None)
        if problem is not None:
            raise ValueError(problem)
        return self

    def change_ms(self, plan: int) -> float:
        """Return the time for loading weights when ``plan`` follows the one for all devices."""
        chosen, loads = ({load.device: load for load in self.image_plans[n].loads} for n in (0, plan))
        return max(
            (
                load.load_ms
                for device, load in loads.items()
                if device not in chosen or chosen[device].residency != load.residency
            ),
            default=0.0,
        )

    def places(self, app: str) -> tuple[tuple[str, str], ...]:
        """Return where ``app`` senses and interacts under each plan of the images, the chosen one first."""
        chosen = next(item for item in self.apps if item.name == app)
        found = [(chosen.sense["on"], chosen.interact["on"])]
        found += [
            (item.sense, item.interact) for plan in self.image_plans for item in plan.apps if item.app == app
        ]
        return tuple(dict.fromkeys(found))

    def to_text(self) -> str:
        """Return the file's content: stable key order, one trailing newline."""
        return json.dumps(self.model_dump(mode="json"), indent=2) + "\n"

    def device(self, name: str) -> DeviceRecord:
        """Return the device called ``name``; raises KeyError."""
        for device in self.devices:
            if device.name == name:
                return device
        raise KeyError(name)


def _wrong_names(manifest: Manifest) -> Iterator[str]:
    """Yield what records say of devices, apps and links that the manifest does not list."""
    devices = {device.name for device in manifest.devices}
    apps = {app.name for app in manifest.apps}
    links = {link.name: link.ends for link in manifest.links}
    named = [(f"app {app.name}", app.sense.get("on")) for app in manifest.apps]
    named += [(f"app {app.name}", app.interact.get("on")) for app in manifest.apps]
    named += [(f"link {name}", end) for name, ends in links.items() for end in ends]
    for what, device in named:
        if device not in devices:
            yield f"{what} is on a device {device!r}, which is not there"
    for part in (segment for device in manifest.devices for segment in device.segments):
        if part.app not in apps or part.last_layer < part.first_layer:
            yield f"segment {part.name} is no part of an app"
    for item in manifest.hand_offs:
        if item.app not in apps or not {item.source, item.target} <= links.get(item.link, {}).keys():
            yield f"the hand-off of {item.app} from {item.source} to {item.target} has no link {item.link}"


def secured_pairs(manifest: Manifest) -> tuple[SecuredRecord, ...]:
    """Return the pairs of devices whose frames are encrypted."""
    return tuple(pair for link in manifest.links for pair in link.secured)


def device_keys(manifest: Manifest, device: str, keys: Mapping[str, bytes]) -> dict[str, bytes]:
    """Return what a device's image must hold, by symbol; ``keys`` by the names of keys."""
    pairs = [pair for pair in secured_pairs(manifest) if device in pair.symbols]
    return {pair.symbols[device]: keys[pair.key] for pair in pairs}


def find_device(manifest: Manifest, name: str) -> DeviceRecord:
    """Return the device called ``name``; raises SynergyError (``unknown-device``)."""
    names = [device.name for device in manifest.devices]
    if name not in names:
        raise fail(
            "unknown-device",
            f"the build has no device {name!r}",
            have=", ".join(names),
            hint=did_you_mean(name, names),
        )
    return manifest.device(name)


def record_file(folder: Path, path: str) -> FileRecord:
    """Return the record of ``folder/path``."""
    content = (folder / path).read_bytes()
    return FileRecord(path=path, sha256=hashlib.sha256(content).hexdigest(), size_bytes=len(content))


def read_manifest(folder: Path) -> Manifest:
    """Read and check ``folder/manifest.json``; raises SynergyError if it is missing or damaged."""
    path = folder / MANIFEST_NAME
    if not path.is_file():
        raise fail(
            "no-manifest",
            "no manifest in this folder",
            location=file_location(path),
            hint="name the folder that `synergyc build -o` made",
        )
    try:
        return Manifest.model_validate_json(path.read_bytes())
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"]) or "the file"
        raise fail(
            "manifest-damaged",
            f"manifest is damaged: {place}: {first['msg']}",
            location=file_location(path),
            hint="build again",
        ) from error


def checked_bytes(folder: Path, record: FileRecord) -> bytes:
    """Return the content of a file of the build; raises SynergyError if it is missing or was changed."""
    path = folder / record.path
    try:
        content = path.read_bytes()
    except OSError as error:
        raise fail(
            "file-missing",
            f"file of the build cannot be read: {error.strerror}",
            location=file_location(path),
            hint="build again",
        ) from error
    digest = hashlib.sha256(content).hexdigest()
    if digest != record.sha256:
        raise fail(
            "file-changed",
            "file is not the one that was built",
            location=file_location(path),
            need=f"SHA-256 {record.sha256[:16]}..., {record.size_bytes} B",
            have=f"SHA-256 {digest[:16]}..., {len(content)} B",
            hint="build again",
        )
    return content


def manifest_schema() -> dict[str, Any]:
    """Return the JSON Schema of ``manifest.json``."""
    schema = Manifest.model_json_schema()
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}
