"""Samples in the sensor's own shape, prepared by emulated devices. Truth: the integer reference."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from synergyc.manifest import Manifest
from synergyc.pipeline.build import BuildOptions, build
from synergyc.pipeline.run import RunOptions, run
from tests.compilers import NEEDS_CROSS_COMPILER
from tests.e2e import endings

pytestmark = [pytest.mark.e2e, NEEDS_CROSS_COMPILER]

_LINES = """#include "sensor.h"

#define LINE 72u

const uint32_t *sensor_lines_take(void *state, const queue_t *out, uint32_t run)
{
    static int8_t ramp[256u + LINE];
    const sensor_format_t *format = state;
    uint32_t *sample = queue_next(out);
    for (uint32_t i = 0; run == 0 && i < sizeof ramp; i++) {
        ramp[i] = (int8_t)i;
    }
    for (uint32_t i = 0; i < format->values; i += LINE) {
        format->prepare(ramp + (5u * run + i) % 256u, i, LINE, sample);
    }
    return sample;
}
"""
"""A camera that gives lines of 24 pixels, red, green and blue: value i of run r is 5 r + i, as a byte."""


def _build(folder: Path, model: str, shape: tuple[int, ...], driver: str) -> Manifest:
    (folder / "app.yaml").write_text(
        f"""synergy: 1
devices:
  wrist: {{board: max78000fthr, sensors: [camera], actuators: [display]}}
apps:
  app:
    sense: {{sensor: camera, driver: {driver}}}
    model: {{python: "{model}", weights: weights.pt, input: {list(shape)}}}
    quantize: {{calibrate: samples.npy}}
    samples: samples.npy
    interact: display
"""
    )
    return build(folder / "app.yaml", folder / "build", BuildOptions(), lambda _: None)


def test_a_host_feeds_samples_as_the_model_has_them(tmp_path: Path) -> None:
    """Stride 2 in the first layer: pixels are folded into channels, of sizes that 2 does not divide."""
    torch.manual_seed(0)
    torch.save(endings.Strided().state_dict(), tmp_path / "weights.pt")
    samples = np.random.default_rng(0).normal(0, 0.4, (5, 2, 19, 17)).clip(-1, 0.99).astype(np.float32)
    np.save(tmp_path / "samples.npy", samples)
    _build(tmp_path, f"{endings.__file__}:Strided", (2, 19, 17), "host")
    outcome = run(tmp_path / "build", RunOptions(runs=5)).apps[0]
    assert (outcome.sent, outcome.right) == (5, 5)
    source = (tmp_path / "build" / "wrist" / "src" / "prepare_app.c").read_text()
    assert "2x19x17, fold 2x2" in source


def test_a_driver_delivers_lines_in_the_predicted_time(tmp_path: Path) -> None:
    shape, runs = (24, 24, 3), 60
    torch.manual_seed(0)
    torch.save(endings.Pixels().state_dict(), tmp_path / "weights.pt")
    values = 5 * np.arange(runs)[:, None] + np.arange(np.prod(shape))[None, :]
    np.save(tmp_path / "samples.npy", values.astype(np.int8).reshape(runs, *shape))
    (tmp_path / "lines.c").write_text(_LINES)
    predicted = _build(tmp_path, f"{endings.__file__}:Pixels", shape, "lines.c").apps[0].predicted
    assert "prepare" in {term.task for term in predicted.terms}
    outcome = run(tmp_path / "build", RunOptions(runs=runs)).apps[0]
    assert (outcome.sent, outcome.right) == (runs, runs)
    assert outcome.throughput_hz == pytest.approx(predicted.throughput_hz, rel=0.05)


def test_bytes_of_a_host_are_normalized_on_the_device(tmp_path: Path) -> None:
    torch.manual_seed(0)
    program = torch.export.export(endings.Photo().eval(), (torch.zeros((1, 9, 7, 3), dtype=torch.uint8),))
    torch.export.save(program, tmp_path / "net.pt2")
    samples = np.random.default_rng(0).integers(0, 256, (4, 9, 7, 3)).astype(np.uint8)
    np.save(tmp_path / "samples.npy", samples)
    (tmp_path / "app.yaml").write_text("""synergy: 1
devices:
  wrist: {board: max78000fthr, sensors: [camera], actuators: [display]}
apps:
  app:
    sense: {sensor: camera, driver: host}
    model: {exported: net.pt2}
    quantize: {calibrate: samples.npy}
    samples: samples.npy
    interact: display
""")
    app = build(tmp_path / "app.yaml", tmp_path / "build", BuildOptions(), lambda _: None).apps[0]
    assert app.preparation == ("transpose 2x0x1", "normalize")
    outcome = run(tmp_path / "build", RunOptions(runs=4)).apps[0]
    assert (outcome.sent, outcome.right) == (4, 4)
