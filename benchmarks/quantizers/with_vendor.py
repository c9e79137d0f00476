"""The vendor's ``quantize.py``, run in its own environment, on a checkpoint of layers scaled to [-1, 1).

The vendor's training keeps activations in that range; here powers of two bring them there, those that our
calibration chooses. Widths are what the checkpoint says, shifts the tool's own choice.
"""

from __future__ import annotations

import subprocess
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from benchmarks.quantizers.assemble import Widths, real_bias, weighted
from synergyc.ir.graph import Convolution, Graph, Linear, Requantization
from synergyc.ir.types import Array, frozen_array
from synergyc.quantize import quantize
from synergyc.quantize.quantize import wide_node
from synergyc.synth.izer.tool import find_izer


def vendor(graph: Graph, calibration: Array, widths: Widths) -> Graph:
    """Return ``graph`` in integers; raises SynergyError where the vendor's tool is not found."""
    scales = dict(quantize(graph, calibration).fraction_bits)
    wide = wide_node(graph)
    state = {}
    for node in weighted(graph):
        operator = node.operator
        assert isinstance(operator, Convolution | Linear)
        output = 7 if node.name == wide else scales[node.name]
        gain = 2.0 ** (output - scales[node.inputs[0]])
        state[f"{node.name}.op.weight"] = torch.from_numpy(operator.weight * np.float32(gain))
        state[f"{node.name}.op.bias"] = torch.from_numpy(
            (real_bias(operator) * 2.0 ** (output - 7)).astype("f4")
        )
        state[f"{node.name}.weight_bits"] = torch.tensor([float(widths[node.name])])
    found = _run(state)
    nodes = []
    for node in graph:
        if isinstance(node.operator, Convolution | Linear):
            bits = widths[node.name]
            shift = int(found[f"{node.name}.output_shift"].item())
            if node.name == wide:
                scales[node.name] = 7 + bits - 1 - shift
            bias = found[f"{node.name}.op.bias"] / 2 ** (bits - 1)
            operator = replace(
                node.operator,
                weight=frozen_array(found[f"{node.name}.op.weight"], np.int8),
                bias=frozen_array(bias, np.int8),
                requantization=Requantization(bits, 0 if node.name == wide else shift, node.name == wide),
            )
            node = replace(node, operator=operator)
        nodes.append(node)
    return replace(graph, nodes=tuple(nodes), fraction_bits=scales)


def _run(state: dict[str, torch.Tensor]) -> dict[str, Array]:
    izer = find_izer()
    with tempfile.TemporaryDirectory() as name:
        source, target = Path(name) / "float.pth.tar", Path(name) / "integer.pth.tar"
        torch.save({"epoch": 0, "arch": "network", "state_dict": state}, source)
        command = [str(izer.python), "quantize.py", str(source), str(target), "--device", "MAX78000"]
        subprocess.run(command, cwd=izer.folder, check=True, capture_output=True)
        content = torch.load(target, weights_only=True)
    return {key: value.numpy() for key, value in content["state_dict"].items()}
