"""Training from arrays: helps where calibration loses, never hurts, repeats, refuses what is no data."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from synergyc.diagnostics import SynergyError
from synergyc.ir.graph import Graph
from synergyc.pipeline.training import Labelled, Schedule, train, trainable
from synergyc.quantize import calibrate, real_input
from synergyc.quantize.calibrate import integer_values
from tests.pipeline import small

DATA, VALIDATION = Labelled(*small.data(192, 3)), Labelled(*small.data(120, 4))


def accuracy(graph: Graph, samples: Labelled) -> float:
    outputs = integer_values(graph, samples.inputs)[graph.output]
    return float((outputs.reshape(len(outputs), -1).argmax(axis=1) == samples.labels).mean())


def test_training_regains_what_single_bits_lose() -> None:
    """All weights but the last layer's are 0 or -1: calibration cannot make much of that."""
    start = calibrate(small.graph(), small.calibration(), {"first.0": 2, "skip": 1, "last": 2})
    seen: list[tuple[int, float]] = []
    schedule = Schedule(epochs=8, learning_rate=5e-3)
    found = train(start, DATA, VALIDATION, schedule, lambda *item: seen.append(item))
    assert [epoch for epoch, _ in seen] == list(range(9))
    assert found.calibrated_accuracy == seen[0][1] == accuracy(start.integers, VALIDATION)
    assert found.accuracy == max(reached for _, reached in seen) == accuracy(found.integers, VALIDATION)
    assert found.accuracy >= max(0.9, found.calibrated_accuracy)


def test_the_calibrated_model_is_kept_where_training_hurts() -> None:
    start = calibrate(small.graph(), small.calibration(), 8)
    found = train(start, DATA, VALIDATION, Schedule(epochs=1, learning_rate=100.0))
    assert found.epoch == 0
    assert found.integers is start.integers
    assert found.accuracy == found.calibrated_accuracy


def test_equal_arguments_give_equal_integers() -> None:
    start = calibrate(small.graph(), small.calibration(), 2)
    once, again = (train(start, DATA, VALIDATION, Schedule(epochs=1)) for _ in range(2))
    assert str(once.integers) == str(again.integers)


def test_splits_are_disjoint_and_repeat() -> None:
    numbered = Labelled(np.arange(50).reshape(50, 1, 1, 1), np.zeros(50, np.int64))
    used, held = numbered.split(0.2, seed=1)
    assert (len(used.labels), len(held.labels)) == (40, 10)
    assert sorted([*used.inputs.ravel(), *held.inputs.ravel()]) == list(range(50))
    np.testing.assert_array_equal(held.inputs, numbered.split(0.2, seed=1)[1].inputs)


@pytest.mark.parametrize(
    ("data", "rule"),
    [
        (Labelled(DATA.inputs, DATA.labels + 1), "labels-range"),
        (Labelled(DATA.inputs, DATA.labels - 1), "labels-range"),
        (Labelled(DATA.inputs[:0], DATA.labels[:0]), "training-data"),
    ],
)
def test_unusable_data_is_refused(data: Labelled, rule: str) -> None:
    start = calibrate(small.graph(), small.calibration(), 8)
    for pair in ((data, VALIDATION), (DATA, data)):
        with pytest.raises(SynergyError) as caught:
            train(start, *pair, Schedule())
        assert [item.rule for item in caught.value.diagnostics] == [rule]


def test_a_loop_of_ones_own_trains_what_the_chip_computes() -> None:
    """The user's loop: the module's logits are the integer executor's, before and after."""
    model = trainable(small.trained(), small.calibration(), 4)
    inputs, labels = torch.from_numpy(real_input(DATA.inputs)), torch.from_numpy(DATA.labels)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    before = str(model.integers())
    for _ in range(3):
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(model(inputs), labels).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    integers = model.integers()
    assert str(integers) != before
    with torch.no_grad():
        logits = model(inputs).numpy()
    expected = integer_values(integers, DATA.inputs)[integers.output]
    scale = np.float32(2.0 ** -integers.fraction_bits[integers.output])
    np.testing.assert_array_equal(logits, expected.astype(np.float32) * scale)


def test_a_model_that_reads_folded_input_is_refused_as_a_module() -> None:
    module = torch.nn.Sequential(
        torch.nn.Conv2d(1, 2, 2, stride=2), torch.nn.Flatten(), torch.nn.Linear(32, 2)
    )
    with pytest.raises(SynergyError, match="after a preparation"):
        trainable(module, np.zeros((4, 1, 8, 8), np.float32))
