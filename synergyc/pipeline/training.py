"""Quantization-aware training of a whole model from arrays: what ``synergyc train`` does.

For another loop, another loss or augmented data, train what ``trainable`` makes of the model yourself.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional

from synergyc.diagnostics import Diagnostic, SynergyError, fail
from synergyc.frontend import capture
from synergyc.ir.graph import Graph
from synergyc.ir.types import Array
from synergyc.legalize import rewrite
from synergyc.pipeline.accuracy import BATCH
from synergyc.pipeline.samples import label_problems
from synergyc.quantize import Calibrated, calibrate, real_input
from synergyc.quantize.calibrate import float_values
from synergyc.quantize.qat import QuantizedModel

_CLIPPED_NORM = 1.0
"""Gradients are clipped to this norm: at few bits single steps of a weight make large ones."""


@dataclass(frozen=True, eq=False)
class Labelled:
    """Inputs (N, *shape), int8 or real, as the network reads them, and their class numbers (N,)."""

    inputs: Array
    labels: npt.NDArray[np.int64]

    def split(self, share: float, seed: int) -> tuple[Labelled, Labelled]:
        """Return all but ``share`` of the samples, and that share, drawn at random."""
        order = np.random.default_rng(seed).permutation(len(self.labels))
        held = max(1, round(share * len(order)))
        return self.picked(order[held:]), self.picked(order[:held])

    def picked(self, index: npt.NDArray[np.int64]) -> Labelled:
        """Return the samples at ``index``."""
        return Labelled(self.inputs[index], self.labels[index])


@dataclass(frozen=True)
class Schedule:
    """How long and how fast; the learning rate falls to zero along a cosine."""

    epochs: int = 20
    learning_rate: float = 1e-3
    batch: int = 32
    seed: int = 0


@dataclass(frozen=True, eq=False)
class Trained:
    """The best of all epochs on the validation samples; epoch 0 is what calibration found, untrained."""

    integers: Graph
    epoch: int
    calibrated_accuracy: float
    accuracy: float


def trainable(module: nn.Module, calibration: Array, bits: int | Mapping[str, int] = 8) -> QuantizedModel:
    """Return ``module`` as the chip computes it, for a training loop of one's own.

    Args:
        module: float, with trained weights; batch normalization is folded.
        calibration: typical inputs, (N, *input shape), float in [-1, 1] or int8.
        bits: width of weights, for all layers or by name (others have 8).

    The result takes what the module takes and is trained like it; ``integers()`` is what to write at the end
    (``integer_files.write_stored``). Raises SynergyError for what cannot run on the accelerator.
    """
    graph = rewrite(capture(module, tuple(calibration.shape[1:]), type(module).__name__.lower()))
    if graph.input.preparation is not None:
        raise fail(
            "trainable-input",
            f"the model reads its input after a preparation ({graph.input.preparation})",
            hint="train a QuantizedModel of the rewritten graph, on prepared inputs",
        )
    made = calibrate(graph, calibration, bits)
    return QuantizedModel(made.integers, made.real)


def train(
    start: Calibrated,
    data: Labelled,
    validation: Labelled,
    schedule: Schedule,
    progress: Callable[[int, float], None] = lambda _epoch, _accuracy: None,
) -> Trained:
    """Train ``start`` on ``data``; ``progress`` gets each epoch's number and validation accuracy.

    The loss is the mean of the labels' cross entropy and of the divergence from the float model's answers.
    Equal arguments give equal results on one machine. Raises SynergyError for labels that are no classes.
    """
    _check(start.integers, data, validation)
    model = QuantizedModel(start.integers, start.real)
    inputs, labels = torch.from_numpy(real_input(data.inputs)), torch.from_numpy(data.labels)
    wanted = torch.from_numpy(_float_outputs(start.real, real_input(data.inputs)))
    best = Trained(start.integers, 0, *[_accuracy(model, validation)] * 2)
    progress(0, best.accuracy)
    optimizer = torch.optim.Adam(model.parameters(), lr=schedule.learning_rate)
    steps = max(1, schedule.epochs * math.ceil(len(inputs) / schedule.batch))
    slower = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    random = torch.Generator().manual_seed(schedule.seed)
    for epoch in range(1, schedule.epochs + 1):
        order = torch.randperm(len(inputs), generator=random)
        for index in _parts(order, schedule.batch):
            optimizer.zero_grad()
            loss = _loss(model(inputs[index]), labels[index], wanted[index])
            loss.backward()  # type: ignore[no-untyped-call]
            torch.nn.utils.clip_grad_norm_(model.parameters(), _CLIPPED_NORM)
            optimizer.step()
            slower.step()
        reached = _accuracy(model, validation)
        progress(epoch, reached)
        if reached > best.accuracy:
            best = Trained(model.integers(), epoch, best.calibrated_accuracy, reached)
    return best


def _check(graph: Graph, *parts: Labelled) -> None:
    output = graph.node(graph.output).shape
    problems = [problem for part in parts for problem in label_problems(part.labels, output)]
    problems += [
        Diagnostic("training-data", "there must be samples to train on and to validate with")
        for part in parts
        if not len(part.labels)
    ]
    if problems:
        raise SynergyError(problems)


def _loss(output: Tensor, labels: Tensor, wanted: Tensor) -> Tensor:
    flat, real = output.flatten(1), wanted.flatten(1)
    right = functional.cross_entropy(flat, labels)
    found, expected = functional.log_softmax(flat, 1), functional.log_softmax(real, 1)
    alike = functional.kl_div(found, expected, log_target=True, reduction="batchmean")
    return (right + alike) / 2


def _parts(values: Tensor, size: int) -> tuple[Tensor, ...]:
    parts: tuple[Tensor, ...] = values.split(size)  # type: ignore[no-untyped-call]
    return parts


def _float_outputs(graph: Graph, inputs: Array) -> Array:
    batches = [inputs[start : start + BATCH] for start in range(0, len(inputs), BATCH)]
    return np.concatenate([float_values(graph, batch)[graph.output] for batch in batches])


def _accuracy(model: QuantizedModel, data: Labelled) -> float:
    inputs = torch.from_numpy(real_input(data.inputs))
    with torch.no_grad():
        answers = torch.cat([model(part).flatten(1).argmax(1) for part in _parts(inputs, BATCH)])
    return float((answers.numpy() == data.labels).mean())
