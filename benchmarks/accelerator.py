"""Speed of the accelerator model: ``python -m benchmarks.accelerator [--json]``, from the repository's root.

Each shape is programmed through registers like any network, and run several times; the best run counts, as
other load only ever adds. Time is processor time, of all threads together. Multiply-accumulates (MAC) are
those of the layer, whatever the model computes.
"""

from __future__ import annotations

import argparse
import json
import time

import numpy as np

from synergyc.emulate.accelerator import Accelerator
from synergyc.targets import Cnn, load_chip
from tests.emulate.accelerator import encoder
from tests.emulate.accelerator.encoder import Layer

SHAPES = {
    "3x3, 64 -> 64, 64x64": Layer(64, 64, 64, 64, pad=(1, 1)),
    "3x3, 64 -> 64, 32x32": Layer(64, 32, 32, 64, pad=(1, 1)),
    "3x3, 256 -> 64, 32x32": Layer(256, 32, 32, 64, pad=(1, 1), passes=4),
    "3x3, 3 -> 64, 64x64": Layer(3, 64, 64, 64, pad=(1, 1)),
    "1x1, 64 -> 64, 64x64": Layer(64, 64, 64, 64, (1, 1)),
    "max 2x2, 3x3, 64 -> 64, 64x64": Layer(64, 64, 64, 64, pad=(1, 1), pool=(2, 2), stride=2),
    "flatten 64x8x8 -> 10": Layer(64, 8, 8, 10, (1, 1), flatten=True),
}


def macs(layer: Layer) -> int:
    """Return the multiply-accumulates of a layer."""
    rows, cols = layer.output_size
    taps = layer.rows * layer.cols if layer.flatten else layer.kernel[0] * layer.kernel[1]
    return layer.channels * layer.outputs * taps * rows * cols


def program(cnn: Cnn, layer: Layer) -> Accelerator:
    """Return an accelerator with the layer's registers, random weights and random input in place."""
    rng = np.random.default_rng(0)
    accelerator = Accelerator(cnn)
    encoder.configure(accelerator, cnn, layer)
    weight_bytes = macs(layer) // (layer.output_size[0] * layer.output_size[1] * layer.processors)
    for processor in range(layer.processors):
        for slot in range(-(-weight_bytes // 9)):
            base = cnn.weight_address(processor) + 16 * slot
            for part, word in enumerate(rng.integers(0, 1 << 32, 4)):
                accelerator.write(base + 4 * part, 4, int(word))
    for instance in range(-(-layer.processors // 4)):
        for i, word in enumerate(rng.integers(0, 1 << 32, layer.rows * layer.cols * layer.passes)):
            accelerator.write(cnn.data_address(instance) + 4 * i, 4, int(word))
    return accelerator


def measure(cnn: Cnn, layer: Layer, runs: int) -> float:
    """Return the best processor time of a run in milliseconds."""
    accelerator = program(cnn, layer)
    best_ms = float("inf")
    for _ in range(runs):
        encoder.start(accelerator, cnn, layer)
        begin = time.process_time()
        accelerator.finish()
        best_ms = min(best_ms, (time.process_time() - begin) * 1000)
        accelerator.write(cnn.register_address(0, "CTL"), 4, 8)
    return best_ms


def main() -> None:
    """Print time and speed of each shape."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.add_argument("--runs", type=int, default=20)
    options = parser.parse_args()
    cnn = load_chip("max78002").cnn
    rows = []
    for name, layer in SHAPES.items():
        best_ms = measure(cnn, layer, options.runs)
        speed = macs(layer) / 1e6 / best_ms
        rows.append({"shape": name, "best_ms": round(best_ms, 3), "million_mac_per_ms": round(speed, 1)})
        if not options.json:
            print(f"{name:32} {best_ms:8.3f} ms {speed:8.1f} million MAC/ms")
    if options.json:
        print(json.dumps(rows))


if __name__ == "__main__":
    main()
