"""Write what ``examples/`` need of networks of the zoo: ``python -m models.make_examples``.

The weights are the zoo's seeded random ones, the samples are random: the examples show where layers run and
how long that takes, not what the networks would recognize.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from safetensors.torch import save_file

from models.zoo import build, calibration

DATA = Path(__file__).parent / "data"
NETWORKS = ("convnet5", "kws")
SAMPLES = 6


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


if __name__ == "__main__":
    main()
