"""What capture refuses: each with a rule, the layer, the line and a message that says what to do."""

from __future__ import annotations

import resource
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.nn import functional

from synergyc.diagnostics import Diagnostic, SynergyError
from synergyc.frontend import capture
from synergyc.frontend.onnx_file import read_onnx
from synergyc.ir.types import Shape


class Calls(nn.Module):
    """A module whose forward is the given function."""

    def __init__(self, function: Callable[[torch.Tensor], object]) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: torch.Tensor) -> object:
        return self.function(x)


def refused(function: Callable[[torch.Tensor], object], shape: Shape = (2, 6, 6)) -> tuple[Diagnostic, ...]:
    with pytest.raises(SynergyError) as caught:
        capture(Calls(function), shape, "net")
    return caught.value.diagnostics


def test_all_unsupported_operators_are_reported_at_once() -> None:
    def forward(x: torch.Tensor) -> torch.Tensor:
        x = torch.sigmoid(x)
        x = functional.relu(x)
        x = x * x
        return functional.softmax(x.flatten(1), dim=1)

    diagnostics = refused(forward)
    assert [item.layer for item in diagnostics] == ["sigmoid", "mul"]
    assert [item.rule for item in diagnostics] == ["cpu-place", "unsupported-operator"]
    source = Path(__file__).read_text().splitlines()
    for item, text in zip(diagnostics, ["torch.sigmoid", "x * x"], strict=True):
        assert item.location is not None
        assert Path(item.location.file).name == Path(__file__).name
        assert text in source[item.location.line - 1]


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda x: functional.avg_pool2d(x, 3, 2, ceil_mode=True), "must not reach beyond the map"),
        (
            lambda x: functional.avg_pool2d(x, 3, padding=1, count_include_pad=False),
            "must divide by the window size everywhere",
        ),
        (lambda x: functional.avg_pool2d(x, 2, divisor_override=3), "divisor_override=None"),
        (lambda x: functional.adaptive_avg_pool2d(x, 4), "windows of several sizes"),
        (lambda x: functional.adaptive_avg_pool2d(x[:, :, :1], (3, 6)), "windows of several sizes"),
        (lambda x: x.reshape(2, 36), "mixes the images of a batch"),
        (lambda x: x.relu() + torch.rand(1, 2, 1, 1), "its values are random"),
        (lambda x: x.relu() + torch.arange(6.0), "differs from pixel to pixel"),
        (lambda x: x * torch.relu(x), "cannot multiply two tensors"),
        (lambda x: torch.clamp(x, 1.0, -1.0), "clips everything"),
        (lambda x: x + x[:, :1], "operands of equal shape"),
        (lambda x: functional.pad(x, (1, 1), value=1.0), "padded with zeros only"),
        (functional.silu, "aten.silu"),
        (lambda x: torch.cat([x, x], dim=2), "concatenation must be by channel"),
        (lambda x: functional.conv2d(x, x[:, :, :3, :3]), "must be a parameter"),
        (lambda x: functional.linear(x.relu(), torch.ones(3, 6)), "it must"),
        (lambda x: functional.max_pool1d(x.flatten(1), 2), "must have a batch axis and 2 more"),
        (lambda x: functional.conv1d(x.flatten(1), torch.ones(1, 1, 3)), "must have a batch axis and 2 more"),
        (lambda x: functional.adaptive_avg_pool1d(x.flatten(1), 1), "must have a batch axis and 2 more"),
        (lambda x: functional.threshold(x, 0.1, 0.0), "no steps"),
        (lambda x: x[:, :, [0, 2]], "only channels can be picked"),
        (lambda x: x.flip(2), "only the order of channels"),
        (lambda x: x.repeat(1, 1, 2, 1), "only channels can be repeated"),
        (lambda x: torch.cat([x, torch.ones(1, 1, *x.shape[2:])], 1), "other than zeros"),
        (lambda x: torch.relu(torch.maximum(x, x[:, :1])), "are compared"),
        (lambda x: functional.max_pool2d(x, 2, return_indices=True)[1], "only its first result"),
        (lambda x: functional.interpolate(x, scale_factor=0.55), "nearest neighbours of 3 pixels among 6"),
        (lambda x: x[:, :1].relu() + torch.ones(1, 3, 1, 1), "makes 3 channels of 1"),
        (lambda x: x.relu() * torch.tensor(torch.nan), "must be finite"),
        (lambda x: functional.batch_norm(x, torch.zeros(2), -torch.ones(2)), "variance"),
        (lambda x: torch.clamp(x, float("nan"), 1.0), "clips everything"),
        (lambda x: x.relu().mean() * torch.ones(1, 2, 1, 1), "must not be mixed"),
        (lambda x: functional.linear(x.flatten(1), torch.ones(0, 72)), "is empty"),
    ],
)
def test_unsupported_uses_say_why(function: Callable[[torch.Tensor], object], message: str) -> None:
    assert any(message in item.message for item in refused(function))


