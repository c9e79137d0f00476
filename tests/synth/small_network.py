"""A small network in the vendor tool's own files, and its answer from torch in exact numbers.

Weights and sample are seeded; the answer is computed in float64, in which all sums here are exact, from the
arithmetic of the vendor's documentation: ``clamp(floor((sums + 128 * bias) * 2**shift / 128 + 1/2))``.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch.nn import functional

YAML = """\
arch: small
dataset: small
layers:
  - processors: 0x0000000000000007
    op: conv2d
    kernel_size: 3x3
    pad: 1
    activate: ReLU
    quantization: 8
    out_offset: 0x2000
  - processors: 0x000000000000003f
    max_pool: 2
    pool_stride: 2
    op: conv2d
    kernel_size: 3x3
    pad: 1
    quantization: 4
    out_offset: 0x0000
  - processors: 0x00000000000000ff
    op: linear
    flatten: true
    quantization: 8
    output_width: 32
    out_offset: 0x2000
"""
SHAPE = (3, 6, 8)
LAYERS = 3
Values = npt.NDArray[np.int64]


@dataclass(frozen=True)
class SmallNetwork:
    """Files of the network, and the tensors in them."""

    folder: Path
    sample: torch.Tensor
    weights: tuple[torch.Tensor, ...]
    biases: tuple[torch.Tensor, ...]
    shifts: tuple[int, ...] = (-2, -4, 0)
    bits: tuple[int, ...] = (8, 4, 8)

    @property
    def arguments(self) -> list[str]:
        names = {"config-file": "small.yaml", "checkpoint-file": "small.pth.tar", "sample-input": "small.npy"}
        return [word for key, name in names.items() for word in (f"--{key}", str(self.folder / name))]

    def answer(self, layers: int = LAYERS, *, bias: bool = True) -> Values:
        """Return what layer ``layers - 1`` gives, in the shape (channels, ...)."""
        data = self.sample.to(torch.float64)[None]
        for number in range(layers):
            weight = self.weights[number].to(torch.float64)
            offset = 128 * self.biases[number].to(torch.float64) * bias
            if number == LAYERS - 1:
                sums = functional.linear(data.flatten(1), weight, offset)
                return sums[0].to(torch.int64).numpy()
            if number == 1:
                data = functional.max_pool2d(data, 2)
            sums = functional.conv2d(data, weight, offset, padding=1)
            shift = self.shifts[number] + 8 - self.bits[number]
            data = torch.clamp(torch.floor(sums * 2.0**shift / 128 + 0.5), -128, 127)
            data = torch.relu(data) if number == 0 else data
        return data[0].to(torch.int64).numpy()


def write_small_network(folder: Path, *, yaml: str = YAML) -> SmallNetwork:
    """Write the three files of the network into ``folder``."""
    rng = np.random.default_rng(7)

    def integers(low: int, high: int, *shape: int) -> torch.Tensor:
        return torch.from_numpy(rng.integers(low, high, shape))

    network = SmallNetwork(
        folder=folder,
        sample=integers(-128, 128, *SHAPE),
        weights=(
            integers(-128, 128, 6, 3, 3, 3),
            integers(-8, 8, 8, 6, 3, 3),
            integers(-128, 128, 5, 8 * 3 * 4),
        ),
        biases=(integers(-128, 128, 6), integers(-128, 128, 8), integers(-128, 128, 5)),
    )
    state = {}
    for number, (weight, bias) in enumerate(zip(network.weights, network.biases, strict=True)):
        bits = network.bits[number]
        state[f"layer{number}.output_shift"] = torch.tensor([float(network.shifts[number])])
        state[f"layer{number}.weight_bits"] = torch.tensor([float(bits)])
        state[f"layer{number}.op.weight"] = weight.to(torch.float32)
        state[f"layer{number}.op.bias"] = bias.to(torch.float32) * 2 ** (bits - 1)
    (folder / "small.yaml").write_text(yaml)
    torch.save({"epoch": 0, "arch": "small", "state_dict": state}, folder / "small.pth.tar")
    np.save(folder / "small.npy", network.sample.numpy().astype(np.int64))
    return network
