"""The eight networks that the evaluation uses, in the forms for each chip, with seeded random weights."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import nn

from models.efficientnet import EfficientNetV2
from models.kws import KeywordSpotter
from models.mobilenet import MobileNetV2
from models.simple import ConvNet5, ResSimpleNet, SimpleNet, WideNet
from models.unet import UNet
from synergyc.frontend import capture
from synergyc.ir.graph import Convolution, Graph, Linear
from synergyc.ir.network import Network
from synergyc.ir.types import Shape
from synergyc.legalize import legalize
from synergyc.quantize import fold_batch_norm, quantize
from synergyc.targets import Chip, load_chip

CALIBRATION_SAMPLES = 8
"""Random weights have no accuracy to keep: a few samples give scales that are as good as those of many."""


@dataclass(frozen=True)
class Entry:
    """A network: how it is made for a chip, what it reads, and the width of each layer's weights."""

    title: str
    make: Callable[[Chip], nn.Module]
    input_shape: Shape
    weight_bits: tuple[int, ...] = field(default=())
    """In order of the weighted layers; empty: all 8."""


_NARROW = (8, 4, *(2,) * 8, *(4,) * 4)
"""The vendor's widths for SimpleNet and WideNet (ai8x-training, policies/qat_policy_cifar100.yaml)."""

_IMAGE = (3, 32, 32)


def _has_depthwise(chip: Chip) -> bool:
    return "depthwise" in chip.cnn.features


ZOO: Mapping[str, Entry] = {
    "convnet5": Entry("ConvNet5", lambda _: ConvNet5(), (1, 28, 28)),
    "kws": Entry("KWS", lambda chip: KeywordSpotter(padded=not _has_depthwise(chip)), (128, 128)),
    "simplenet": Entry("SimpleNet", lambda _: SimpleNet(), _IMAGE, _NARROW),
    "ressimplenet": Entry("ResSimpleNet", lambda _: ResSimpleNet(), _IMAGE),
    "widenet": Entry("WideNet", lambda _: WideNet(), _IMAGE, _NARROW),
    "unet": Entry("UNet", lambda _: UNet(), (48, 48, 48)),
    "efficientnetv2": Entry("EfficientNetV2", lambda chip: EfficientNetV2(_has_depthwise(chip)), _IMAGE),
    "mobilenetv2": Entry("MobileNetV2", lambda chip: MobileNetV2(_has_depthwise(chip)), _IMAGE),
}
"""By the name that ``build`` and ``network`` take."""


def build(name: str, chip: str) -> nn.Module:
    """Return the network called ``name`` in its form for ``chip``; equal calls give equal weights."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        module = ZOO[name].make(load_chip(chip))
        for part in module.modules():
            if isinstance(part, nn.Conv1d | nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
                # Keeps the power of activations from layer to layer, however deep the network.
                nn.init.kaiming_normal_(part.weight, nonlinearity="relu")
                if part.bias is not None:
                    nn.init.normal_(part.bias, std=0.1)
    return module.eval()


def graph(name: str, chip: str) -> Graph:
    """Return the captured float graph of a network."""
    return fold_batch_norm(capture(build(name, chip), ZOO[name].input_shape, name))


def weight_bits(name: str, captured: Graph) -> dict[str, int]:
    """Return the width of the weights of each weighted node of ``graph(name, ...)``."""
    weighted = [node.name for node in captured if isinstance(node.operator, Convolution | Linear)]
    widths = ZOO[name].weight_bits or (8,) * len(weighted)
    return dict(zip(weighted, widths, strict=True))


def calibration(name: str, count: int = CALIBRATION_SAMPLES) -> np.ndarray[tuple[int, ...], np.dtype[np.int8]]:
    """Return ``count`` inputs as a sensor delivers them: int8 (count, *input shape), smooth, seeded."""
    shape = ZOO[name].input_shape
    random = np.random.default_rng(0)
    values = random.normal(0, 40, (count, math.prod(shape))).reshape(count, *shape)
    return np.clip(np.round(values), -128, 127).astype(np.int8)


def network(name: str, chip: str) -> Network:
    """Return the integer network called ``name`` in its form for ``chip``, calibrated with random inputs."""
    captured = graph(name, chip)
    integers = quantize(captured, calibration(name), weight_bits(name, captured))
    return legalize(integers, load_chip(chip))
