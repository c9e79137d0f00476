"""Saved torch.export programs: the same graph as the module's own, and refusals."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from synergyc.diagnostics import SynergyError
from synergyc.frontend import capture, read_exported
from synergyc.ir.graph import Linear
from tests.frontend.test_capture import Image


def saved(module: nn.Module, example: torch.Tensor, path: Path, **options: object) -> Path:
    torch.export.save(torch.export.export(module.eval(), (example,), **options), path)  # type: ignore[arg-type]
    return path


def test_a_program_gives_the_graph_of_its_module(tmp_path: Path) -> None:
    torch.manual_seed(0)
    module = Image()
    path = saved(module, torch.zeros(1, 2, 10, 12), tmp_path / "net.pt2")
    found, expected = read_exported(path, "net"), capture(module, (2, 10, 12), "net")
    strip = [(str(node.operator), node.inputs, node.shape) for node in found]
    assert strip == [(str(node.operator), node.inputs, node.shape) for node in expected]


def test_dynamic_shapes_are_refused(tmp_path: Path) -> None:
    rows = torch.export.Dim("rows", min=4, max=64)
    path = saved(
        nn.Conv2d(2, 2, 1), torch.zeros(1, 2, 8, 8), tmp_path / "net.pt2", dynamic_shapes=({2: rows},)
    )
    with pytest.raises(SynergyError) as caught:
        read_exported(path, "net")
    assert [item.rule for item in caught.value.diagnostics] == ["capture-dynamic"]


class Two(nn.Module):
    """Takes two inputs."""

    def forward(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return x + y


def test_programs_of_two_inputs_are_refused(tmp_path: Path) -> None:
    example = torch.zeros(1, 3)
    torch.export.save(torch.export.export(Two(), (example, example)), tmp_path / "net.pt2")
    with pytest.raises(SynergyError, match="must take one tensor and return one, not 2 and 1"):
        read_exported(tmp_path / "net.pt2", "net")


@pytest.mark.parametrize("kind", [torch.float64, torch.float16, torch.bfloat16])
def test_weights_of_other_precision_are_read_as_float32(kind: torch.dtype, tmp_path: Path) -> None:
    module = nn.Linear(3, 2).to(kind)
    path = saved(module, torch.zeros(1, 3, dtype=kind), tmp_path / "net.pt2")
    (node,) = read_exported(path, "net")
    assert isinstance(node.operator, Linear)
    assert node.operator.weight.dtype == np.float32
    np.testing.assert_array_equal(node.operator.weight, module.weight.detach().float().numpy())


class Hostile:
    """A pickle that would run code."""

    def __reduce__(self) -> tuple[object, ...]:
        return (exec, ("raise SystemExit('executed')",))


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 cut off", pickle.dumps(Hostile())])
def test_damaged_and_hostile_files_give_one_diagnostic(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "net.pt2").write_bytes(content)
    with pytest.raises(SynergyError) as caught:
        read_exported(tmp_path / "net.pt2", "net")
    assert [item.rule for item in caught.value.diagnostics] == ["model-damaged"]
