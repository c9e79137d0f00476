"""Snoop units of the MAX78002: matches that stop a run, skip layers, or are only counted.

Truth: final register values that the vendor tool's test networks state (``tests/test-snoop*.yaml``), and
copies of a few words, in which every match can be seen.
"""

from __future__ import annotations

from dataclasses import replace

import pytest

from synergyc.emulate.accelerator import Accelerator, NotModelled
from synergyc.targets import load_chip
from tests.emulate.accelerator import encoder, replay
from tests.emulate.accelerator.encoder import Layer

CNN = load_chip("max78002").cnn
COPY = Layer(4, 2, 3)
"""Two rows of three words, from word 0 to 0x1000."""
WORDS = (0x11223344, 0x80000000, 0x7F49BAEC, 0x05060708, 0x7F49BAEC, 0x00000001)
WRITES = 1 << 21 | encoder.OUT_WORD
EQUAL, INSIDE = 2, 5
ON, STOP, SKIP, ADD, COUNT, LARGEST = (1 << bit for bit in range(6))
START = 1 << 7

# Final ACC, HIT, MAX and AM of both units, where the network states them (state words 24 to 31 of `snoop`).
STATED = {
    "t.snoop-range.78002": {"SNP1_HIT": 3, "SNP2_HIT": 0},
    "t.snoop-stop.78002": {"SNP1_ACC": 17, "SNP1_HIT": 22, "SNP1_MAX": 55, "SNP1_AM": 22, "SNP2_HIT": 8},
    "t.snoop2-nocount.78002": {"SNP2_ACC": 9, "SNP2_HIT": 10, "SNP2_MAX": 11, "SNP2_AM": 12, "SNP1_ACC": 13},
    "t.snoop2-skip.78002": {"SNP2_ACC": 17, "SNP2_HIT": 22, "SNP2_MAX": 55, "SNP2_AM": 22, "SNP1_MAX": 7},
    "t.snoop2-xval.78002": {"SNP2_ACC": 17, "SNP2_HIT": 25, "SNP2_MAX": 55, "SNP2_AM": 22},
}


@pytest.mark.parametrize("name", sorted(STATED))
def test_registers_hold_what_the_vendors_networks_state(name: str) -> None:
    accelerator = replay.run(replay.load(name))
    for register, value in STATED[name].items():
        for quadrant in range(4):
            assert accelerator.read(CNN.register_address(quadrant, register), 4) == value, register


def program(unit: dict[str, int], links: dict[int, int] | None = None) -> Accelerator:
    """Return an accelerator that copies WORDS to 0x1000, 0x1100 and 0x1200, watched by the first unit."""
    accelerator = Accelerator(CNN)
    encoder.configure(accelerator, CNN, COPY)
    for layer in (1, 2):
        for name, value in encoder.registers(CNN, COPY, 0).items():
            accelerator.write(CNN.layer_register_address(0, name, layer), 4, value)
        places = {"RPTR": 0xF00 + 0x100 * layer, "WPTR": 0x1000 + 0x100 * layer}
        for name, value in places.items():
            accelerator.write(CNN.layer_register_address(0, name, layer), 4, value)
    for layer, target in (links or {}).items():
        accelerator.write(CNN.layer_register_address(0, "NXT", layer), 4, 0x80 | target)
    accelerator.write(CNN.register_address(0, "LCNT"), 4, 2)
    for register, value in unit.items():
        accelerator.write(CNN.register_address(0, f"SNP1_{register}"), 4, value)
    for index, word in enumerate(WORDS):
        accelerator.write(CNN.data_address(0) + 4 * index, 4, word)
    return accelerator


def run(accelerator: Accelerator, mode: int = START) -> list[int]:
    """Run to the end and return the layers that ran."""
    encoder.start(accelerator, CNN, COPY, mode)
    accelerator.finish()
    return [layer.number for layer in accelerator.layers]


def control(flags: int, compare: int = EQUAL, data: int = EQUAL, *, width: int = 8, count: int = 0) -> int:
    return width << 28 | 2 << 24 | count << 20 | data << 16 | compare << 12 | flags


def exactly(flags: int, word: int, value: int) -> dict[str, int]:
    return {"A1": WRITES + word, "D1": value, "C1": control(ON | flags), "C2": 0x3000}


