"""Tables of register writes and weights: short, and still the same stores.

Truth: the writes themselves. A table is read back as the firmware reads it (templates/firmware/cnn.c), and
must store the same words at the same addresses, each processor's weights in the order in which they came.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pytest

from synergyc.firmware.cnn_tables import Weights, WriteRow, single_writes, weight_rows, write_rows
from synergyc.synth.program import WaitBits, Write
from synergyc.targets import Cnn, load_chip

CHIPS = ("max78000", "max78002")


def _stored(rows: Sequence[WriteRow], cnn: Cnn) -> list[tuple[int, int]]:
    stride = cnn.addresses.quadrant.stride
    return [(row.address + q * stride, row.value) for row in rows for q in range(row.more + 1)]


def _weights_stored(weights: Weights, cnn: Cnn) -> Iterator[tuple[int, Write]]:
    """Yield each processor's writes in order; the address of a begin byte is the one that the tool uses."""
    for row in weights.rows:
        for index in range(row.processors):
            processor = row.processor + index
            address = cnn.weight_address(processor) + 4 * row.word
            if row.begin:
                yield processor, Write(address + 1, (row.begin,), width_bytes=1)
            first = row.first + index * row.count
            yield processor, Write(address, weights.words[first : first + row.count])


def _layer(cnn: Cnn, layer: int, values: Sequence[Sequence[int]]) -> list[Write]:
    """Return the writes of two registers of a layer in all quadrants: ``values`` by quadrant and register."""
    return [
        Write(cnn.layer_register_address(quadrant, name, layer), (value,), f"{name} {quadrant}")
        for quadrant, pair in enumerate(values)
        for name, value in zip(("RCNT", "ENA"), pair, strict=True)
    ]


@pytest.mark.parametrize("chip", CHIPS)
def test_quadrants_with_the_same_value_share_a_row(chip: str) -> None:
    cnn = load_chip(chip).cnn
    writes = _layer(cnn, 3, [(7, 1), (7, 2), (7, 2), (7, 1)])
    rows = write_rows(writes, cnn)
    assert sorted(_stored(rows, cnn)) == sorted((write.address, write.words[0]) for write in writes)
    assert [(row.value, row.more) for row in rows] == [(7, 3), (1, 0), (2, 1), (1, 0)]


@pytest.mark.parametrize("chip", CHIPS)
def test_any_writes_are_stored_once_each(chip: str) -> None:
    cnn = load_chip(chip).cnn
    chance = np.random.default_rng(5)
    for _ in range(20):
        writes = [
            write
            for layer in range(4)
            for write in _layer(cnn, layer, chance.integers(0, 2, (4, 2)).tolist())
        ]
        some = [write for write in writes if chance.random() < 0.7]
        stored = _stored(write_rows(some, cnn), cnn)
        assert len(stored) == len(some)
        assert dict(stored) == {write.address: write.words[0] for write in some}


def test_where_an_address_is_written_twice_the_order_stays() -> None:
    cnn = load_chip("max78000").cnn
    control = [cnn.register_address(quadrant, "CTL") for quadrant in range(4)]
    writes = [Write(address, (8,)) for address in control] + [Write(control[0], (9,))]
    assert _stored(write_rows(writes, cnn), cnn) == [(write.address, write.words[0]) for write in writes]


def test_writes_of_several_words_become_single_ones() -> None:
    writes = list(single_writes("start", (Write(0x10, (1, 2), "why"),)))
    assert writes == [Write(0x10, (1,), "why"), Write(0x14, (2,), "why")]
    with pytest.raises(ValueError, match="phase start must store, not wait"):
        list(single_writes("start", (WaitBits(0x10, 1, 1),)))
    with pytest.raises(ValueError, match="whole words, not 1 bytes at 0x10"):
        list(single_writes("start", (Write(0x10, (1,), width_bytes=1),)))


def _block(cnn: Cnn, processor: int, word: int, values: Sequence[int], begin: int = 1) -> list[Write]:
    address = cnn.weight_address(processor) + 4 * word
    first = [Write(address + 1, (begin,), width_bytes=1)] if begin else []
    return [*first, Write(address, tuple(values))]


@pytest.mark.parametrize("chip", CHIPS)
def test_processors_with_weights_at_the_same_place_share_a_row(chip: str) -> None:
    """Processors 14 to 17 lie in two quadrants; 16 has more weights of a second layer than the others."""
    cnn = load_chip(chip).cnn
    chance = np.random.default_rng(7)
    writes: list[Write] = []
    for processor in (14, 15, 16, 17, 20):
        writes += _block(cnn, processor, 0, chance.integers(0, 1 << 32, 9).tolist())
        writes += _block(
            cnn, processor, 16, chance.integers(0, 1 << 32, 5 if processor == 16 else 3).tolist()
        )
    weights = weight_rows(writes, cnn)
    assert [(row.processor, row.processors, row.word, row.count) for row in weights.rows] == [
        (14, 4, 0, 9), (20, 1, 0, 9), (14, 2, 16, 3), (17, 1, 16, 3), (20, 1, 16, 3), (16, 1, 16, 5),
    ]  # fmt: skip
    stored = sorted(_weights_stored(weights, cnn), key=lambda item: item[0])
    assert [write for _, write in stored] == writes


def test_blocks_without_a_beginning_have_none() -> None:
    cnn = load_chip("max78000").cnn
    writes = _block(cnn, 0, 0, (1, 2), begin=0)
    assert list(_weights_stored(weight_rows(writes, cnn), cnn)) == [(0, writes[0])]


def test_weights_in_no_order_or_at_no_place_are_errors() -> None:
    cnn = load_chip("max78000").cnn
    with pytest.raises(ValueError, match="processor 3 must come in order of their addresses"):
        weight_rows([*_block(cnn, 3, 16, (1,)), *_block(cnn, 3, 0, (1,))], cnn)
    with pytest.raises(ValueError, match="not to 0x50000000"):
        weight_rows([Write(0x50000000, (1,))], cnn)
    address = cnn.weight_address(0)
    with pytest.raises(ValueError, match=f"must begin the words at {address:#x}"):
        weight_rows([Write(address + 5, (1,), width_bytes=1), Write(address, (2,))], cnn)
