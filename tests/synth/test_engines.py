"""The choice of engine, and both engines on random networks.

Truth for the latter: the vendor's tool itself, run on the same placements (where AI8X_SYNTHESIS_DIR is set).
"""

from __future__ import annotations

import os
import random
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from synergyc.diagnostics import SynergyError
from synergyc.ir.network import Network
from synergyc.ir.types import Activation
from synergyc.pipeline.engines import EngineChoice, generator
from synergyc.synth import izer
from synergyc.synth.izer.tool import FOLDER_VARIABLE, HOME_VARIABLE, PYTHON_VARIABLE
from synergyc.synth.placement import place
from synergyc.synth.resident import place_resident
from synergyc.targets import load_chip
from tests.synth.networks import AVERAGE_2X2, MAX_2X2, Spec, copy, linear, network

NEEDS_TOOL = pytest.mark.skipif(
    FOLDER_VARIABLE not in os.environ, reason=f"{FOLDER_VARIABLE} does not name the vendor's tool"
)


def small() -> Network:
    return network((3, 8, 8), [Spec(4)], name="small")


def pretend(folder: Path, script: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make ``script`` the vendor's tool."""
    (folder / "ai8xize.py").write_text(script)
    monkeypatch.setenv(FOLDER_VARIABLE, str(folder))
    monkeypatch.setenv(PYTHON_VARIABLE, sys.executable)


def test_without_the_tool_auto_takes_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(FOLDER_VARIABLE, raising=False)
    monkeypatch.setenv(HOME_VARIABLE, str(tmp_path))
    said: list[str] = []
    chip = load_chip("max78000")
    program = generator(EngineChoice.AUTO, said.append)(place(small(), chip), chip)
    assert program.engine == "native"
    assert program.engine_version
    assert "not installed" in said[0]
    with pytest.raises(SynergyError, match="not installed"):
        generator(EngineChoice.IZER, said.append)


def test_a_tool_that_fails_is_told_and_replaced_in_auto_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pretend(tmp_path, "print('ERROR: no'); raise SystemExit(1)", monkeypatch)
    said: list[str] = []
    chip = load_chip("max78000")
    placed = place(small(), chip)
    assert generator(EngineChoice.AUTO, said.append)(placed, chip).engine == "native"
    assert said == ["native engine for small: the vendor's tool failed: ERROR: no"]
    with pytest.raises(SynergyError, match="ERROR: no"):
        generator(EngineChoice.IZER, said.append)(placed, chip)


@NEEDS_TOOL
def test_places_that_the_tool_does_not_keep_to_are_noticed() -> None:
    """Biases of a second network lie behind those of the first; the tool always starts at 0."""
    chip = load_chip("max78000")
    networks = [network((3, 8, 8), [Spec(8)], seed=seed, name=f"net{seed}") for seed in (1, 2)]
    alone, beside = place_resident(networks, chip)
    said: list[str] = []
    generate = generator(EngineChoice.AUTO, said.append)
    program = generate(alone, chip)
    assert (program.engine, said) == ("izer", [])
    assert program.engine_version == izer.find_izer().version()
    assert generate(beside, chip).engine == "native"
    assert "does not keep to the placement of net2" in said[0]


def random_network(seed: int) -> Network:
    """Return a chain; narrow weights get inputs that fill all passes: others the tool packs wrong."""
    dice = random.Random(seed)  # noqa: S311 - not for secrets
    size = first_size = dice.choice([8, 12, 16])
    channels = first = dice.choice([1, 3, 16])
    specs = []
    for _ in range(dice.randint(2, 4)):
        pool = dice.choice([None, MAX_2X2, AVERAGE_2X2]) if size >= 4 else None
        size = size // 2 if pool else size
        if pool and dice.random() < 0.3:
            specs.append(copy(pool=pool))
            continue
        bits = dice.choice([8, 4, 2, 1]) if channels <= 64 else 8
        out = dice.choice([4, 7, 20, 33, 64, 100])
        activation = dice.choice([Activation.NONE, Activation.RELU, Activation.ABS])
        spec = Spec(out, pool=pool, bits=bits, activation=activation)
        specs.append(spec if dice.random() < 0.5 else replace(spec, kernel=1, pad=0))
        channels = out
    if channels <= 64:
        specs.append(linear(dice.choice([2, 33]), wide=dice.random() < 0.5, bits=dice.choice([8, 4])))
    return network((first, first_size, first_size), specs, seed=seed)


@NEEDS_TOOL
@pytest.mark.parametrize(("seed", "chip_name"), [(0, "max78000"), (1, "max78002")])
def test_both_engines_write_the_same_words_for_random_networks(seed: int, chip_name: str) -> None:
    chip = load_chip(chip_name)
    placed = place(random_network(seed), chip)
    assert izer.generate(placed, chip, izer.find_izer(), timeout_s=300).engine == "izer"
