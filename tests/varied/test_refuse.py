"""Models that the accelerator cannot run: refused with the rule, the layer, the line, and what to do."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as f

from synergyc.diagnostics import Diagnostic, SynergyError
from synergyc.frontend import capture
from synergyc.ir.types import Shape
from synergyc.legalize import legalize, outline, rewrite
from synergyc.targets import load_chip


class Attention(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(8, 2, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.attention(x, x, x, need_weights=False)[0]
        return y


class Recurrent(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.lstm, self.fc = nn.LSTM(6, 16, batch_first=True), nn.Linear(16, 3)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.fc(self.lstm(x)[0][:, -1])
        return y


class SqueezeExcite(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv, self.gate = nn.Conv2d(3, 8, 3), nn.Conv2d(8, 8, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu(self.conv(x))
        return x * torch.sigmoid(self.gate(x.mean((2, 3), keepdim=True)))


class Smooth(nn.Module):
    def __init__(self, activation: nn.Module) -> None:
        super().__init__()
        self.conv, self.activation, self.out = nn.Conv2d(3, 8, 3), activation, nn.Conv2d(8, 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.out(self.activation(self.conv(x)))
        return y


class Branching(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(x) if x.mean() > 0 else x * 2


class Pair(nn.Module):
    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        return x + y


class Calls(nn.Module):
    def __init__(self, function: Callable[[Tensor], Tensor], *layers: nn.Module) -> None:
        super().__init__()
        self.layers, self.function = nn.Sequential(*layers), function

    def forward(self, x: Tensor) -> Tensor:
        return self.function(self.layers(x))


def refused(module: nn.Module, shape: Shape) -> tuple[Diagnostic, ...]:
    with pytest.raises(SynergyError) as caught:
        legalize(outline(rewrite(capture(module, shape, "net"))), load_chip("max78000"))
    return caught.value.diagnostics


IMAGE = (3, 12, 12)


@pytest.mark.parametrize(
    ("module", "shape", "rule", "said"),
    [
        (Attention(), (10, 8), "unsupported-operator", "attention cannot be carried out"),
        (Recurrent(), (20, 6), "unsupported-operator", "1-D convolutions"),
        (SqueezeExcite(), IMAGE, "unsupported-operator", "cannot multiply two tensors"),
        (Smooth(nn.SiLU()), IMAGE, "unsupported-operator", "use ReLU, ReLU6 or LeakyReLU"),
        (Smooth(nn.Hardswish()), IMAGE, "unsupported-operator", "use ReLU, ReLU6 or LeakyReLU"),
        (Smooth(nn.GELU()), IMAGE, "unsupported-operator", "use ReLU, ReLU6 or LeakyReLU"),
        (Smooth(nn.Sigmoid()), IMAGE, "cpu-place", "at the end of the model"),
        (Smooth(nn.GroupNorm(2, 8)), IMAGE, "unsupported-operator", "use batch normalization"),
        (Smooth(nn.Softmax(dim=1)), IMAGE, "cpu-place", "at the end of the model"),
        (Branching(), IMAGE, "capture-control-flow", "depend on the values of its input"),
        (nn.Conv3d(1, 2, 3), (1, 5, 5), "capture", "fails on an input of shape"),
        (nn.ConvTranspose1d(2, 2, 3, 3), (2, 8), "convolution-stride", "need: 3"),
        (nn.Conv2d(3, 4, 11), (3, 32, 32), "conv2d-kernel", "11x11"),
        (
            nn.Sequential(
                nn.Conv2d(3, 4, 1), nn.Upsample(scale_factor=2, mode="bilinear"), nn.Conv2d(4, 4, 3)
            ),
            IMAGE,
            "cpu-place",
            "bilinear",
        ),
        (nn.Conv1d(3, 4, 80), (3, 100), "conv1d-kernel", "9"),
        (
            Calls(torch.relu, nn.Conv2d(3, 4, 1), nn.Conv2d(4, 4, 3, (3, 1))),
            IMAGE,
            "stride-axes",
            "stride 3 of rows alone",
        ),
        (
            Calls(lambda x: f.max_pool2d(x, 3, 1, 1), nn.Conv2d(3, 4, 1)),
            IMAGE,
            "pool-padding",
            "may be negative",
        ),
        (Calls(lambda x: x.flatten(1) @ x.flatten(1).t()), IMAGE, "unsupported-operator", "matmul"),
        (Calls(lambda x: torch.sort(x, dim=1)[0]), IMAGE, "unsupported-operator", "sort"),
        (
            Calls(lambda x: f.max_pool2d(x.permute(0, 2, 3, 1), 2), nn.Conv2d(3, 4, 1)),
            IMAGE,
            "cpu-place",
            "transpose",
        ),
    ],
)
def test_refusals_name_the_rule_and_what_to_do(module: nn.Module, shape: Shape, rule: str, said: str) -> None:
    diagnostics = refused(module, shape)
    assert rule in {item.rule for item in diagnostics}
    assert any(said in item.render() for item in diagnostics)


def test_two_inputs_are_refused() -> None:
    (diagnostic,) = refused(Pair(), IMAGE)
    assert diagnostic.rule in {"capture-signature", "capture"}


def test_refusals_point_at_the_line() -> None:
    (diagnostic,) = refused(Smooth(nn.SiLU()), IMAGE)
    assert diagnostic.layer == "activation"
    assert diagnostic.location is not None
    line = Path(__file__).read_text().splitlines()[diagnostic.location.line - 1]
    assert "self.activation(self.conv(x))" in line
