"""Every source of a model leads to the same layers; the command line's MODEL names them by suffix."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from synergyc.config import (
    App,
    CheckpointModel,
    ExportedModel,
    Interact,
    ModelSource,
    OnnxModel,
    PythonModel,
    Quantize,
    Sense,
)
from synergyc.diagnostics import SynergyError
from synergyc.pipeline.models import prepare
from synergyc.pipeline.sources import source_of
from synergyc.targets import load_chip

CODE = """
from torch import nn

class Net(nn.Sequential):
    def __init__(self):
        super().__init__(
            nn.Conv2d(2, 4, 3, stride=2, padding=1),
            nn.BatchNorm2d(4),
            nn.ReLU6(),
            nn.Flatten(),
            nn.Linear(64, 3),
        )
"""


def files(folder: Path) -> dict[str, ModelSource]:
    """Write one model in all forms of the front end."""
    namespace: dict[str, type[nn.Module]] = {}
    exec(CODE, namespace)  # noqa: S102 - the text above
    torch.manual_seed(0)
    module, example = namespace["Net"]().eval(), torch.zeros(1, 2, 8, 8)
    (folder / "net.py").write_text(CODE)
    save_file(module.state_dict(), folder / "net.safetensors")
    torch.export.save(torch.export.export(module, (example,)), folder / "net.pt2")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(module, (example,), folder / "net.onnx", dynamo=False, opset_version=13)
    weights = folder / "net.safetensors"
    return {
        "file": PythonModel(folder / "net.py", "Net", weights, (2, 8, 8)),
        "module": PythonModel(folder / "net", "Net", weights, (2, 8, 8)),
        "exported": ExportedModel(folder / "net.pt2"),
        "onnx": OnnxModel(folder / "net.onnx"),
    }


def test_all_forms_give_the_same_results_in_an_app(tmp_path: Path) -> None:
    samples = np.random.default_rng(0).integers(-128, 128, (16, 2, 8, 8), dtype=np.int8)
    np.save(tmp_path / "samples.npy", samples)
    found = {}
    for name, model in files(tmp_path).items():
        app = App(
            name="net",
            sense=Sense("replay"),
            model=model,
            interact=Interact("led"),
            quantize=Quantize(tmp_path / "samples.npy"),
            samples=tmp_path / "samples.npy",
        )
        prepared = prepare(app, [load_chip("max78000")])
        assert prepared.samples.shape == (16, 8, 4, 4)  # folded by the stride of the first layer
        found[name] = [layer.weight.tolist() for layer in prepared.network.layers if layer.weight is not None]
    assert all(weights == found["file"] for weights in found.values())


@pytest.mark.parametrize(
    ("spec", "kind"),
    [
        ("net.py:Net", PythonModel),
        ("package.module:Net", PythonModel),
        ("net.onnx", OnnxModel),
        ("net.pt2", ExportedModel),
        ("net-q.pth.tar", CheckpointModel),
    ],
)
def test_the_suffix_says_what_a_file_is(spec: str, kind: type) -> None:
    assert isinstance(source_of(spec, (1, 8, 8)), kind)


@pytest.mark.parametrize(
    ("spec", "shape", "rule"),
    [("net", None, "model-spec"), (":Net", None, "model-spec"), ("a.py:B", None, "capture-input")],
)
def test_what_names_no_model_is_refused(spec: str, shape: tuple[int, ...] | None, rule: str) -> None:
    with pytest.raises(SynergyError) as caught:
        source_of(spec, shape)
    assert [item.rule for item in caught.value.diagnostics] == [rule]
