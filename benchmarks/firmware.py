"""CPU cost of the firmware's parts on the emulated chip: ``python benchmarks/firmware.py``.

Builds examples/digits.yaml with its network cut at every place, runs the images, and fits what ``targets/``
says of the firmware: cycles for each byte and frame of a link. Emulated time is exact: the figures are the
same on every machine.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import click
import numpy as np
import numpy.typing as npt

from synergyc.pipeline.build import BuildOptions, build
from synergyc.pipeline.run import RunOptions, run
from synergyc.targets import load_chip, load_medium, load_runtime

EXAMPLE = Path(__file__).parent.parent / "examples" / "digits.yaml"

RUNS = 24

CUTS = (None, -1, 0, 1, 2, 3, 4)
"""Last layer before the cut; -1: the input crosses; None: all on one device, nothing crosses."""

_INPUT_WORDS = 784
"""Of the example's image: one pixel a word."""

_RESULT_BYTES, _APP = 48, "digits"

_BYTE_US = 10.8
"""A byte on the line: 50 MHz / 54 is the divider's nearest to 921,600 Bd."""


@dataclass(frozen=True)
class Sample:
    """What one build did, for one run; ``latency_ms`` with all units busy, ``alone_ms`` one run at a time."""

    cut: int | None
    payload_bytes: int
    sender_us: float
    receiver_us: float
    wire_us: float
    period_us: float
    predicted_us: float
    latency_ms: float
    predicted_latency_ms: float
    alone_ms: float
    predicted_alone_ms: float


def app_text(cut: int | None, *, secure: bool = False) -> str:
    """Return the example's text with the network cut after layer ``cut``, its link secured if wanted."""
    models = EXAMPLE.parent.parent / "models"
    text = EXAMPLE.read_text().replace("../models", str(models))
    if secure:
        text = text.replace("rate_kbps: 921.6}", "rate_kbps: 921.6, secure: true}")
    if cut is None:
        text = text.replace("split: 2", "split: 1\n    pin: {layers: 0, to: wrist}")
        text = text.replace("{actuator: display, on: chest}", "{actuator: display, on: wrist}")
        return text.replace("sensors: [replay]}", "sensors: [replay], actuators: [display]}")
    if cut < 0:
        return text.replace("split: 2", "split: 1\n    pin: {layers: 0, to: chest}")
    pins = f"[{{layers: 0-{cut}, to: wrist}}, {{layers: {cut + 1}-5, to: chest}}]"
    return text.replace("split: 2", f"split: 2\n    pin: {pins}")


def measure(cut: int | None, folder: Path, *, secure: bool = False) -> Sample:
    """Build and run the example with one cut."""
    app_file = folder / "app.yaml"
    app_file.write_text(app_text(cut, secure=secure))
    manifest = build(app_file, folder / "build", BuildOptions(), lambda _: None)
    outcome = run(folder / "build", RunOptions(runs=RUNS))
    alone = run(folder / "build", RunOptions(runs=4, sequential=True)).apps[0].latency
    units = {(unit.device, unit.unit): unit for device in outcome.devices for unit in device.units}
    links = [unit for unit in units.values() if unit.device == "wrist" and "-" in unit.unit]
    app, predicted = outcome.apps[0], manifest.apps[0].predicted
    return Sample(
        cut,
        manifest.hand_offs[0].payload_bytes if manifest.hand_offs else 0,
        units["wrist", "cpu"].emulated_us,
        units["chest", "cpu"].emulated_us if ("chest", "cpu") in units else 0.0,
        sum(unit.emulated_us for unit in links),
        1e6 / app.throughput_hz,
        1e6 / predicted.throughput_hz,
        app.latency.p50_ms if app.latency else 0.0,
        predicted.latency_ms,
        alone.p50_ms if alone else 0.0,
        predicted.unloaded_latency_ms,
    )


