"""Finding models and reading weights, with files as wrong as they come."""

from __future__ import annotations

import os
import pickle
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from synergyc.diagnostics import SynergyError
from synergyc.frontend import load_module, load_weights

SOURCE = """
import torch
from torch import nn
from layers_beside import WIDTH

class Net(nn.Module):
    def __init__(self, outputs=3):
        super().__init__()
        if outputs < 0:
            raise ValueError("outputs must be positive")
        self.fc = nn.Linear(WIDTH, outputs)

class NotAModule:
    pass
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "net.py").write_text(SOURCE)
    (tmp_path / "layers_beside.py").write_text("WIDTH = 5\n")
    (tmp_path / "broken.py").write_text("def forward(:\n")
    (tmp_path / "raises.py").write_text("value = 1\nraise RuntimeError('no data here')\n")
    (tmp_path / "exits.py").write_text("import sys\nsys.exit(0)\n")
    (tmp_path / "prints.py").write_text(
        "print('hello')\n" + SOURCE.replace("super()", "print('new'); super()")
    )
    return tmp_path


def rule_of(caught: pytest.ExceptionInfo[SynergyError]) -> str:
    (diagnostic,) = caught.value.diagnostics
    return diagnostic.rule


def test_a_file_is_found_relative_to_the_base(folder: Path) -> None:
    module = load_module("net.py:Net", folder, {"outputs": 4})
    assert module.fc.weight.shape == (4, 5)  # type: ignore[union-attr]
    assert not module.training
    assert str(folder) not in sys.path


def test_a_package_module_is_found() -> None:
    assert type(load_module("models.digits:DigitsNet", Path())).__name__ == "DigitsNet"


@pytest.mark.parametrize(
    ("spec", "rule", "message"),
    [
        ("net.py", "model-spec", "must be 'file.py:Class'"),
        (":Net", "model-spec", "must be"),
        ("absent.py:Net", "model-file", "does not exist"),
        ("net.py:Nett", "model-class", "must define a torch.nn.Module called 'Nett'"),
        ("net.py:NotAModule", "model-class", "must define"),
        ("broken.py:Net", "model-code", "not valid Python"),
        ("raises.py:Net", "model-code", "raised RuntimeError: no data here"),
        ("exits.py:Net", "model-code", "raised SystemExit: 0"),
        ("no_such_package.x:Net", "model-code", "No module named 'no_such_package'"),
    ],
)
def test_wrong_specs_are_refused(folder: Path, spec: str, rule: str, message: str) -> None:
    with pytest.raises(SynergyError) as caught:
        load_module(spec, folder)
    assert rule_of(caught) == rule
    assert message in caught.value.diagnostics[0].message


def test_a_misspelt_class_gets_a_hint(folder: Path) -> None:
    with pytest.raises(SynergyError, match="did you mean 'Net'"):
        load_module("net.py:Nett", folder)


def test_errors_in_user_code_point_at_their_line(folder: Path) -> None:
    for spec, arguments, line in (
        ("raises.py:Net", {}, 2),
        ("net.py:Net", {"outputs": -1}, 10),
        ("broken.py:N", {}, 1),
    ):
        with pytest.raises(SynergyError) as caught:
            load_module(spec, folder, arguments)
        location = caught.value.diagnostics[0].location
        assert location is not None
        assert (Path(location.file).name, location.line) == (spec.split(":")[0], line)


def test_what_a_model_prints_is_kept_from_standard_output(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    load_module("prints.py:Net", folder)
    assert capsys.readouterr() == ("", "hello\nnew\n")


def test_wrong_arguments_are_refused(folder: Path) -> None:
    with pytest.raises(SynergyError) as caught:
        load_module("net.py:Net", folder, {"width": 3})
    assert rule_of(caught) == "model-arguments"


@pytest.mark.parametrize("suffix", [".safetensors", ".pt", ".pth"])
def test_weights_are_filled_in(tmp_path: Path, suffix: str) -> None:
    source, target = nn.Linear(3, 2), nn.Linear(3, 2)
    path = tmp_path / f"weights{suffix}"
    if suffix == ".safetensors":
        save_file(source.state_dict(), path)
    else:
        torch.save(source.state_dict() if suffix == ".pt" else {"state_dict": source.state_dict()}, path)
    load_weights(target, path)
    assert torch.equal(source.weight, target.weight)


def test_half_precision_weights_are_converted(tmp_path: Path) -> None:
    module = nn.Linear(3, 2)
    path = tmp_path / "half.safetensors"
    save_file({key: value.half() for key, value in module.state_dict().items()}, path)
    load_weights(module, path)
    assert module.weight.dtype == torch.float32


def test_every_wrong_tensor_is_reported_and_nothing_is_changed(tmp_path: Path) -> None:
    module = nn.Sequential(nn.Linear(3, 2), nn.Linear(2, 2), nn.BatchNorm1d(2))
    before = module.state_dict()["1.weight"].clone()
    state = {key: value.clone() for key, value in module.state_dict().items()}
    del state["0.bias"]
    del state["2.num_batches_tracked"]  # only training reads it: no complaint
    state["0.weight"] = torch.zeros(2, 4)
    state["1.bias"] = torch.tensor([float("nan"), 0.0])
    state["2.running_var"] = torch.tensor([float("inf"), 0.0])
    state["1.weights"] = state["1.weight"] + 1
    path = tmp_path / "wrong.safetensors"
    save_file(state, path)
    with pytest.raises(SynergyError) as caught:
        load_weights(module, path)
    found = {(item.rule, item.message.split("'")[1]) for item in caught.value.diagnostics}
    assert found == {
        ("weights-missing", "0.bias"),
        ("weights-shape", "0.weight"),
        ("weights-value", "1.bias"),
        ("weights-value", "2.running_var"),
        ("weights-unexpected", "1.weights"),
    }
    assert torch.equal(module.state_dict()["1.weight"], before)


class Hostile:
    """Its pickle would create a file when loaded."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (str(self.target),)