@pytest.mark.parametrize(
    ("flags", "value", "links", "expected"),
    [
        (STOP, WORDS[2], {}, [0]),
        (STOP, WORDS[2] ^ 1, {}, [0, 1, 2]),
        (SKIP, WORDS[2], {0: 2}, [0, 2]),
        (SKIP, WORDS[2] ^ 1, {0: 2}, [0, 1, 2]),
        (COUNT, WORDS[2], {0: 2}, [0, 2]),
    ],
)
def test_a_match_decides_the_way(flags: int, value: int, links: dict[int, int], expected: list[int]) -> None:
    assert run(program(exactly(flags, 2, value), links)) == expected


def test_without_the_mode_bit_nothing_is_watched() -> None:
    accelerator = program(exactly(STOP | COUNT, 2, WORDS[2]))
    assert run(accelerator, 0) == [0, 1, 2]
    assert accelerator.read(CNN.register_address(0, "SNP1_HIT"), 4) == 0


def test_matches_are_counted_added_and_the_largest_kept() -> None:
    unit = {
        "A1": WRITES + 1,
        "A2": WRITES + 5,
        "D1": 0x05060708,
        "D2": 0x7F49BAEC,
        "C1": control(ON | ADD | COUNT | LARGEST, INSIDE, INSIDE),
        "C2": 0x3000,
        "ACC": 10,
        "HIT": 100,
    }
    accelerator = program(unit)
    assert run(accelerator) == [0, 1, 2]
    found = {name: accelerator.read(CNN.register_address(0, f"SNP1_{name}"), 4) for name in unit}
    assert found["HIT"] == 103, "words 2, 3 and 4"
    assert found["ACC"] == (10 + 2 * 0x7F49BAEC + 0x05060708) & 0xFFFFFFFF
    assert accelerator.read(CNN.register_address(0, "SNP1_MAX"), 4) == 0x7F49BAEC
    assert accelerator.read(CNN.register_address(0, "SNP1_AM"), 4) == WRITES + 2, (
        "the first of two equal ones"
    )


@pytest.mark.parametrize(("first", "last", "expected"), [(2, 5, [0, 1, 2]), (4, 5, [0]), (3, 3, [0, 1, 2])])
def test_a_count_of_hits_that_is_to_be_ignored(first: int, last: int, expected: list[int]) -> None:
    """The highest bytes are 0x11, 0x80, 0x7F, 0x05, 0x7F, 0x00: three of them lie in 0x11 to 0x7F."""
    unit = {
        "A1": WRITES,
        "A2": WRITES + 5,
        "D1": 0x11,
        "D2": 0x7F,
        "X1": first,
        "X2": last,
        "C1": control(ON | STOP, INSIDE, INSIDE, width=6, count=INSIDE),
        "C2": 0x4000,
    }
    assert run(program(unit)) == expected


@pytest.mark.parametrize(
    ("change", "register"),
    [
        ({"C1": control(ON, EQUAL, 1)}, "SNP1_C1"),
        ({"C1": control(ON, width=4)}, "SNP1_C1"),
        ({"C1": control(ON | 1 << 8)}, "SNP1_C1"),
        ({"C2": 0x4000}, "SNP1_C2"),
        ({"C2": 0x3100}, "SNP1_C2"),
        ({"A1": encoder.OUT_WORD}, "SNP1_A1"),
    ],
)
def test_other_settings_are_refused(change: dict[str, int], register: str) -> None:
    accelerator = program(exactly(STOP, 2, WORDS[2]) | change)
    with pytest.raises(NotModelled, match=register):
        encoder.start(accelerator, CNN, COPY, START)


def test_32_bit_output_is_refused() -> None:
    wide = replace(Layer(1, 1, 1, 1, (1, 1)), wide=True)
    accelerator = Accelerator(CNN)
    encoder.configure(accelerator, CNN, wide)
    for register, value in exactly(STOP, 0, 0).items():
        accelerator.write(CNN.register_address(0, f"SNP1_{register}"), 4, value)
    with pytest.raises(NotModelled, match="SNP1_C1"):
        encoder.start(accelerator, CNN, wide, START)


@pytest.mark.parametrize("mode", [1 << 8, 1 << 14])
def test_other_modes_together_with_snooping_are_refused(mode: int) -> None:
    accelerator = program(exactly(STOP, 2, WORDS[2]))
    with pytest.raises(NotModelled, match="snoop units together"):
        encoder.start(accelerator, CNN, COPY, START | mode)
