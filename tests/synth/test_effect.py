"""Comparing what programs leave behind: each kind of difference is seen, ways of writing are not."""

from __future__ import annotations

from dataclasses import replace

import pytest

from synergyc.synth.effect import last_words, program_differences, weight_slots
from synergyc.synth.native import ControlOptions, generate
from synergyc.synth.placement import place
from synergyc.synth.program import Program, Write
from synergyc.targets import load_chip
from tests.synth.networks import Spec, network, point

CHIP = load_chip("max78000")


@pytest.fixture(scope="module")
def program() -> Program:
    return generate(place(network((3, 8, 8), [Spec(70), point(5, bits=4)]), CHIP), CHIP)


def differences(one: Program, other: Program) -> list[str]:
    return list(program_differences(one, other, CHIP.cnn))


def test_the_last_word_counts() -> None:
    assert last_words([Write(8, (1, 2)), Write(12, (3,))]) == {8: 1, 12: 3}


def test_equal_programs_do_not_differ(program: Program) -> None:
    assert differences(program, program) == []


def test_plain_and_express_loading_fill_the_same_slots(program: Program) -> None:
    placed = place(network((3, 8, 8), [Spec(70), point(5, bits=4)]), CHIP)
    plain = generate(placed, CHIP, ControlOptions(express=False))
    assert weight_slots(plain.weights, CHIP.cnn) == weight_slots(program.weights, CHIP.cnn)


@pytest.mark.parametrize("phase", ["init", "configure", "start", "bias", "weights"])
def test_a_changed_word_is_seen(program: Program, phase: str) -> None:
    steps = list(getattr(program, phase))
    index = max(i for i, step in enumerate(steps) if isinstance(step, Write) and step.width_bytes == 4)
    *words, last = steps[index].words
    steps[index] = replace(steps[index], words=(*words, last ^ 0x01000000))
    changed = replace(program, **{phase: tuple(steps)})  # type: ignore[arg-type]
    assert len(differences(changed, program)) == 1


def test_zeros_in_slots_that_nobody_reads_do_not_count(program: Program) -> None:
    address = CHIP.cnn.weight_address(63) + 4 * 700
    zeros = (Write(address | 1, (1,), width_bytes=1), Write(address, (0, 0, 0)))
    padded = replace(program, weights=(*program.weights, *zeros))
    assert differences(padded, program) == []
    assert "nothing and 000000000000000000" in differences(program, padded)[0]
