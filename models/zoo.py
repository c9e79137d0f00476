"""The eight networks that the evaluation uses, in the forms for each chip, with seeded random weights."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
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
from synergyc.legalize import legalize, rewrite
from synergyc.quantize import quantize, real_input
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


def build(name: str, chip: str, seed: int = 0) -> nn.Module:
    """Return the network called ``name`` in its form for ``chip``; equal calls give equal weights."""
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(seed)
        module = ZOO[name].make(load_chip(chip)).eval()
        weighted = [part for part in module.modules() if isinstance(part, _WEIGHTED)]
        hooks = [part.register_forward_hook(_normalize) for part in weighted]
        module(torch.from_numpy(real_input(calibration(name, 1))))
        for hook in hooks:
            hook.remove()
    return module


_WEIGHTED = (nn.Conv1d, nn.Conv2d, nn.ConvTranspose2d, nn.Linear)


def _normalize(part: nn.Module, inputs: tuple[torch.Tensor], output: torch.Tensor) -> torch.Tensor:
    """Scale a layer's random weights so that its output has about unit variance, and add biases.

    Keeps activations in range however deep the network (arXiv 1511.06422); powers of two, so that rounding
    errors of other machines change nothing.
    """
    assert isinstance(part.weight, torch.Tensor)
    scale = 2.0 ** -torch.round(torch.log2(output.std()))
    part.weight.mul_(scale)
    if isinstance(part.bias, torch.Tensor):
        nn.init.uniform_(part.bias, 0.25, 0.5)
        return output * scale + part.bias.reshape(-1, *(1,) * (output.ndim - 2))
    return output * scale


def graph(name: str, chip: str) -> Graph:
    """Return the captured float graph of a network."""
    return rewrite(capture(build(name, chip), ZOO[name].input_shape, name))


def weight_bits(name: str, captured: Graph) -> dict[str, int]:
    """Return the width of the weights of each weighted node of ``graph(name, ...)``."""
    weighted = [node.name for node in captured if isinstance(node.operator, Convolution | Linear)]
    widths = ZOO[name].weight_bits or (8,) * len(weighted)
    return dict(zip(weighted, widths, strict=True))


def calibration(name: str, count: int = CALIBRATION_SAMPLES) -> npt.NDArray[np.int8]:
    """Return ``count`` random inputs as a sensor delivers them: int8 (count, *input shape)."""
    shape = ZOO[name].input_shape
    random = np.random.default_rng(0)
    values = random.normal(0, 40, (count, *shape))
    return np.clip(np.round(values), -128, 127).astype(np.int8)


def network(name: str, chip: str) -> Network:
    """Return the integer network called ``name`` in its form for ``chip``, calibrated with random inputs."""
    captured = graph(name, chip)
    integers = quantize(captured, calibration(name), weight_bits(name, captured))
    return legalize(integers, load_chip(chip))
