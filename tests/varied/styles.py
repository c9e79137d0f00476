"""Small models as users write them: sequences, vectors, functions in place of layers, other layouts."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as f

from tests.varied.families import block


class AutoEncoder(nn.Module):
    """Strided encoder, transposed decoder of 4x4, sigmoid at the end."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.Sequential(
            nn.Conv2d(1, 8, 3, stride=2, padding=1),
            nn.ReLU(),
            nn.Conv2d(8, 8, 3, stride=2, padding=1),
            nn.ReLU(),
        )
        self.decoder = nn.Sequential(
            nn.ConvTranspose2d(8, 8, 4, stride=2, padding=1),
            nn.ReLU(),
            nn.ConvTranspose2d(8, 1, 3, stride=2, padding=1, output_padding=1),
            nn.Sigmoid(),
        )

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.decoder(self.encoder(x))
        return y


class Chomp(nn.Module):
    """Cuts off what a causal convolution padded too much."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size = size

    def forward(self, x: Tensor) -> Tensor:
        return x[:, :, : -self.size].contiguous()


class Tcn(nn.Module):
    """Dilated causal convolutions with residuals, for nine sensor axes."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv1d(9, 16, 1)
        self.blocks = nn.ModuleList(
            nn.Sequential(
                nn.Conv1d(16, 16, 3, padding=2 * d, dilation=d), Chomp(2 * d), nn.ReLU(), nn.Dropout(0.1)
            )
            for d in (1, 2)
        )
        self.head = nn.Linear(16, 6)

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(x)
        for part in self.blocks:
            x = torch.relu(x + part(x))
        y: Tensor = self.head(x.mean(dim=-1))
        return y


class Audio(nn.Module):
    """Raw sound: a long strided kernel first, then short ones."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv1d(1, 16, kernel_size=80, stride=16), nn.BatchNorm1d(16)
        self.conv2, self.bn2 = nn.Conv1d(16, 32, kernel_size=3), nn.BatchNorm1d(32)
        self.fc = nn.Linear(32, 12)

    def forward(self, x: Tensor) -> Tensor:
        x = f.max_pool1d(f.relu(self.bn1(self.conv1(x))), 4)
        x = f.max_pool1d(f.relu(self.bn2(self.conv2(x))), 4)
        x = f.avg_pool1d(x, x.shape[-1]).permute(0, 2, 1)
        y: Tensor = self.fc(x.squeeze(1))
        return f.log_softmax(y, dim=1)


class Activity(nn.Module):
    """Smartwatch samples as (time, axes): transposed first, then one-dimensional convolutions."""

    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Sequential(
            nn.Conv1d(6, 24, 5, padding=2), nn.ReLU(), nn.MaxPool1d(2), nn.Conv1d(24, 32, 5), nn.ReLU()
        )
        self.fc = nn.Linear(32, 6)

    def forward(self, x: Tensor) -> Tensor:
        x = self.net(x.permute(0, 2, 1))
        y: Tensor = self.fc(torch.amax(x, dim=2))
        return f.softmax(y, dim=-1)


class Mlp(nn.Module):
    """Linear layers with normalization behind the activation."""

    def __init__(self) -> None:
        super().__init__()
        self.fc1, self.bn1, self.fc2 = nn.Linear(32, 48), nn.BatchNorm1d(48), nn.Linear(48, 24)
        self.act, self.fc3 = nn.LeakyReLU(0.1), nn.Linear(24, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = self.bn1(f.relu(self.fc1(x)))
        y: Tensor = self.fc3(self.act(self.fc2(x)))
        return y


class Shared(nn.Module):
    """One convolution used three times, on the halves of the input's features."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.tower = nn.Conv2d(2, 16, 3, padding=1), nn.Conv2d(8, 8, 3, padding=1)
        self.head = nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        a, b = self.stem(x).relu_().chunk(2, dim=1)
        both = self.tower(a) - self.tower(b)
        both = self.tower(both.abs())
        y: Tensor = self.head(both.mean((-2, -1)))
        return y


class Functional(nn.Module):
    """Parameters and functions instead of layers, arithmetic with constants."""

    def __init__(self) -> None:
        super().__init__()
        self.w = nn.Parameter(torch.randn(8, 3, 3, 3) / 5)
        self.b = nn.Parameter(torch.randn(8) / 5)
        self.v = nn.Parameter(torch.randn(4, 8) / 3)
        self.register_buffer("mean", torch.tensor([0.1, -0.2, 0.0]).view(1, 3, 1, 1))
        self.mean: Tensor

    def forward(self, x: Tensor) -> Tensor:
        x = (x - self.mean) / 0.5
        x = f.conv2d(f.pad(x, (1, 1, 1, 1)), self.w, self.b).clamp_(min=0)
        x = f.max_pool2d(x, 4) * 0.5
        return f.linear(x.amax(dim=(2, 3)), self.v)


class LeNet(nn.Module):
    """5x5 kernels without padding, Tanh replaced by hard Tanh, and a flattened map."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(1, 6, 5), nn.Conv2d(6, 16, 5)
        self.fc1, self.fc2, self.fc3 = nn.Linear(256, 120), nn.Linear(120, 84), nn.Linear(84, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = f.max_pool2d(f.hardtanh(self.conv1(x)), 2)
        x = f.max_pool2d(f.hardtanh(self.conv2(x)), (2, 2))
        x = f.hardtanh(self.fc1(x.view(-1, 256)))
        y: Tensor = self.fc3(f.hardtanh(self.fc2(x)))
        return y


class Shuffle(nn.Module):
    """Channel split, grouped convolution, and a shuffle by reshaping."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.gconv = block(3, 16), nn.Conv2d(8, 8, 3, padding=1, groups=4)
        self.head = nn.Conv2d(16, 5, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = f.max_pool2d(self.stem(x), 2)
        one, two = torch.split(x, 8, dim=1)
        x = torch.cat((one, torch.relu(self.gconv(two))), 1)
        count, channels, rows, columns = x.size()
        x = x.view(count, 2, channels // 2, rows, columns).transpose(1, 2).contiguous()
        y: Tensor = self.head(x.view(count, channels, rows, columns)).mean((2, 3))
        return y


class Detector(nn.Module):
    """Leaky activations, dilation, and a map of scores."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(3, 8, 3, padding=1),
            nn.LeakyReLU(0.1, inplace=True),
            nn.MaxPool2d(2),
            nn.Conv2d(8, 16, 3, padding=2, dilation=2),
            nn.LeakyReLU(0.1, inplace=True),
            nn.Conv2d(16, 10, 1),
        )

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.body(x)
        return y


class Patches(nn.Module):
    """A convolution as wide as its stride cuts the image into patches (MLP-mixer and ConvMixer style)."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Conv2d(3, 32, kernel_size=4, stride=4)
        self.depth = nn.Conv2d(32, 32, 5, groups=32, padding="same")
        self.point = nn.Conv2d(32, 32, 1)
        self.norm1, self.norm2 = nn.BatchNorm2d(32), nn.BatchNorm2d(32)
        self.fc = nn.Linear(32, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu(self.embed(x))
        x = self.norm1(torch.relu(self.depth(x))) + x
        x = self.norm2(torch.relu(self.point(x)))
        y: Tensor = self.fc(x.mean((2, 3)))
        return y
