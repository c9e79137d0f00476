"""Small models in the styles of well-known families of image networks."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as f


def block(inputs: int, outputs: int) -> nn.Sequential:
    """Return a convolution with normalization and activation."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, padding=1, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
    )


class Vgg(nn.Module):
    """Plain stacks, pooling between them, and a classifier with dropout."""

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        inputs = 3
        for outputs in (16, 32, 64):
            layers += [nn.Conv2d(inputs, outputs, 3, padding=1), nn.ReLU(True), nn.MaxPool2d(2, 2)]
            inputs = outputs
        self.features = nn.Sequential(*layers)
        self.classifier = nn.Sequential(
            nn.Dropout(), nn.Linear(64 * 4 * 4, 64), nn.ReLU(True), nn.Dropout(), nn.Linear(64, 10)
        )

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.classifier(torch.flatten(self.features(x), 1))
        return y


class BasicBlock(nn.Module):
    """The residual block of ResNet-18."""

    def __init__(self, inputs: int, outputs: int, stride: int = 1) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.shortcut = nn.Sequential()
        if stride != 1 or inputs != outputs:
            self.shortcut = nn.Sequential(
                nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs)
            )

    def forward(self, x: Tensor) -> Tensor:
        out = f.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        out += self.shortcut(x)
        return f.relu(out)


class ResNet(nn.Module):
    """ResNet for small images: strided blocks, projections, in-place additions, average pooling."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = block(3, 16)
        self.layers = nn.Sequential(BasicBlock(16, 16), BasicBlock(16, 32, 2), BasicBlock(32, 48, 2))
        self.fc = nn.Linear(48, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = self.layers(self.stem(x))
        x = f.avg_pool2d(x, x.size(3))
        y: Tensor = self.fc(x.view(x.size(0), -1))
        return y


class ResNetStem(nn.Module):
    """The stem of the large ResNets: 7x7 with stride 2, then padded pooling with stride 2."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 16, kernel_size=7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(16)
        self.maxpool = nn.MaxPool2d(kernel_size=3, stride=2, padding=1)
        self.layer1 = BasicBlock(16, 16)
        self.avgpool = nn.AdaptiveAvgPool2d((1, 1))
        self.fc = nn.Linear(16, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = self.maxpool(torch.relu(self.bn1(self.conv1(x))))
        y: Tensor = self.fc(torch.flatten(self.avgpool(self.layer1(x)), 1))
        return y


class MobileNetV1(nn.Module):
    """Depthwise separable convolutions, some with stride 2."""

    def __init__(self) -> None:
        super().__init__()

        def separable(inputs: int, outputs: int, stride: int) -> nn.Sequential:
            return nn.Sequential(
                nn.Conv2d(inputs, inputs, 3, stride, 1, groups=inputs, bias=False),
                nn.BatchNorm2d(inputs),
                nn.ReLU(inplace=True),
                nn.Conv2d(inputs, outputs, 1, 1, 0, bias=False),
                nn.BatchNorm2d(outputs),
                nn.ReLU(inplace=True),
            )

        self.model = nn.Sequential(
            nn.Conv2d(3, 8, 3, 2, 1, bias=False),
            nn.BatchNorm2d(8),
            nn.ReLU(inplace=True),
            separable(8, 16, 1),
            separable(16, 32, 2),
            separable(32, 32, 1),
            nn.AdaptiveAvgPool2d(1),
        )
        self.fc = nn.Linear(32, 10)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.fc(self.model(x).view(-1, 32))
        return y


class InvertedResidual(nn.Module):
    """Expand, depthwise, project; ReLU6 between."""

    def __init__(self, inputs: int, outputs: int, stride: int, expand: int) -> None:
        super().__init__()
        hidden = inputs * expand
        self.use_residual = stride == 1 and inputs == outputs
        self.conv = nn.Sequential(
            nn.Conv2d(inputs, hidden, 1, bias=False),
            nn.BatchNorm2d(hidden),
            nn.ReLU6(inplace=True),
            nn.Conv2d(hidden, hidden, 3, stride, 1, groups=hidden, bias=False),
            nn.BatchNorm2d(hidden),
            nn.ReLU6(inplace=True),
            nn.Conv2d(hidden, outputs, 1, bias=False),
            nn.BatchNorm2d(outputs),
        )

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = x + self.conv(x) if self.use_residual else self.conv(x)
        return y


class MobileNetV2(nn.Module):
    """Inverted residuals with ReLU6 and a mean over the map."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(3, 8, 3, 2, 1, bias=False),
            nn.BatchNorm2d(8),
            nn.ReLU6(inplace=True),
            InvertedResidual(8, 8, 1, 2),
            InvertedResidual(8, 16, 2, 3),
            InvertedResidual(16, 16, 1, 2),
        )
        self.classifier = nn.Sequential(nn.Dropout(0.2), nn.Linear(16, 10))

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.classifier(self.features(x).mean([2, 3]))
        return y


class Fire(nn.Module):
    """Squeeze, then two expansions side by side."""

    def __init__(self, inputs: int, squeeze: int, expand1: int, expand3: int) -> None:
        super().__init__()
        self.squeeze = nn.Conv2d(inputs, squeeze, 1)
        self.expand1x1 = nn.Conv2d(squeeze, expand1, 1)
        self.expand3x3 = nn.Conv2d(squeeze, expand3, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        x = f.relu(self.squeeze(x), inplace=True)
        return torch.cat([f.relu(self.expand1x1(x)), f.relu(self.expand3x3(x))], 1)


class SqueezeNet(nn.Module):
    """Fire modules, pooling that rounds up, a convolution as classifier."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(3, 16, 3, stride=2),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(3, 2, ceil_mode=True),
            Fire(16, 8, 16, 16),
            Fire(32, 8, 16, 24),
            nn.MaxPool2d(kernel_size=2, stride=2, ceil_mode=True),
            Fire(40, 8, 24, 24),
        )
        self.classifier = nn.Sequential(
            nn.Dropout(0.5), nn.Conv2d(48, 10, 1), nn.ReLU(inplace=True), nn.AdaptiveAvgPool2d((1, 1))
        )

    def forward(self, x: Tensor) -> Tensor:
        return torch.flatten(self.classifier(self.features(x)), 1)


