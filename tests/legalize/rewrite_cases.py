"""Models with operators that the accelerator lacks, and that can be rewritten without them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional as f

from synergyc.ir.types import Shape


@dataclass(frozen=True)
class Case:
    """A function of layers ``a``, ``b`` ... and an input."""

    shape: Shape
    layers: tuple[Callable[[], nn.Module], ...]
    forward: Callable[..., torch.Tensor]


class Model(nn.Module):
    """Layers by name and the function that uses them."""

    def __init__(self, case: Case) -> None:
        super().__init__()
        self.parts = nn.ModuleList(make() for make in case.layers)
        self.function = case.forward

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        result: torch.Tensor = self.function(x, *self.parts)
        return result


def conv(*arguments: int | tuple[int, int], **options: object) -> Callable[[], nn.Module]:
    return lambda: nn.Conv2d(*arguments, **options)  # type: ignore[arg-type]


def line(*arguments: int, **options: object) -> Callable[[], nn.Module]:
    return lambda: nn.Conv1d(*arguments, **options)  # type: ignore[arg-type]


def up(*arguments: int, **options: object) -> Callable[[], nn.Module]:
    return lambda: nn.ConvTranspose2d(*arguments, **options)  # type: ignore[arg-type]


def up1(*arguments: int, **options: object) -> Callable[[], nn.Module]:
    return lambda: nn.ConvTranspose1d(*arguments, **options)  # type: ignore[arg-type]


def chain(x: torch.Tensor, *parts: nn.Module) -> torch.Tensor:
    for part in parts:
        x = part(x)
    return x


def causal(x: torch.Tensor, a: nn.Module, b: nn.Module) -> torch.Tensor:
    x = torch.relu(a(f.pad(x, (2, 0))))
    y: torch.Tensor = b(f.pad(x, (4, 0))) + x
    return y


def chomp(x: torch.Tensor, a: nn.Module, b: nn.Module) -> torch.Tensor:
    x = torch.relu(a(x)[:, :, :-2])
    y: torch.Tensor = b(x)[:, :, :-2]
    return y


def halves(x: torch.Tensor, a: nn.Module, b: nn.Module) -> torch.Tensor:
    one, two = torch.chunk(a(x), 2, dim=1)
    return torch.cat([b(one), two], dim=1)


def shuffle(x: torch.Tensor, a: nn.Module, b: nn.Module) -> torch.Tensor:
    x = a(x)
    count, channels, rows, columns = x.shape
    x = x.view(count, 3, channels // 3, rows, columns).transpose(1, 2).reshape(count, channels, rows, columns)
    y: torch.Tensor = b(x)
    return y


def doubled(x: torch.Tensor, a: nn.Module) -> torch.Tensor:
    x = a(x)
    return x + x


def channels_last(x: torch.Tensor, a: nn.Module, b: nn.Module, c: nn.Module, d: nn.Module) -> torch.Tensor:
    x = a(x)
    y = c(torch.relu(b(x.permute(0, 2, 3, 1)))) * torch.tensor([0.5, 1.0, 2.0, 0.1])
    z: torch.Tensor = d(x + y.permute(0, 3, 1, 2))
    return z


def joined_last(x: torch.Tensor, a: nn.Module, b: nn.Module) -> torch.Tensor:
    x = a(x).permute(0, 2, 3, 1)
    y: torch.Tensor = b(torch.cat([x, torch.relu(x) + x], -1).permute(0, 3, 1, 2))
    return y


def joined_twice(x: torch.Tensor, a: nn.Module, b: nn.Module) -> torch.Tensor:
    x = a(x)
    y: torch.Tensor = b(torch.cat([x, x], 1))
    return y


CASES = {
    "5x5": Case((3, 8, 9), (conv(3, 4, 5, padding=2), nn.ReLU, conv(4, 2, 1)), chain),
    "5x5 unpadded": Case((2, 8, 9), (conv(2, 4, 5),), chain),
    "5x5 padded by one": Case((2, 8, 9), (conv(2, 4, 5, padding=1),), chain),
    "7x7": Case((2, 10, 9), (conv(2, 3, 7, padding=3),), chain),
    "7x7 unpadded": Case((2, 10, 9), (conv(2, 3, 7),), chain),
    "9x9": Case((1, 12, 12), (conv(1, 3, 9, padding=4),), chain),
    "1x3": Case((2, 6, 6), (conv(2, 3, (1, 3), padding=(0, 1)), conv(3, 3, (3, 1), padding=(1, 0))), chain),
    "1x3 unpadded": Case((2, 6, 6), (conv(2, 3, (1, 3)),), chain),
    "1x5": Case((2, 8, 8), (conv(2, 3, (1, 5), padding=(0, 2)),), chain),
    "1x7 and 7x1": Case(
        (2, 8, 8), (conv(2, 3, (1, 7), padding=(0, 3)), conv(3, 2, (7, 1), padding=(3, 0))), chain
    ),
    "dilated": Case((2, 9, 9), (conv(2, 3, 3, padding=2, dilation=2),), chain),
    "dilated unpadded": Case((2, 9, 9), (conv(2, 3, 3, dilation=2), nn.ReLU), chain),
    "same": Case((2, 7, 7), (conv(2, 3, 3, padding="same"), conv(3, 3, 5, padding="same", groups=3)), chain),
    "2x2 same": Case((2, 6, 6), (conv(2, 3, 2, padding="same"),), chain),
    "2x2 unpadded": Case((2, 6, 5), (conv(2, 3, 2), nn.ReLU, conv(3, 2, 1)), chain),
    "4x4 unpadded": Case((2, 8, 7), (conv(2, 3, 4),), chain),
    "4x4 padded by one": Case((2, 8, 7), (conv(2, 3, 4, padding=1), nn.ReLU), chain),
    "4x3 same": Case((2, 6, 6), (conv(2, 3, (4, 3), padding="same"),), chain),
    "padded by odd numbers": Case(
        (2, 6, 5), (conv(2, 3, 1), lambda: nn.ZeroPad2d((1, 0, 2, 3)), nn.ReLU, conv(3, 2, 1)), chain
    ),
    "padded last": Case((2, 6, 6), (conv(2, 3, 1), lambda: nn.ZeroPad2d((0, 1, 1, 1))), chain),
    "cropped by odd numbers": Case((2, 8, 8), (conv(2, 3, 1),), lambda x, a: a(x)[:, :, 1:, :-3]),
    "first row": Case((2, 8, 8), (conv(2, 3, 1), line(3, 2, 3)), lambda x, a, b: b(a(x)[:, :, 0])),
    "one pixel": Case((2, 8, 7), (conv(2, 3, 1),), lambda x, a: a(x)[:, :, 5, 3]),
    "last step": Case((2, 100), (line(2, 3, 1), lambda: nn.Linear(3, 2)), lambda x, a, b: b(a(x)[:, :, -1])),
    "some step": Case((2, 90), (line(2, 3, 1),), lambda x, a: a(x)[:, :, 47]),
    "one side": Case((2, 6, 6), (lambda: nn.ZeroPad2d((1, 0, 0, 1)), conv(2, 3, 2)), chain),
    "wide padding": Case((2, 6, 6), (conv(2, 3, 3, padding=3), nn.ReLU, conv(3, 2, 1)), chain),
    "1x1 padded": Case((2, 6, 6), (conv(2, 3, 1, padding=1),), chain),
    "strided first": Case((3, 8, 8), (conv(3, 4, 3, stride=2, padding=1), nn.ReLU, conv(4, 4, 1)), chain),
    "strided first, odd": Case((3, 9, 9), (conv(3, 4, 3, stride=2, padding=1), nn.ReLU), chain),
    "strided first, unpadded": Case((3, 16, 16), (conv(3, 4, 3, stride=2), nn.ReLU), chain),
    "maximum of 46": Case((3, 46), (line(3, 4, 1),), lambda x, a: a(x).amax(dim=2)),
    "strided first 7x7": Case((3, 16, 16), (conv(3, 4, 7, stride=2, padding=3), nn.ReLU), chain),
    "patches": Case((3, 8, 8), (conv(3, 6, 4, stride=4), nn.ReLU, conv(6, 4, 1)), chain),
    "strided": Case(
        (2, 8, 8),
        (conv(2, 4, 3, padding=1), nn.ReLU, conv(4, 4, 3, stride=2, padding=1), nn.ReLU, conv(4, 3, 1)),
        chain,
    ),
    "strided, no activation": Case(
        (2, 8, 8), (conv(2, 4, 1), nn.ReLU, conv(4, 4, 3, stride=2, padding=1)), chain
    ),
    "strided 4x4": Case((2, 8, 8), (conv(2, 4, 1), conv(4, 4, 4, stride=2, padding=1), nn.ReLU), chain),
    "strided 2x2": Case((2, 8, 8), (conv(2, 4, 1), conv(4, 4, 2, stride=2)), chain),
    "strided on one side": Case(
        (2, 8, 8),
        (conv(2, 4, 1), lambda: nn.ZeroPad2d((0, 1, 0, 1)), conv(4, 4, 3, stride=2), nn.ReLU6, conv(4, 2, 1)),
        chain,
    ),
    "strided 1x1": Case((2, 8, 8), (conv(2, 4, 1), nn.ReLU, conv(4, 4, 1, stride=2)), chain),
    "strided, normalized": Case(
        (2, 8, 8),
        (
            conv(2, 4, 1),
            conv(4, 4, 3, stride=2, padding=1, bias=False),
            lambda: nn.BatchNorm2d(4),
            nn.ReLU,
            conv(4, 2, 1),
        ),
        chain,
    ),
    "strided then pooled": Case(
        (2, 16, 16),
        (
            conv(2, 4, 1),
            conv(4, 4, 3, stride=2, padding=1),
            nn.ReLU,
            lambda: nn.MaxPool2d(3, 2, 1),
            conv(4, 2, 1),
        ),
        chain,
    ),
    "strided line": Case(
        (1, 64), (line(1, 4, 16, stride=4), nn.ReLU, line(4, 4, 3, stride=2, padding=1), nn.ReLU), chain
    ),
    "strided columns": Case((2, 6, 9), (conv(2, 3, 1), conv(3, 4, 3, stride=(1, 2), padding=1)), chain),
    "strided rows": Case((2, 7, 6), (conv(2, 3, 1), conv(3, 4, 3, stride=(2, 1), padding=1), nn.ReLU), chain),
    "strided by 4 and 2": Case((2, 8, 8), (conv(2, 3, 1), conv(3, 4, 3, stride=(4, 2), padding=1)), chain),
    "pooled columns": Case((2, 6, 8), (conv(2, 3, 1), lambda: nn.MaxPool2d((1, 2)), conv(3, 2, 3)), chain),
    "pooled rows": Case((2, 8, 6), (conv(2, 3, 1), lambda: nn.AvgPool2d((2, 1)), conv(3, 2, 3)), chain),
    "pooled 4x2": Case((2, 8, 8), (conv(2, 3, 1), lambda: nn.MaxPool2d((4, 2))), chain),
    "every second": Case((2, 8, 7), (conv(2, 3, 1), conv(3, 2, 1)), lambda x, a, b: b(a(x)[:, :, ::2, ::2])),
    "every third column": Case((2, 4, 9), (conv(2, 3, 1),), lambda x, a: a(x)[..., ::3]),
    "phases": Case(
        (2, 8, 8),
        (conv(2, 3, 1), conv(12, 4, 3)),
        lambda x, a, b: b(torch.cat([a(x)[..., i::2, j::2] for i in (0, 1) for j in (0, 1)], 1)),
    ),
    "odd steps": Case((2, 21), (line(2, 3, 1),), lambda x, a: a(x)[:, :, 1:18:4]),
    "transposed 2x2": Case((2, 4, 4), (up(2, 3, 2, stride=2), nn.ReLU), chain),
    "transposed 4x4": Case((2, 4, 4), (up(2, 3, 4, stride=2, padding=1), nn.ReLU), chain),
    "transposed 3x3, no stride": Case((2, 4, 4), (up(2, 3, 3, padding=1),), chain),
    "transposed 3x3, odd": Case((2, 4, 5), (up(2, 3, 3, stride=2), nn.ReLU, conv(3, 2, 1)), chain),
    "transposed 3x3, odd and padded": Case((2, 4, 5), (up(2, 3, 3, stride=2, padding=1),), chain),
    "transposed groups": Case((4, 4, 4), (up(4, 4, 4, stride=2, padding=1, groups=2),), chain),
    "transposed by four": Case((2, 3, 4), (up(2, 3, 4, stride=4), nn.ReLU, conv(3, 2, 1)), chain),
    "transposed line": Case((2, 9), (up1(2, 3, 2, stride=2), nn.ReLU, line(3, 2, 3)), chain),
    "transposed line, normalized": Case(
        (2, 9), (up1(2, 3, 2, stride=2), lambda: nn.BatchNorm1d(3), nn.ReLU), chain
    ),
    "transposed line of 4": Case((2, 9), (up1(2, 3, 4, stride=2, padding=1),), chain),
    "transposed line of 8": Case((2, 9), (up1(2, 3, 8, stride=4, padding=2),), chain),
    "transposed line, no stride": Case((2, 9), (up1(2, 3, 3, padding=1),), chain),
    "nearest line": Case((2, 9), (line(2, 3, 1), lambda: nn.Upsample(scale_factor=2), line(3, 2, 3)), chain),
    "nearest line by four": Case((2, 9), (line(2, 3, 1), lambda: nn.Upsample(scale_factor=4)), chain),
    "nearest columns": Case((2, 4, 5), (conv(2, 3, 1), lambda: nn.Upsample(scale_factor=(1, 2))), chain),
    "nearest": Case((3, 4, 4), (lambda: nn.Upsample(scale_factor=2), conv(3, 2, 3, padding=1)), chain),
    "nearest by four": Case((3, 4, 4), (conv(3, 2, 1), lambda: nn.Upsample(scale_factor=4)), chain),
    "relu6": Case(
        (2, 6, 6), (conv(2, 4, 3, padding=1), nn.ReLU6, lambda: nn.MaxPool2d(2), conv(4, 3, 1)), chain
    ),
    "relu6 last": Case((2, 6, 6), (conv(2, 4, 3, padding=1), nn.ReLU6), chain),
    "relu6 of a sum": Case(
        (2, 6, 6), (conv(2, 2, 1), conv(2, 2, 1)), lambda x, a, b: f.relu6(8 * (a(x) + b(x)))
    ),
    "hardtanh": Case((2, 6, 6), (conv(2, 4, 3), nn.Hardtanh, conv(4, 2, 1)), chain),
    "clamps": Case(
        (2, 6, 6),
        (conv(2, 4, 1), conv(4, 2, 1)),
        lambda x, a, b: torch.clamp(b(torch.clamp(a(x), -0.2, 0.3)), max=0.1),
    ),
    "clamp from below": Case((2, 6, 6), (conv(2, 4, 1),), lambda x, a: torch.clamp(a(x), min=-0.1)),
    "leaky": Case(
        (2, 6, 6),
        (conv(2, 4, 3, padding=1), lambda: nn.LeakyReLU(0.1), conv(4, 4, 3, padding=1), lambda: nn.PReLU(4)),
        chain,
    ),
    "leaky branch": Case(
        (2, 6, 6),
        (conv(2, 4, 1), conv(4, 4, 1)),
        lambda x, a, b: f.leaky_relu(a(x), 0.2) + b(f.leaky_relu(a(x))),
    ),
    "leaky vector": Case(
        (8,), (lambda: nn.Linear(8, 6), lambda: nn.LeakyReLU(0.3), lambda: nn.Linear(6, 3)), chain
    ),
    "norm in front": Case(
        (3, 6, 6),
        (
            lambda: nn.BatchNorm2d(3),
            conv(3, 4, 3, padding=1),
            nn.ReLU,
            lambda: nn.BatchNorm2d(4),
            conv(4, 2, 1),
        ),
        chain,
    ),
    "dense block": Case(
        (3, 6, 6),
        (conv(3, 4, 3, padding=1), conv(7, 4, 3, padding=1)),
        lambda x, a, b: torch.cat([x, a(x), b(torch.cat([x, a(x)], 1))], 1),
    ),
    "input normalized": Case((3, 6, 6), (conv(3, 4, 3, padding=1),), lambda x, a: a((x - 0.25) / 0.5)),
    "arithmetic": Case(
        (3, 6, 6), (conv(3, 3, 1),), lambda x, a: 1.0 - 2 * a(x) / 3 + torch.ones(3, 1, 1) / 4 - (-x)
    ),
    "taken from a constant": Case(
        (3, 6, 6), (conv(3, 3, 1),), lambda x, a: torch.rsub(torch.ones(1, 3, 6, 6), a(x), alpha=2)
    ),
    "constants of two bytes": Case(
        (3, 6, 6), (), lambda x: f.conv2d(x, torch.ones(3, 3, 1, 1).bfloat16().float() / 4)
    ),
    "clipped above alone": Case((3, 6, 6), (conv(3, 3, 1),), lambda x, a: a(x).clamp(-1e9, 0.5)),
    "clipped at nothing that matters": Case(
        (3, 6, 6), (conv(3, 3, 1),), lambda x, a: a(x).clamp(0.0, 3.4e38)
    ),
    "joined with nothing": Case(
        (3, 6, 6), (conv(3, 3, 1),), lambda x, a: torch.cat([a(x), torch.empty(0)], 1)
    ),
    "doubled": Case((3, 6, 6), (conv(3, 3, 1),), doubled),
    "maximum padded": Case(
        (2, 7, 7), (conv(2, 3, 1), nn.ReLU, lambda: nn.MaxPool2d(3, 2, 1), conv(3, 2, 1)), chain
    ),
    "maximum padded before relu": Case(
        (2, 8, 8), (conv(2, 3, 1), lambda: nn.MaxPool2d(3, 1, 1), nn.ReLU), chain
    ),
    "ceil mode": Case(
        (2, 8, 8), (conv(2, 3, 1), nn.ReLU, lambda: nn.MaxPool2d(3, 2, ceil_mode=True), conv(3, 2, 1)), chain
    ),
    "average padded": Case((2, 8, 8), (conv(2, 3, 1), lambda: nn.AvgPool2d(3, 1, 1), conv(3, 2, 1)), chain),
    "mean": Case((2, 6, 7), (conv(2, 3, 3),), lambda x, a: a(x).mean(dim=(2, 3))),
    "mean of rows": Case((2, 6, 7), (conv(2, 3, 3), line(3, 2, 3)), lambda x, a, b: b(a(x).mean(dim=3))),
    "amax": Case(
        (2, 6, 7), (conv(2, 3, 3), lambda: nn.Linear(3, 2)), lambda x, a, b: b(torch.relu(a(x)).amax((2, 3)))
    ),
    "global 32": Case((2, 32, 32), (conv(2, 3, 3, padding=1), lambda: nn.AdaptiveAvgPool2d(1)), chain),
    "global 24x4": Case((2, 24, 4), (conv(2, 3, 1), lambda: nn.AdaptiveAvgPool2d(1)), chain),
    "adaptive 3": Case((2, 7, 7), (conv(2, 3, 1), lambda: nn.AdaptiveAvgPool2d(3), conv(3, 2, 1)), chain),
    "adaptive maximum": Case(
        (2, 6, 6), (conv(2, 3, 1), lambda: nn.AdaptiveMaxPool2d(2), conv(3, 2, 1)), chain
    ),
    "causal": Case((3, 20), (line(3, 4, 3), line(4, 4, 3, dilation=2)), causal),
    "chomped": Case((3, 20), (line(3, 4, 3, padding=2), line(4, 4, 3, padding=2)), chomp),
    "dilated line": Case(
        (3, 40), (line(3, 4, 3, padding=4, dilation=4), nn.ReLU, line(4, 4, 2, padding=2, dilation=4)), chain
    ),
    "line of 10": Case((3, 40), (line(3, 4, 10), nn.ReLU, line(4, 2, 1)), chain),
    "line of 17": Case((3, 40), (line(3, 4, 17, padding=8), nn.ReLU), chain),
    "line of 39, groups": Case((4, 64), (line(4, 4, 39, padding=19, groups=2),), chain),
    "five dilated taps": Case((3, 40), (line(3, 4, 5, padding=8, dilation=4),), chain),
    "long line strided": Case((3, 64), (line(3, 4, 1), line(4, 4, 15, stride=4, padding=7)), chain),
    "causal by 16": Case((3, 64), (line(3, 4, 3, dilation=8),), lambda x, a: a(f.pad(x, (16, 0)))),
    "padded by 19 and 20": Case((3, 50), (line(3, 4, 1),), lambda x, a: f.pad(a(x), (19, 20))),
    "one row": Case(
        (2, 1, 20),
        (conv(2, 4, (1, 5), padding=(0, 2)), nn.ReLU, lambda: nn.MaxPool2d((1, 2)), conv(4, 3, (1, 3))),
        chain,
    ),
    "lines of maps": Case(
        (3, 20),
        (conv(3, 4, (3, 1), padding=(1, 0)), line(4, 2, 3)),
        lambda x, a, b: b(a(x.unsqueeze(-1)).squeeze(-1)),
    ),
    "halves": Case((2, 6, 6), (conv(2, 6, 1), conv(3, 4, 3, padding=1)), halves),
    "shuffled": Case(
        (2, 6, 6), (conv(2, 6, 1), lambda: nn.ChannelShuffle(2), conv(6, 6, 3, padding=1, groups=3)), chain
    ),
    "shuffled by hand": Case((2, 4, 4), (conv(2, 6, 1), conv(6, 6, 3, padding=1, groups=3)), shuffle),
    "cropped": Case((2, 10, 10), (conv(2, 3, 3),), lambda x, a: torch.relu(a(x))[:, :, 1:-1, 2:]),
    "same twice": Case((2, 6, 6), (conv(2, 3, 1), conv(6, 2, 1)), joined_twice),
    "grouped": Case(
        (4, 6, 6), (conv(4, 8, 3, padding=1, groups=2), nn.ReLU, conv(8, 16, 3, groups=8)), chain
    ),
    "grouped line": Case(
        (4, 12), (line(4, 4, 3, padding=1, groups=4), nn.ReLU, line(4, 8, 1, groups=2)), chain
    ),
    "sum of channels": Case((2, 6, 6), (conv(2, 3, 1),), lambda x, a: a(x).sum(1, keepdim=True)),
    "sum of pixels": Case((2, 6, 6), (conv(2, 3, 1),), lambda x, a: a(x).sum((2, 3))),
    "maximum by rows": Case((2, 6, 6), (conv(2, 3, 1), line(3, 2, 3)), lambda x, a, b: b(a(x).max(2)[0])),
    "larger and smaller": Case(
        (2, 6, 6),
        (conv(2, 3, 1), conv(2, 3, 1)),
        lambda x, a, b: torch.maximum(a(x), b(x)) - torch.minimum(a(x), torch.tensor(0.2)),
    ),
    "picked channels": Case(
        (2, 6, 6),
        (conv(2, 4, 1), conv(6, 2, 3)),
        lambda x, a, b: b(a(x)[:, [2, 0, 3]].flip(1).repeat(1, 2, 1, 1)),
    ),
    "padded channels": Case(
        (2, 8, 8),
        (conv(2, 3, 1), conv(3, 5, 3, stride=2, padding=1)),
        lambda x, a, b: f.pad(a(x)[:, :, ::2, ::2], (0, 0, 0, 0, 1, 1)) + b(a(x)),
    ),
    "unbound": Case((2, 9), (line(2, 3, 3),), lambda x, a: torch.relu(a(x).unbind(1)[0]) - a(x).unbind(1)[2]),
    "random slope": Case((2, 6, 6), (conv(2, 3, 1), nn.RReLU, conv(3, 2, 1)), chain),
    "channels last": Case(
        (3, 6, 6),
        (conv(3, 4, 3), lambda: nn.Linear(4, 8), lambda: nn.Linear(8, 4), conv(4, 2, 3)),
        channels_last,
    ),
    "flattened with channels last": Case(
        (3, 6, 6),
        (conv(3, 4, 3), lambda: nn.Linear(64, 5)),
        lambda x, a, b: b(torch.relu(a(x)).permute(0, 2, 3, 1).flatten(1)),
    ),
    "pooled with channels last": Case(
        (3, 6, 6),
        (conv(3, 4, 3), lambda: nn.Linear(4, 5)),
        lambda x, a, b: b(a(x).permute(0, 2, 3, 1).mean((1, 2))),
    ),
    "joined with channels last": Case((3, 6, 6), (conv(3, 4, 3), conv(8, 2, 3)), joined_last),
    "tokens": Case(
        (3, 6, 6),
        (conv(3, 4, 3), lambda: nn.Linear(4, 8), lambda: nn.Linear(8, 3)),
        lambda x, a, b, c: c(f.leaky_relu(b(a(x).flatten(2).transpose(1, 2)), 0.1).mean(1)),
    ),
    "each time step": Case(
        (12, 3),
        (lambda: nn.Linear(3, 8), nn.ReLU, lambda: nn.Linear(8, 4)),
        lambda x, a, b, c: c(b(a(x))).mean(1),
    ),
    "input normalized with channels last": Case(
        (6, 6, 3),
        (conv(3, 4, 3),),
        lambda x, a: a(((x - torch.tensor([0.1, 0.2, 0.3])) / 0.5).permute(0, 3, 1, 2)),
    ),
    "pixel shuffle": Case((2, 4, 5), (conv(2, 8, 1), lambda: nn.PixelShuffle(2), conv(2, 3, 3)), chain),
    "pixel shuffle by four": Case(
        (2, 3, 3), (conv(2, 32, 1), lambda: nn.PixelShuffle(4), nn.ReLU, conv(2, 3, 3)), chain
    ),
    "pixel unshuffle": Case(
        (2, 6, 8), (conv(2, 3, 1), lambda: nn.PixelUnshuffle(2), nn.ReLU, conv(12, 3, 3)), chain
    ),
    "pixel unshuffle by four": Case(
        (2, 8, 12), (conv(2, 3, 1), lambda: nn.PixelUnshuffle(4), conv(48, 3, 1)), chain
    ),
    "vector to map": Case(
        (8,), (lambda: nn.Linear(8, 45), nn.ReLU, lambda: nn.Unflatten(1, (3, 5, 3)), conv(3, 2, 3)), chain
    ),
    "vector to line": Case(
        (8,), (lambda: nn.Linear(8, 33), lambda: nn.Unflatten(1, (3, 11)), line(3, 2, 3)), chain
    ),
}
