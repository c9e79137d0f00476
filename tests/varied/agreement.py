"""Whether torch, the reference, onnxruntime and the emulated accelerator agree on a random model.

``python -m tests.varied.agreement --count 500`` tries as many seeds, and says how many agree or are refused.
"""

from __future__ import annotations

import argparse
from collections import Counter

import numpy as np
import torch

from synergyc.diagnostics import SynergyError
from synergyc.frontend import capture
from synergyc.legalize import legalize, rewrite
from synergyc.pipeline.single import random_inputs
from synergyc.pipeline.verify import Agreement, compare_onnxruntime
from synergyc.quantize import calibrate, real_input
from synergyc.synth.placement import place
from synergyc.targets import load_chip
from tests.legalize.test_rewrite import floats
from tests.synth.machine import wrong_outputs
from tests.varied.random_models import RandomModel

CHIPS = ("max78000", "max78002")


def disagreement(seed: int) -> str | None:
    """Return what differs for the model of ``seed``, None if nothing does.

    Raises SynergyError if the model cannot run on the chip whose turn it is.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        module = RandomModel(seed).eval()
    chip = load_chip(CHIPS[seed % len(CHIPS)])
    graph = rewrite(capture(module, module.shape, "random"))
    sensed = random_inputs(module.shape, 2, seed)
    with torch.no_grad():
        expected = module(torch.from_numpy(real_input(sensed))).numpy()
    if not np.allclose(floats(graph, real_input(sensed)), expected, rtol=1e-3, atol=1e-4):
        return "the rewritten model differs from torch"
    integers = calibrate(graph, random_inputs(graph.input.shape, 8, seed=0)).integers
    network = legalize(integers, chip)
    if compare_onnxruntime(network, graph.input.prepared(sensed)) is Agreement.DIFFERENT:
        return "onnxruntime differs from the reference"
    wrong = wrong_outputs(network, place(network, chip), chip)
    return f"the accelerator differs from the reference in {wrong}" if wrong else None


def main() -> None:
    """Try seeds from ``--first`` on."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=500)
    parser.add_argument("--first", type=int, default=0)
    arguments = parser.parse_args()
    results: Counter[str] = Counter()
    for seed in range(arguments.first, arguments.first + arguments.count):
        try:
            found = disagreement(seed)
        except SynergyError as error:
            rules = sorted({item.rule for item in error.diagnostics})
            results["refused: " + ", ".join(rules)] += 1
            print(f"seed {seed}: refused {rules} {error.diagnostics[0].message}")
            continue
        results["equal" if found is None else "DIFFERENT"] += 1
        if found is not None:
            print(f"seed {seed}: {found}")
    for name, count in sorted(results.items()):
        print(f"{count:5d} {name}")
    raise SystemExit(1 if results["DIFFERENT"] else 0)


if __name__ == "__main__":
    main()
