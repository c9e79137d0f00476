"""Checkpoints are read without executing anything; truth for the values: what torch.save was given."""

from __future__ import annotations

import os
import pickle
import zipfile
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from synergyc.diagnostics import SynergyError
from synergyc.synth.vendor.checkpoint import load_checkpoint


def state() -> OrderedDict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return OrderedDict(
        {
            "conv1.op.weight": torch.randint(-128, 128, (4, 3, 3, 3), generator=generator).float(),
            "conv1.op.bias": torch.arange(4) * 128.0,
            "conv1.weight_bits": torch.tensor([8]),
            "conv1.view": torch.arange(24).reshape(4, 6).t()[1:, ::2],
            "conv1.flag": torch.tensor([True, False]),
            "conv1.scalar": torch.tensor(3.5),
        }
    )


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "older"])
def test_tensors_come_back(tmp_path: Path, zipped: bool) -> None:
    path = tmp_path / "c.pth.tar"
    optimizer = torch.optim.SGD([torch.zeros(2)], lr=0.1)
    content = {"epoch": 3, "arch": "net", "state_dict": state(), "optimizer": optimizer.state_dict()}
    torch.save(content, path, _use_new_zipfile_serialization=zipped)
    checkpoint = load_checkpoint(path)
    assert checkpoint.arch == "net"
    assert list(checkpoint.parameters) == list(state())
    for key, tensor in state().items():
        assert np.array_equal(checkpoint.parameters[key], tensor.numpy()), key


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "older"])
def test_objects_of_the_training_code_are_not_built(tmp_path: Path, zipped: bool) -> None:
    path = tmp_path / "c.pth.tar"
    optimizer = torch.optim.Adam([torch.nn.Parameter(torch.zeros(2))])
    torch.save({"state_dict": state(), "extras": optimizer}, path, _use_new_zipfile_serialization=zipped)
    assert set(load_checkpoint(path).parameters) == set(state())


class _Hostile:
    """Runs a command when it is unpickled the ordinary way."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f"touch {self.marker}",)


class _Disguised(_Hostile):
    """Reaches for a function through a module whose objects are tolerated."""

    def __reduce__(self) -> tuple[Any, ...]:
        return torch.hub.os.system, (f"touch {self.marker}",)  # type: ignore[attr-defined]


@pytest.mark.parametrize("kind", [_Hostile, _Disguised])
@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "older"])
def test_hostile_checkpoints_are_refused_and_do_nothing(
    tmp_path: Path, zipped: bool, kind: type[_Hostile]
) -> None:
    path, marker = tmp_path / "c.pth.tar", tmp_path / "touched"
    content = {"state_dict": state(), "extra": kind(marker)}
    torch.save(content, path, _use_new_zipfile_serialization=zipped)
    with pytest.raises(SynergyError, match=r"system, which is not data"):
        load_checkpoint(path)
    assert not marker.exists()


def test_a_call_through_a_tolerated_module_does_nothing(tmp_path: Path) -> None:
    marker = tmp_path / "touched"
    path = tmp_path / "c.pth.tar"
    # GLOBAL names os.system as an attribute of a torch module; REDUCE calls it.
    code = (
        b"\x80\x02}(X\x0a\x00\x00\x00state_dict}X\x01\x00\x00\x00ectorch.hub\nos.system\n"
        + f"(S'touch {marker}'\ntRu.".encode()
    )
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", code)
    assert load_checkpoint(path).parameters == {}
    assert not marker.exists()


@pytest.mark.parametrize(
    "content",
    [b"", b"PK\x03\x04nonsense", b"\x80\x02nonsense", pickle.dumps([1, 2]), b"not a checkpoint at all"],
)
def test_damaged_files_are_reported(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "c.pth.tar"
    path.write_bytes(content)
    with pytest.raises(SynergyError) as error:
        load_checkpoint(path)
    assert error.value.diagnostics[0].rule == "checkpoint"
    assert error.value.diagnostics[0].location is not None


def test_missing_parts_are_reported(tmp_path: Path) -> None:
    path = tmp_path / "c.pth.tar"
    torch.save({"epoch": 0}, path)
    with pytest.raises(SynergyError, match="state_dict"):
        load_checkpoint(path)
    with pytest.raises(SynergyError, match="No such file"):
        load_checkpoint(tmp_path / "missing.pth.tar")


def test_a_tensor_beyond_its_storage_is_refused(tmp_path: Path) -> None:
    path, broken = tmp_path / "c.pth.tar", tmp_path / "broken.pth.tar"
    torch.save({"state_dict": {"a.weight": torch.arange(1000.0)}}, path)
    with zipfile.ZipFile(path) as source, zipfile.ZipFile(broken, "w") as target:
        for name in source.namelist():
            content = source.read(name)
            target.writestr(name, content[:400] if name.endswith("data/0") else content)
    with pytest.raises(SynergyError, match="beyond its storage"):
        load_checkpoint(broken)
