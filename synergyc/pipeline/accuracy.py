"""Accuracy at each stage from the float model to the integers, on the same samples, and where it is lost."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from synergyc import reference
from synergyc.ir.graph import Abs, Convolution, Graph, Linear, Relu, Saturation
from synergyc.ir.network import Network
from synergyc.ir.types import Activation, Array
from synergyc.quantize.calibrate import float_values
from synergyc.quantize.samples import real_input

STAGES = ("float", "folded", "fake_quantized", "reference")
"""As captured; batch normalization folded; integers in torch's floating point; the integer reference."""

BATCH = 64
"""Samples that are evaluated at a time: keeps the memory of activations within some tens of megabytes."""

_SAME = 1e-4
"""Folding changes values by rounding in float32: less than this, relative to the largest of the layer."""

Values = dict[str, Array]


@dataclass(frozen=True)
class StageDifference:
    """Two neighbouring stages, and the first layer whose values differ between them.

    Floating-point stages differ by more than float32's rounding, the fake-quantized one from the float by an
    rms error of more than one step of the layer's scale, integer stages in a single bit. ``error`` is the
    rms error in real values; ``answers``: how many of the samples' answers change.
    """

    before: str
    after: str
    layer: str
    error: float
    answers: int


@dataclass(frozen=True, eq=False)
class Accuracy:
    """Shares of right answers on labelled samples, by stage.

    ``answers`` (stages, samples) are the class numbers behind them, in the order of ``STAGES``.
    """

    samples: int
    shares: dict[str, float]
    differences: tuple[StageDifference, ...]
    answers: npt.NDArray[np.int64]


def measure(
    captured: Graph,
    folded: Graph,
    integers: Graph,
    network: Network,
    samples: npt.NDArray[np.int8],
    labels: npt.NDArray[np.int64],
) -> Accuracy:
    """Return the accuracy of one model's forms, whose output is a list of class scores.

    Args:
        captured: float, batch normalization in place.
        folded: the same without.
        integers: the quantized graph.
        network: its layers.
        samples: int8 (N, *source shape), as the sensor delivers them.
        labels: class numbers (N,).
    """
    stages = _Stages(captured, folded, integers, network)
    outputs = [_batched(stage, samples) for stage in stages.outputs()]
    answers = np.stack([answers_of(output) for output in outputs])
    found = tuple(
        StageDifference(STAGES[index], STAGES[index + 1], layer, error, int((first != second).sum()))
        for index, (first, second) in enumerate(pairwise(answers))
        if (difference := stages.first_difference(index, samples, outputs)) is not None
        for layer, error in [difference]
    )
    shares = {name: float(np.mean(row == labels)) for name, row in zip(STAGES, answers, strict=True)}
    return Accuracy(len(samples), shares, found, answers)


def answers_of(outputs: Array) -> npt.NDArray[np.int64]:
    """Return the place of the largest value of each of (N, classes, ...), over all values of a sample."""
    return np.asarray(np.argmax(outputs.reshape(len(outputs), -1), axis=1))


def _batched(stage: Callable[[Array], Array], samples: Array) -> Array:
    return np.concatenate([stage(samples[start : start + BATCH]) for start in range(0, len(samples), BATCH)])


class _Stages:
    """The four forms of a model, and every value of each by the name of its node."""

    def __init__(self, captured: Graph, folded: Graph, integers: Graph, network: Network) -> None:
        from synergyc.quantize.qat import QuantizedModel

        self._captured, self._folded, self._integers, self._network = captured, folded, integers, network
        self._model = QuantizedModel(integers)

    def outputs(self) -> tuple[Callable[[Array], Array], ...]:
        """Return functions from int8 samples to outputs, one for each of ``STAGES``."""
        return (
            lambda samples: _float_values(self._captured, samples)[self._captured.output],
            lambda samples: _float_values(self._folded, samples)[self._folded.output],
            lambda samples: self._fake(samples)[self._integers.output],
            lambda samples: reference.run(self._network, self._inputs(samples))[self._network.outputs[0]],
        )

    def _inputs(self, samples: Array) -> Values:
        return {self._network.inputs[0].name: self._integers.input.prepared(samples)}

    def first_difference(self, index: int, samples: Array, outputs: list[Array]) -> tuple[str, float] | None:
        """Return the first layer in which stages ``index`` and ``index + 1`` differ, and the rms error."""
        before, after = outputs[index : index + 2]
        if index == 2:  # integers: look where an output differs
            wrong = (before.reshape(len(before), -1) != after.reshape(len(after), -1)).any(axis=1)
            samples = samples[wrong]
        samples = samples[:BATCH]
        if not len(samples):
            return None
        compare = (self._folding, self._rounding, self._executing)[index]
        return next(compare(samples), None)

    def _folding(self, samples: Array) -> Iterator[tuple[str, float]]:
        """Weighted layers whose weights folding changed have no counterpart; what follows them has."""
        before, after = _float_values(self._captured, samples), _float_values(self._folded, samples)
        original = {node.name: node.operator for node in self._captured}
        for node in self._folded:
            weighted = isinstance(node.operator, Convolution | Linear)
            if node.name not in original or (weighted and node.operator is not original[node.name]):
                continue
            if before[node.name].shape != after[node.name].shape:
                continue
            scale = float(np.abs(before[node.name]).max(initial=0.0))
            if np.abs(after[node.name] - before[node.name]).max(initial=0.0) > _SAME * scale:
                yield node.origin.module, _rms(after[node.name] - before[node.name])

    def _rounding(self, samples: Array) -> Iterator[tuple[str, float]]:
        before, after = _float_values(self._folded, samples), self._fake(samples)
        for node in self._integers:
            scale = 2.0 ** -self._integers.fraction_bits[node.name]
            largest = float(np.abs(before[node.name]).max(initial=0.0))
            step = max(scale, largest / 128)  # raw sums have a much finer scale than 8 bits would have
            error = _rms(after[node.name] * scale - before[node.name])
            if not self._is_activated(node.name) and error > step:
                yield node.origin.module, error

    def _executing(self, samples: Array) -> Iterator[tuple[str, float]]:
        before = self._fake(samples)
        after = reference.run_layers(self._network, self._inputs(samples))
        for layer in self._network.layers:
            name = layer.name
            if layer.activation is not Activation.NONE and self._is_activated(name):
                name = self._integers.consumers(name)[0].name
            found = after[layer.output.name]
            if name in before and not np.array_equal(before[name].reshape(found.shape), found):
                step = 2.0**-layer.output.fraction_bits
                yield layer.name, _rms((before[name].reshape(found.shape) - found) * step)

    def _fake(self, samples: Array) -> Values:
        import torch

        with torch.no_grad():
            real = real_input(self._integers.input.prepared(samples))
            values = self._model.values(torch.from_numpy(real))
        return {name: value.numpy() for name, value in values.items()}

    def _is_activated(self, name: str) -> bool:
        """Return whether only an activation reads the value, so that the accelerator never stores it."""
        readers = self._integers.consumers(name)
        return len(readers) == 1 and isinstance(readers[0].operator, Relu | Abs | Saturation)


def _float_values(graph: Graph, samples: Array) -> Values:
    return float_values(graph, real_input(graph.input.prepared(samples)))


def _rms(values: Array) -> float:
    return float(np.sqrt(np.mean(np.square(values, dtype=np.float64))))
