"""Wrong input on the command line: one clear diagnostic each, exit code 1, and nothing half-written."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from tests.e2e.command import EXAMPLE, ROOT, synergyc

MODELS = ROOT / "models"


def _app(folder: Path, *, change: tuple[str, str] = ("", ""), model: str | None = None) -> Path:
    """Write the example with absolute paths and one change into ``folder``."""
    text = EXAMPLE.read_text().replace("../models", str(MODELS))
    assert change[0] in text
    text = text.replace(*change, 1)
    if model is not None:
        (folder / "net.py").write_text(model)
        text = text.replace(f"{MODELS}/digits.py:DigitsNet", "net.py:Net")
    path = folder / "app.yaml"
    path.write_text(text)
    return path


def _refused(folder: Path, app: Path, *options: str, **variables: str) -> str:
    result = synergyc("build", str(app), "-o", str(folder / "out"), "-q", *options, env=variables)
    assert result.returncode == 1, result.stdout + result.stderr
    assert result.stdout == ""
    assert not (folder / "out").exists()
    assert not [path for path in folder.iterdir() if path.name.startswith(".out")]
    return result.stderr


def test_unknown_key_is_shown_with_place_and_nearest_key(tmp_path: Path) -> None:
    app = _app(tmp_path, change=("samples:", "sampels:"))
    message = _refused(tmp_path, app)
    line = next(i for i, text in enumerate(app.read_text().splitlines(), 1) if "sampels" in text)
    assert f"app.yaml:{line}:" in message
    assert "samples" in message


def test_wrong_type_is_shown_with_place(tmp_path: Path) -> None:
    assert "app.yaml:" in _refused(tmp_path, _app(tmp_path, change=("rate_kbps: 921.6", "rate_kbps: fast")))


def test_missing_app_file(tmp_path: Path) -> None:
    assert "nowhere.yaml" in _refused(tmp_path, tmp_path / "nowhere.yaml")


def test_missing_weights(tmp_path: Path) -> None:
    message = _refused(tmp_path, _app(tmp_path, change=("digits.safetensors", "gone.safetensors")))
    assert "gone.safetensors" in message


def test_missing_model_class(tmp_path: Path) -> None:
    assert "DigitsNot" in _refused(tmp_path, _app(tmp_path, change=("py:DigitsNet", "py:DigitsNot")))


def test_truncated_weights(tmp_path: Path) -> None:
    content = (MODELS / "data" / "digits.safetensors").read_bytes()
    (tmp_path / "half.safetensors").write_bytes(content[: len(content) // 2])
    app = _app(tmp_path, change=(f"{MODELS}/data/digits.safetensors", "half.safetensors"))
    assert "half.safetensors" in _refused(tmp_path, app)


def test_weights_that_are_no_numbers(tmp_path: Path) -> None:
    tensors = load_file(MODELS / "data" / "digits.safetensors")
    name = next(key for key in tensors if key.endswith("classify.weight"))
    tensors[name] = np.full_like(tensors[name], np.nan)
    save_file(tensors, tmp_path / "nan.safetensors")
    app = _app(tmp_path, change=(f"{MODELS}/data/digits.safetensors", "nan.safetensors"))
    assert "classify.weight" in _refused(tmp_path, app)


UNSUPPORTED = """
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = nn.Conv2d(1, 4, 3, padding=1)
        self.norm = nn.LayerNorm(28)

    def forward(self, x):
        x = self.norm(self.first(x))
        return torch.fft.fft(x).real
"""


def test_unsupported_operators_are_all_named_with_their_place(tmp_path: Path) -> None:
    from synergyc.diagnostics import SynergyError
    from synergyc.frontend import capture, load_module

    (tmp_path / "net.py").write_text(UNSUPPORTED)
    with pytest.raises(SynergyError) as caught:
        capture(load_module("net.py:Net", tmp_path), (1, 28, 28), "net")
    text = str(caught.value)
    assert "norm" in text
    assert "fft" in text
    assert "net.py:12" in text
    assert "net.py:13" in text


LARGE = """
from torch import nn

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.wide = nn.Conv2d(1, 512, 3, padding=1)
        self.huge = nn.Conv2d(512, 512, 3, padding=1)

    def forward(self, x):
        return self.huge(self.wide(x).relu())
"""


def test_network_too_big_names_the_limit_and_the_excess(tmp_path: Path) -> None:
    import torch

    from synergyc.frontend import load_module

    torch.manual_seed(0)
    app = _app(tmp_path, model=LARGE)
    state = load_module("net.py:Net", tmp_path).state_dict()
    save_file({key: value.numpy() for key, value in state.items()}, tmp_path / "large.safetensors")
    app.write_text(app.read_text().replace(f"{MODELS}/data/digits.safetensors", "large.safetensors"))
    message = _refused(tmp_path, app)
    assert "need:" in message
    assert "have:" in message


def test_missing_cross_compiler_says_how_to_get_it(tmp_path: Path) -> None:
    message = _refused(tmp_path, _app(tmp_path), SYNERGYC_CROSS_COMPILE="/nowhere/arm-none-eabi-")
    assert "gcc-arm-none-eabi" in message


def test_missing_vendor_sdk_is_told_before_anything_is_done(tmp_path: Path) -> None:
    message = _refused(tmp_path, _app(tmp_path), "--port", "msdk", MAXIM_PATH="")
    assert message.startswith("error: MAXIM_PATH is not set [sdk]\n")


def test_output_folder_of_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.txt").write_text("years of work")
    result = synergyc("build", str(EXAMPLE), "-o", str(tmp_path / "out"), "-q")
    assert result.returncode == 1
    assert (tmp_path / "out" / "thesis.txt").read_text() == "years of work"


def test_unknown_option_is_wrong_usage() -> None:
    assert synergyc("build", "--colour").returncode == 2


def test_json_failure_is_one_document(tmp_path: Path) -> None:
    import json

    result = synergyc("run", str(tmp_path), "--json")
    assert result.returncode == 1
    document = json.loads(result.stdout)
    assert document["ok"] is False
    assert document["diagnostics"][0]["rule"] == "no-manifest"
