"""What a host answers when a device's ``host`` sensor asks for a sample, piece by piece over the console."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from synergyc.firmware.framing import ConsoleLine, Frame, FrameKind, encode_frame
from synergyc.firmware.layout import pack_elements
from synergyc.manifest import AppRecord, Manifest, checked_bytes
from synergyc.pipeline.expectation import Expected

SENSOR_DRIVER = "host"
_REQUEST_FIELDS = 6


@dataclass(frozen=True)
class Request:
    """A device's line of kind ``Q``: it wants ``size_bytes`` of a sample, from ``offset_bytes`` on."""

    app: str
    sensor: int
    run: int
    piece: int
    offset_bytes: int
    size_bytes: int


def parse_request(line: ConsoleLine) -> Request | None:
    """Return the request in a console line; None for other lines."""
    if line.kind != "Q" or len(line.fields) != _REQUEST_FIELDS or not all(map(str.isdigit, line.fields[1:])):
        return None
    return Request(line.fields[0], *(int(field) for field in line.fields[1:]))


@dataclass(frozen=True)
class Feed:
    """The samples of apps that are fed, in the sensor's own shape; run r gets sample ``r % count``."""

    plan_id: int
    samples: Mapping[str, tuple[bytes, ...]]

    def answer(self, request: Request) -> bytes:
        """Return the frame that answers; nothing for an app that is not fed, or beyond a sample's end."""
        samples = self.samples.get(request.app, ())
        if not samples:
            return b""
        sample = samples[request.run % len(samples)]
        payload = sample[request.offset_bytes : request.offset_bytes + request.size_bytes]
        if len(payload) != request.size_bytes or not payload:
            return b""
        return encode_frame(
            Frame(
                kind=FrameKind.SAMPLE,
                stream=request.sensor,
                plan=self.plan_id & 0xFFFF,
                fragment=request.piece,
                run=request.run,
                payload=payload,
            )
        )


def is_fed(app: AppRecord) -> bool:
    """Return whether a host must give the samples of ``app``."""
    return app.sense.get("driver") == SENSOR_DRIVER


def feed(manifest: Manifest, expected: Mapping[str, Expected]) -> Feed:
    """Return the feed of a build's apps."""
    return Feed(
        manifest.plan_id,
        {
            app.name: tuple(sample.tobytes() for sample in expected[app.name].sensed)
            for app in manifest.apps
            if is_fed(app)
        },
    )


def packed_samples(folder: Path, app: AppRecord, expected: Expected) -> tuple[bytes, ...]:
    """Return each sample as the bytes that the first reader's memory layout makes of it."""
    elements = np.load(io.BytesIO(checked_bytes(folder, app.input_elements)), allow_pickle=False)
    return tuple(pack_elements(elements, app.input_bytes, sample) for sample in expected.samples)