def test_a_pickle_that_runs_code_is_refused_and_not_run(tmp_path: Path) -> None:
    path, trap = tmp_path / "hostile.pt", tmp_path / "trap"
    torch.save({"fc.weight": Hostile(trap)}, path)
    with pytest.raises(SynergyError) as caught:
        load_weights(nn.Linear(2, 2), path)
    assert rule_of(caught) == "weights-file"
    assert not trap.exists()


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("absent.pt", None),
        ("empty.pt", b""),
        ("text.pt", b"not a checkpoint"),
        ("plain.pt", pickle.dumps({"fc.weight": [1, 2]})),
        ("cut.safetensors", b"\x10\x00\x00\x00\x00\x00\x00\x00{"),
        ("weights.npz", b"PK"),
    ],
)
def test_unreadable_files_are_refused(tmp_path: Path, name: str, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(SynergyError) as caught:
        load_weights(nn.Linear(2, 2), tmp_path / name)
    assert rule_of(caught) == "weights-file"
    assert caught.value.diagnostics[0].location is not None


def test_a_pickled_module_is_named_without_advice_to_execute_it(tmp_path: Path) -> None:
    path = tmp_path / "whole.pt"
    torch.save(nn.Linear(2, 2), path)
    with pytest.raises(SynergyError) as caught:
        load_weights(nn.Linear(2, 2), path)
    (diagnostic,) = caught.value.diagnostics
    assert diagnostic.message == (
        "not a checkpoint of plain tensors: it names torch.nn.modules.linear.Linear, which is not data"
    )


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (torch.full((2, 2), 1e300, dtype=torch.float64), "must be finite as torch.float32"),
        (torch.ones(2, 2, dtype=torch.complex64), "must hold plain real numbers, not torch.complex64"),
        (torch.ones(2, 2).to_sparse(), "must hold plain real numbers"),
        (torch.ones(2, 2, device="meta"), "must hold plain real numbers"),
    ],
)
def test_tensors_that_are_no_weights_are_refused(values: torch.Tensor, message: str, tmp_path: Path) -> None:
    path = tmp_path / "odd.pt"
    torch.save({"weight": values, "bias": torch.zeros(2)}, path)
    with pytest.raises(SynergyError, match=message):
        load_weights(nn.Linear(2, 2), path)


def test_eight_bit_floats_are_converted(tmp_path: Path) -> None:
    module, path = nn.Linear(2, 2), tmp_path / "eight.pt"
    torch.save({key: value.to(torch.float8_e4m3fn) for key, value in module.state_dict().items()}, path)
    expected = module.weight.detach().to(torch.float8_e4m3fn).float()
    load_weights(module, path)
    assert torch.equal(module.weight, expected)


def test_weights_of_a_wrapped_model_are_one_mistake(tmp_path: Path) -> None:
    module, path = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2)), tmp_path / "parallel.pt"
    torch.save(nn.DataParallel(module).state_dict(), path)
    with pytest.raises(SynergyError) as caught:
        load_weights(module, path)
    assert rule_of(caught) == "weights-wrapped"
    assert "model.module.state_dict()" in (caught.value.diagnostics[0].hint or "")


def test_tensors_without_names_are_refused(tmp_path: Path) -> None:
    torch.save({1: torch.zeros(2)}, tmp_path / "numbered.pt")
    with pytest.raises(SynergyError, match="dictionary of tensors by name"):
        load_weights(nn.Linear(2, 2), tmp_path / "numbered.pt")


def test_a_checkpoint_without_tensors_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "numbers.pt"
    torch.save({"fc.weight": [1.0, 2.0]}, path)
    with pytest.raises(SynergyError, match="must hold a dictionary of tensors"):
        load_weights(nn.Linear(2, 2), path)