def fitted(samples: Sequence[Sample]) -> dict[str, float]:
    """Return the figures of targets/links/uart.yaml that explain ``samples``, by least relative squares."""
    medium, chip, runtime = load_medium("uart"), load_chip("max78000"), load_runtime()
    linked = [sample for sample in samples if sample.payload_bytes]
    frames = np.array([-(-sample.payload_bytes // medium.mtu_bytes) for sample in linked], dtype=np.float64)
    wire_bytes = np.array([sample.wire_us for sample in linked]) / _BYTE_US
    columns = np.stack([frames, wire_bytes], axis=1)
    mhz = chip.clocks.cpu_hz / 1e6
    word_us = chip.cnn.timing.word_ns / 1000
    infer_us = runtime.infer_cycles / mhz
    characters = runtime.result_characters + len(_APP) + 2 * _RESULT_BYTES
    result_us = characters * runtime.result_character_cycles / mhz
    send, receive = [], []
    for sample in linked:
        moved_us = sample.payload_bytes / 4 * word_us
        first_us = 0.0 if sample.cut == -1 else _INPUT_WORDS * word_us + moved_us + infer_us
        send.append(mhz * (sample.sender_us - first_us))
        receive.append(mhz * (sample.receiver_us - moved_us - infer_us - result_us))
    send_frame, send_byte = _fit(columns, np.array(send))
    receive_frame, receive_byte = _fit(columns, np.array(receive))
    return {
        "send_byte": send_byte,
        "send_frame": send_frame,
        "receive_byte": receive_byte,
        "receive_frame": receive_frame,
    }


def fitted_seal(samples: Sequence[Sample], secured: Sequence[Sample]) -> dict[str, float]:
    """Return the figures of ``seal`` in targets/firmware/runtime.yaml: what a secured sender does more.

    Each frame is sealed, and each answer to one opened. The receiver does the same, but then has less time in
    which it only looks for work: of the two ends the sender shows what sealing takes.
    """
    mtu_bytes, mhz = load_medium("uart").mtu_bytes, load_chip("max78000").clocks.cpu_hz / 1e6
    pairs = [pair for pair in zip(samples, secured, strict=True) if pair[0].payload_bytes]
    sizes = [clear.payload_bytes for clear, _ in pairs]
    frames = [-(-size // mtu_bytes) + answers(size, mtu_bytes) for size in sizes]
    cycles = [mhz * (sealed.sender_us - clear.sender_us) for clear, sealed in pairs]
    columns = np.stack([np.array(frames, dtype=np.float64), np.array(sizes, dtype=np.float64)], axis=1)
    frame_cycles, byte_cycles = _fit(columns, np.array(cycles))
    return {"frame_cycles": frame_cycles, "byte_cycles": byte_cycles}


def answers(payload_bytes: int, mtu_bytes: int) -> int:
    """Return the acknowledgements of a tensor: of its frames and, if it is small, of room again."""
    frames = -(-payload_bytes // mtu_bytes)
    return frames + (frames < load_runtime().window_frames)


def _fit(columns: npt.NDArray[np.float64], values: npt.NDArray[np.float64]) -> tuple[float, float]:
    weight = 1 / values
    found = np.linalg.lstsq(columns * weight[:, None], values * weight, rcond=None)[0]
    return round(float(found[0]), 1), round(float(found[1]), 1)


def measure_all(*, secure: bool, say: Callable[[str], None]) -> list[Sample]:
    """Build and run the example with each cut."""
    samples = []
    for cut in CUTS:
        with tempfile.TemporaryDirectory() as folder:
            samples.append(measure(cut, Path(folder), secure=secure))
            say(str(samples[-1]))
    return samples


@click.command()
@click.option("--secure", is_flag=True, help="Also what a secured link adds.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def main(secure: bool, as_json: bool) -> None:
    """Measure what the firmware costs the CPU, and how far predictions are from what the images do."""

    def say(text: str) -> None:
        click.echo(text, err=as_json)

    samples = measure_all(secure=False, say=say)
    document: dict[str, object] = {
        "samples": [asdict(sample) for sample in samples],
        "uart_cycles": fitted(samples),
    }
    if secure:
        secured = measure_all(secure=True, say=say)
        document["secured"] = [asdict(sample) for sample in secured]
        document["seal_cycles"] = fitted_seal(samples, secured)
    if as_json:
        click.echo(json.dumps(document, indent=2))
        return
    click.echo(f"targets/links/uart.yaml: {document['uart_cycles']}")
    if secure:
        click.echo(f"targets/firmware/runtime.yaml, seal: {document['seal_cycles']}")


if __name__ == "__main__":
    main()
