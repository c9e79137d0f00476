"""Write what ``examples/`` need of networks that nobody trained: ``python -m models.make_examples``.

The weights are seeded random ones, mostly the zoo's, the samples are random: the examples show where layers
run and how long that takes, not what the networks would recognize.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file

from models.thermal import ThermalNet
from models.zoo import build, calibration

DATA = Path(__file__).parent / "data"
NETWORKS = ("convnet5", "kws")
SAMPLES = 6


def thermal_weights() -> dict[str, torch.Tensor]:
    """Return weights of ThermalNet by which its results differ much from sample to sample.

    With the usual random ones what differs dies away over so many layers.
    """
    torch.manual_seed(0)
    model = ThermalNet()
    for parameter in model.parameters():
        if parameter.dim() == 1:
            torch.nn.init.zeros_(parameter)
        else:
            torch.nn.init.kaiming_normal_(parameter, nonlinearity="relu")
            parameter.data -= parameter.data.flatten(1).mean(dim=1).reshape(-1, *[1] * (parameter.dim() - 1))
    return model.state_dict()


def main() -> None:
    """Write one file of weights and one of samples for each network."""
    for name in NETWORKS:
        state = build(name, "max78000").state_dict()
        save_file({key: value.contiguous() for key, value in state.items()}, DATA / f"{name}.safetensors")
        np.save(DATA / f"{name}_samples.npy", calibration(name, SAMPLES))
    # Another one of the same form; half the precision is more than its integers keep.
    state = build("kws", "max78000", seed=1).state_dict()
    halves = {key: value.half().contiguous() for key, value in state.items()}
    save_file(halves, DATA / "sounds.safetensors")
    halves = {key: value.half().contiguous() for key, value in thermal_weights().items()}
    save_file(halves, DATA / "thermal.safetensors")
    frames = np.random.default_rng(0).integers(-128, 128, (SAMPLES, 4, 12, 16), dtype=np.int8)
    np.save(DATA / "thermal_samples.npy", frames)


if __name__ == "__main__":
    main()