class DenseNet(nn.Module):
    """Normalization in front of activation and convolution, features joined again and again."""

    def __init__(self, growth: int = 8) -> None:
        super().__init__()
        self.conv0 = nn.Conv2d(3, 12, 3, padding=1, bias=False)
        self.norms = nn.ModuleList(nn.BatchNorm2d(12 + growth * index) for index in range(3))
        self.convs = nn.ModuleList(
            nn.Conv2d(12 + growth * index, growth, 3, padding=1, bias=False) for index in range(3)
        )
        self.transition = nn.Conv2d(12 + growth * 3, 16, 1)
        self.fc = nn.Linear(16, 10)

    def forward(self, x: Tensor) -> Tensor:
        features = f.max_pool2d(self.conv0(x), 2)
        for norm, conv in zip(self.norms, self.convs, strict=True):
            features = torch.cat([features, conv(torch.relu(norm(features)))], dim=1)
        out = f.adaptive_avg_pool2d(torch.relu(self.transition(features)), (1, 1))
        y: Tensor = self.fc(out.flatten(1))
        return y


class Inception(nn.Module):
    """Branches of 1x1, 3x3, 5x5 and padded pooling, joined with unequal channels."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = block(3, 16)
        self.b1 = nn.Conv2d(16, 6, 1)
        self.b2 = nn.Sequential(nn.Conv2d(16, 8, 1), nn.ReLU(), nn.Conv2d(8, 10, 3, padding=1))
        self.b3 = nn.Sequential(nn.Conv2d(16, 4, 1), nn.ReLU(), nn.Conv2d(4, 5, 5, padding=2))
        self.b4 = nn.Sequential(nn.MaxPool2d(3, stride=1, padding=1), nn.Conv2d(16, 7, 1))
        self.fc = nn.Linear(28, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = f.max_pool2d(self.stem(x), 2)
        x = torch.relu(torch.cat([self.b1(x), self.b2(x), self.b3(x), self.b4(x)], 1))
        y: Tensor = self.fc(torch.flatten(f.adaptive_avg_pool2d(x, 1), 1))
        return y


class FactorizedInception(nn.Module):
    """Kernels of 1x3 and 3x1, and of 1x5 and 5x1."""

    def __init__(self) -> None:
        super().__init__()
        self.a = nn.Conv2d(3, 8, (1, 3), padding=(0, 1))
        self.b = nn.Conv2d(8, 8, (3, 1), padding=(1, 0))
        self.c = nn.Conv2d(8, 8, (1, 5), padding=(0, 2))
        self.d = nn.Conv2d(8, 8, (5, 1), padding=(2, 0))
        self.head = nn.Conv2d(8, 10, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu(self.b(torch.relu(self.a(x))))
        x = torch.relu(self.d(self.c(x)))
        y: Tensor = self.head(x).mean((2, 3))
        return y


class UNet(nn.Module):
    """Double convolutions, 2x2 transposed convolutions, skip connections."""

    def __init__(self) -> None:
        super().__init__()
        self.down1 = nn.Sequential(block(3, 8), block(8, 8))
        self.down2 = nn.Sequential(nn.MaxPool2d(2), block(8, 16))
        self.down3 = nn.Sequential(nn.MaxPool2d(2), block(16, 32))
        self.up2, self.conv2 = nn.ConvTranspose2d(32, 16, 2, stride=2), block(32, 16)
        self.up1, self.conv1 = nn.ConvTranspose2d(16, 8, 2, stride=2), block(16, 8)
        self.out = nn.Conv2d(8, 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        one = self.down1(x)
        two = self.down2(one)
        three = self.down3(two)
        x = self.conv2(torch.cat([two, self.up2(three)], dim=1))
        x = self.conv1(torch.cat([one, self.up1(x)], dim=1))
        y: Tensor = self.out(x)
        return y


class NearestUNet(nn.Module):
    """A U-Net that enlarges by nearest neighbours and adds its skips."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b, self.c = block(3, 8), block(8, 8), nn.Conv2d(8, 1, 1)
        self.up = nn.Upsample(scale_factor=2, mode="nearest")

    def forward(self, x: Tensor) -> Tensor:
        x = self.a(x)
        y: Tensor = self.c(x + self.up(self.b(f.max_pool2d(x, 2))))
        return y
