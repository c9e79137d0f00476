"""Checkpoints of the vendor's training tool as models.

Truth: the vendor tool's own reading of the same files, whose answers ``tests/synth`` compares with the
vendor's; here the integers must be the same after they became a graph and layers again.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import torch

from synergyc import reference
from synergyc.config import CheckpointModel
from synergyc.diagnostics import SynergyError
from synergyc.ir.types import Array
from synergyc.legalize import legalize
from synergyc.pipeline.synth import known_answer
from synergyc.pipeline.vendor_model import VendorModel, read_vendor_model
from synergyc.quantize.calibrate import float_values
from synergyc.synth.vendor.options import VendorOptions
from synergyc.synth.vendor.reader import read_vendor
from synergyc.targets import load_chip

CHIP = load_chip("max78000")

NETWORK = """
arch: small
dataset: small
layers:
  - {out_offset: 0x2000, processors: 0x0000000000000007, operation: conv2d, kernel_size: 3x3, pad: 1,
     activate: ReLU, data_format: HWC}
  - {out_offset: 0x0000, processors: 0x00000000000000ff, operation: conv2d, kernel_size: 3x3, pad: 1,
     max_pool: 2, pool_stride: 2, activate: ReLU}
  - {out_offset: 0x2000, processors: 0x000000000000000f, operation: mlp, flatten: true, output_width: 32}
"""

SHAPES = {"conv1": (8, 3, 3, 3), "conv2": (4, 8, 3, 3), "fc": (5, 64)}


def checkpoint(folder: Path, *, quantized: bool) -> CheckpointModel:
    """Write a network description and a checkpoint as the training tool saves it."""
    torch.manual_seed(0)
    state: dict[str, torch.Tensor] = {}
    for name, shape in SHAPES.items():
        weight = torch.randn(shape) / 4
        state[f"{name}.output_shift"] = torch.tensor([1.0])
        state[f"{name}.weight_bits"] = torch.tensor([8.0])
        state[f"{name}.op.weight"] = (weight * 128).round().clamp(-128, 127) if quantized else weight
        if name == "conv1" and not quantized:
            state[f"{name}.bn.running_mean"] = torch.randn(8) / 8
            state[f"{name}.bn.running_var"] = torch.rand(8) + 0.5
    torch.save({"epoch": 3, "arch": "small", "state_dict": state}, folder / "net.pth.tar")
    (folder / "net.yaml").write_text(NETWORK)
    return CheckpointModel(folder / "net.pth.tar", folder / "net.yaml")


def answer(model: VendorModel, sample: Array) -> Array:
    """Return what the layers of the checkpoint's integers make of a sample (C, H, W)."""
    assert model.integers is not None
    network = legalize(model.integers, CHIP)
    return reference.run(network, {network.inputs[0].name: sample[None].astype(np.int8)})[network.outputs[0]]


def vendors_answer(
    model: CheckpointModel, sample_file: Path | None, roots: list[Path]
) -> tuple[Array, Array]:
    """Return the sample, and the answer of the same files read as the vendor's tool reads them."""
    assert model.network is not None
    options = VendorOptions(model.network, model.file, sample_input=sample_file)
    network = read_vendor(options, CHIP, root=roots)
    (output,) = known_answer(network).outputs.values()
    return np.asarray(network.samples[0]), output


def test_a_quantized_checkpoint_keeps_its_integers(tmp_path: Path) -> None:
    model = checkpoint(tmp_path, quantized=True)
    sample = np.random.default_rng(0).integers(-128, 128, (3, 8, 8))
    np.save(tmp_path / "sample.npy", sample)
    _, expected = vendors_answer(model, tmp_path / "sample.npy", [])
    found = answer(read_vendor_model(model, (3, 8, 8), CHIP), sample)
    np.testing.assert_array_equal(found.reshape(-1), expected.reshape(-1))


def test_a_float_checkpoint_gives_its_real_weights(tmp_path: Path) -> None:
    """Truth: the training tool's layers, written out (normalization divided by four, clipping to [-1, 1])."""
    model = checkpoint(tmp_path, quantized=False)
    state = torch.load(model.file, weights_only=True)["state_dict"]
    found = read_vendor_model(model, (3, 8, 8), CHIP)
    assert found.integers is None
    x = torch.rand(2, 3, 8, 8) - 0.5
    y = torch.nn.functional.conv2d(x, state["conv1.op.weight"], padding=1)
    mean, variance = state["conv1.bn.running_mean"], state["conv1.bn.running_var"]
    y = (y - mean.view(-1, 1, 1)) / torch.sqrt(variance.view(-1, 1, 1) + 1e-5) / 4
    y = torch.nn.functional.max_pool2d(y.clamp(0, 1), 2)
    y = torch.nn.functional.conv2d(y, state["conv2.op.weight"], padding=1).clamp(0, 1)
    expected = torch.nn.functional.linear(y.flatten(1), state["fc.op.weight"])
    values = float_values(found.graph, x.numpy())[found.graph.output]
    np.testing.assert_allclose(values.reshape(2, -1), expected.numpy(), rtol=1e-4, atol=1e-4)


def test_without_a_description_the_layers_are_listed(tmp_path: Path) -> None:
    model = checkpoint(tmp_path, quantized=True)
    with pytest.raises(SynergyError) as caught:
        read_vendor_model(CheckpointModel(model.file, None), (3, 8, 8), CHIP)
    (diagnostic,) = caught.value.diagnostics
    assert diagnostic.rule == "checkpoint-network"
    assert "conv2.op 4x8x3x3" in diagnostic.message
    assert "--network" in str(diagnostic.hint)


def test_the_input_shape_must_be_known(tmp_path: Path) -> None:
    with pytest.raises(SynergyError, match="capture-input"):
        read_vendor_model(checkpoint(tmp_path, quantized=True), None, CHIP)


@pytest.mark.parametrize(
    ("trained", "network"),
    [
        ("ai85-mnist-qat8-q", "mnist-chw-ai85"),
        ("ai85-kws20_v3-qat8-q", "kws20-v3-hwc"),
        ("ai85-aisegment-unet-large-fakept-q", "aisegment-unet-large-fakept"),
        ("ai85-dot_emb_112_checkpoint-q", "ai85-dotprod"),
    ],
)
def test_the_vendors_trained_networks_give_their_known_answers(trained: str, network: str) -> None:
    folder = os.environ.get("AI8X_SYNTHESIS_DIR")
    if not folder:
        pytest.skip("AI8X_SYNTHESIS_DIR is not set: the vendor's checkpoints are there")
    root = Path(folder)
    model = CheckpointModel(root / "trained" / f"{trained}.pth.tar", root / "networks" / f"{network}.yaml")
    sample, expected = vendors_answer(model, None, [root])
    found = answer(read_vendor_model(model, tuple(sample.shape), CHIP), sample)
    np.testing.assert_array_equal(found.reshape(-1), expected.reshape(-1))
