"""A manifest as a whole: all records of a build, which must agree with each other."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, Literal, Self

from pydantic import model_validator

from synergyc.diagnostics import did_you_mean, fail
from synergyc.manifest.records import (
    AlternativeRecord,
    AppRecord,
    DeviceRecord,
    HandOffRecord,
    ImagePlanRecord,
    LinkRecord,
    PlacementRecord,
    Record,
    RejectedRecord,
    SecuredRecord,
    WarningRecord,
)


class Manifest(Record):
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
    warnings: tuple[WarningRecord, ...] = ()
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


def manifest_schema() -> dict[str, Any]:
    """Return the JSON Schema of ``manifest.json``."""
    schema = Manifest.model_json_schema()
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}