def test_control_flow_on_data_is_refused() -> None:
    def forward(x: torch.Tensor) -> torch.Tensor:
        if x.sum() > 0:
            return x.relu()
        return x.abs()

    (diagnostic,) = refused(forward)
    assert diagnostic.rule == "capture-control-flow"
    assert diagnostic.location is not None
    assert "if x.sum() > 0" in Path(__file__).read_text().splitlines()[diagnostic.location.line - 1]


def test_shapes_that_depend_on_data_are_refused() -> None:
    diagnostics = refused(lambda x: x[x > 0])
    assert all(item.rule in {"unsupported-operator", "capture-control-flow"} for item in diagnostics)


def test_a_wrong_input_shape_is_refused_with_torchs_reason() -> None:
    with pytest.raises(SynergyError) as caught:
        capture(nn.Conv2d(3, 4, 3), (1, 8, 8), "net")
    (diagnostic,) = caught.value.diagnostics
    assert diagnostic.rule == "capture"
    assert "expected input[1, 1, 8, 8] to have 3 channels" in diagnostic.message


def test_an_error_in_forward_points_at_its_line() -> None:
    def forward(x: torch.Tensor) -> torch.Tensor:
        raise LookupError("no such scale")

    (diagnostic,) = refused(forward)
    assert "LookupError: no such scale" in diagnostic.message
    assert diagnostic.location is not None
    assert "raise LookupError" in Path(__file__).read_text().splitlines()[diagnostic.location.line - 1]


@pytest.mark.parametrize("function", [lambda x: (x.relu(), x.abs()), lambda x: x, lambda x: torch.ones(1, 3)])
def test_the_signature_must_be_one_tensor_to_one_tensor(function: Callable[[torch.Tensor], object]) -> None:
    (diagnostic,) = refused(function)
    assert diagnostic.rule == "capture-signature"


@pytest.mark.parametrize("shape", [(), (0, 4, 4), (1, 2, 3, 4)])
def test_impossible_input_shapes_are_refused(shape: Shape) -> None:
    (diagnostic,) = refused(lambda x: x.relu(), shape)
    assert diagnostic.rule == "capture-input"


def test_tracing_failures_print_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    refused(lambda x: x.relu() if x.sum() > 0 else x)
    assert capfd.readouterr() == ("", "")


def test_consequences_of_a_moved_batch_axis_are_not_reasons_of_their_own(tmp_path: Path) -> None:
    """Torch's attention is 26 operators with the batch axis elsewhere: one of them is enough to tell."""

    class Attends(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.attend = nn.MultiheadAttention(8, 2)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            tokens = x.flatten(2).permute(2, 0, 1)
            attended: torch.Tensor = self.attend(tokens, tokens, tokens)[0]
            return functional.silu(attended.permute(1, 2, 0))

    def said(refused_by: Callable[[], object]) -> list[tuple[str | None, str]]:
        with pytest.raises(SynergyError) as caught:
            refused_by()
        return [(item.layer, item.message.split(": ")[0]) for item in caught.value.diagnostics]

    assert said(lambda: capture(Attends(), (8, 4, 4), "net")) == [
        ("permute", "operator aten.permute.default"),
        ("attend", "operator aten.bmm.default"),
        ("silu", "operator aten.silu.default"),
    ]
    onnx_file = tmp_path / "net.onnx"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(Attends().eval(), (torch.zeros(1, 8, 4, 4),), str(onnx_file), dynamo=False)
    layers = [layer for layer, _ in said(lambda: read_onnx(onnx_file, "net"))]
    assert len(layers) == 2  # the first transposition, and the product of SiLU


def test_a_huge_input_costs_no_memory_before_its_size_is_refused() -> None:
    """An example of this shape takes 1.1 GB where somebody writes it."""
    before_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    capture(nn.Conv2d(1, 2, 3, padding=1), (1, 10_000_000, 28), "net")
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before_kib < 500_000
