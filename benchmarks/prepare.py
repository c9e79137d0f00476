"""CPU cost of preparing samples on the emulated chip: ``python benchmarks/prepare.py``.

A driver of one's own delivers samples of several shapes, in the sensor's own order. Fits ``prepare_*_cycles``
of targets/firmware/runtime.yaml. Emulated time is exact: the figures are the same on every machine.
"""

from __future__ import annotations

import math
import tempfile
from pathlib import Path

import click
import numpy as np
import torch
from torch import nn

from benchmarks.tail import task_cycles
from synergyc.pipeline.build import BuildOptions, build
from synergyc.plan.cpu_work import prepare_cycles

SHAPES = ((3, 32, 32), (32, 9, 9), (1, 64, 64), (16, 20, 20), (32, 32, 3))
"""Of samples; the last is in the order of a camera: rows, columns, colours."""

BYTES = (3, 32, 32)
"""Of samples that are normalized."""

_MOST_CHANNELS = 32

DRIVER = """#include "sensor.h"

const uint32_t *sensor_zero_take(void *state, const queue_t *out, uint32_t run)
{
    static const int8_t values[16384];
    const sensor_format_t *format = state;
    uint32_t *sample = queue_next(out);
    (void)run;
    format->prepare(values, 0, format->values, sample);
    return sample;
}
"""


class Camera(nn.Module):
    """A convolution, of pixels whose colours come last if ``last``."""

    def __init__(self, channels: int, last: bool) -> None:
        super().__init__()
        self.layer, self.last = nn.Conv2d(channels, 4, 3, padding=1), last

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Return four means."""
        features: torch.Tensor = self.layer(image.permute(0, 3, 1, 2) if self.last else image)
        return features.mean((2, 3))


class Photo(nn.Module):
    """Reads bytes."""

    def __init__(self) -> None:
        super().__init__()
        self.camera = Camera(BYTES[0], last=False)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Return four means."""
        means: torch.Tensor = self.camera(image.float() / 255)
        return means


def measure_bytes(folder: Path) -> float:
    """Return the CPU cycles of one sample that is normalized."""
    torch.manual_seed(0)
    example = torch.zeros((1, *BYTES), dtype=torch.uint8)
    torch.export.save(torch.export.export(Photo().eval(), (example,)), folder / "net.pt2")
    np.save(folder / "samples.npy", np.zeros((2, *BYTES), dtype=np.uint8))
    calibration = np.random.default_rng(0).integers(0, 256, (8, *BYTES)).astype(np.uint8)
    np.save(folder / "calibration.npy", calibration)
    return _cycles("model: {exported: net.pt2}", folder)


def measure(shape: tuple[int, ...], folder: Path) -> float:
    """Return the CPU cycles of one sample of zeros."""
    last = shape[0] == _MOST_CHANNELS and shape[-1] < shape[1]
    channels = shape[-1] if last else shape[0]
    torch.manual_seed(0)
    torch.save(Camera(channels, last).state_dict(), folder / "weights.pt")
    np.save(folder / "samples.npy", np.zeros((2, *shape), dtype=np.int8))
    calibration = np.random.default_rng(0).uniform(-1, 1, (8, *shape)).astype(np.float32)
    np.save(folder / "calibration.npy", calibration)
    arguments = f"{{channels: {channels}, last: {str(last).lower()}}}"
    source = f"{Path(__file__).resolve()}:Camera"
    shown = f"input: {list(shape)}, args: {arguments}"
    return _cycles(f'model: {{python: "{source}", weights: weights.pt, {shown}}}', folder)


def _cycles(model: str, folder: Path) -> float:
    """Build an app of ``model`` with a driver of its own, and return what preparing one sample takes."""
    (folder / "zero.c").write_text(DRIVER)
    (folder / "app.yaml").write_text(f"""synergy: 1
devices:
  wrist: {{board: max78000fthr, sensors: [camera], actuators: [display]}}
apps:
  app:
    sense: {{sensor: camera, driver: zero.c}}
    {model}
    quantize: {{calibrate: calibration.npy}}
    samples: samples.npy
    interact: display
""")
    build(folder / "app.yaml", folder / "build", BuildOptions(), lambda _: None)
    return task_cycles(folder / "build", "sense")


@click.command()
def main() -> None:
    """Measure what samples in the sensor's own shape cost the CPU."""
    rows, cycles = [], []
    for shape in SHAPES:
        with tempfile.TemporaryDirectory() as folder:
            cycles.append(measure(shape, Path(folder)))
        values = math.prod(shape)
        rows.append((values, values / shape[-1]))
        click.echo(f"{shape}: {cycles[-1]:.0f} cycles, predicted {prepare_cycles(shape):.0f}")
    weight = 1 / np.array(cycles)
    found = np.linalg.lstsq(np.array(rows) * weight[:, None], np.ones(len(cycles)), rcond=None)[0]
    with tempfile.TemporaryDirectory() as folder:
        cycles.append(measure_bytes(Path(folder)))
    values = math.prod(BYTES)
    each = (cycles[-1] - found @ np.array([values, values / BYTES[-1]])) / values
    click.echo(f"prepare_value_cycles: {found[0]:.1f}, prepare_row_cycles: {found[1]:.1f}")
    click.echo(f"normalize_cycles: {each:.1f}")


if __name__ == "__main__":
    main()
