"""The models that all can be compiled, with the shapes of their inputs."""

from __future__ import annotations

from torch import nn

from tests.varied import families, styles

INPUTS: dict[type[nn.Module], tuple[int, ...]] = {
    families.Vgg: (3, 32, 32),
    families.ResNet: (3, 32, 32),
    families.ResNetStem: (3, 64, 64),
    families.MobileNetV1: (3, 32, 32),
    families.MobileNetV2: (3, 32, 32),
    families.SqueezeNet: (3, 32, 32),
    families.DenseNet: (3, 32, 32),
    families.Inception: (3, 32, 32),
    families.FactorizedInception: (3, 16, 16),
    families.UNet: (3, 32, 32),
    families.NearestUNet: (3, 16, 16),
    styles.AutoEncoder: (1, 28, 28),
    styles.Tcn: (9, 64),
    styles.Audio: (1, 4000),
    styles.Activity: (100, 6),
    styles.Mlp: (32,),
    styles.Shared: (2, 16, 16),
    styles.Functional: (3, 32, 32),
    styles.LeNet: (1, 28, 28),
    styles.Shuffle: (3, 32, 32),
    styles.Detector: (3, 32, 32),
    styles.Patches: (3, 32, 32),
}
