"""Cycle counts of decoded layers.

Truth: the totals that the vendor tool's own tests expect (izer/test/test_cycles.py, quoted in
docs/accelerator.md 6; MAX78000, start cycle included), and for the pipeline the two measured constants.
"""

from __future__ import annotations

import pytest

from synergyc.emulate.accelerator import Accelerator
from synergyc.targets import load_chip
from tests.emulate.accelerator import encoder
from tests.emulate.accelerator.encoder import Layer

PAD_1, PAD_2 = (1, 1), (2, 2)
VENDOR_TOTALS = [
    (Layer(64, 20, 20, 16, pad=PAD_2, pool=(2, 2), stride=2), 3049),
    (Layer(3, 65, 65, 32, pad=PAD_1, pool=(16, 16), stride=4), 49010),
    (Layer(3, 32, 32, 64, pad=PAD_1), 67981),
    (Layer(3, 32, 32, 64), 59773),
    (Layer(3, 32, 32, 64, pool=(2, 2), stride=2), 13885),
    (Layer(128, 8, 8, 16, pad=PAD_1, pool=(2, 2), stride=2, passes=2), 773),
    (Layer(128, 8, 8, 16, pad=PAD_1, passes=2), 2485),
    (Layer(128, 8, 8, 16, passes=2), 1437),
    (Layer(1, 28, 28, 8, pad=PAD_1), 8189),
    (Layer(4, 12, 12, operands=2, eltwise="add"), 721),
    (Layer(3, 7, 9, 64, pad=PAD_1, transposed=True), 16837),
    (Layer(192, 1, 1, 10, (1, 1), passes=16), 193),
    (Layer(8, 12, 12, operands=2, eltwise="add", passes=2), 1441),
    (Layer(80, 11, 11, 1, passes=2), 687),
    (
        Layer(8, 17, 17, pool=(2, 2), stride=2, operands=2, eltwise="add", pool_first=False),
        705,
    ),
    (Layer(12, 8, 8, 10, (1, 1), flatten=True), 770),
    (Layer(1, 1, 1, 1, pad=PAD_1), 29),
    (Layer(12, 1, 1, 17, (1, 1)), 20),
    (Layer(5, 31, 7, 11, pad=PAD_1), 3062),
]


def cycles(chip: str, layer: Layer, mode: int = 0) -> int | None:
    cnn = load_chip(chip).cnn
    accelerator = Accelerator(cnn)
    encoder.configure(accelerator, cnn, layer)
    encoder.start(accelerator, cnn, layer, mode)
    return accelerator.cycles_to_done()


@pytest.mark.parametrize(("layer", "total"), VENDOR_TOTALS)
def test_totals_of_the_vendors_tests(layer: Layer, total: int) -> None:
    assert cycles("max78000", layer) == total


@pytest.mark.parametrize(("layer", "total"), VENDOR_TOTALS)
def test_the_second_generation_takes_as_long_with_its_pipeline_off(layer: Layer, total: int) -> None:
    assert cycles("max78002", layer, mode=1 << 5) == total


def test_the_pipeline_adds_what_was_measured() -> None:
    """784 pixels are read and written: 7.67 and 3.39 cycles more for each (docs/accelerator.md 6)."""
    layer = Layer(1, 28, 28, 8, pad=PAD_1)
    assert cycles("max78002", layer) == 8189 + round(784 * (7.67 + 3.39))


def test_kernels_in_front_are_read_again_when_operands_are_combined_before_pooling() -> None:
    """Term ``pre``: (6+2-3+1)*1 + (6+2-3+1)*1 - 1 = 11 pixels times the offset (docs/accelerator.md 6)."""
    plain = Layer(4, 12, 12, 3, pad=PAD_1, pool=(2, 2), stride=2, operands=2, eltwise="add", pool_first=False)
    moved = Layer(**{**vars(plain), "first_slot": 40})
    first, second = cycles("max78000", plain), cycles("max78000", moved)
    assert first is not None
    assert second == first + 11 * 40
    assert cycles("max78002", plain) == cycles("max78002", moved)


def test_busy_cycles_add_up_over_runs() -> None:
    cnn = load_chip("max78000").cnn
    layer = Layer(1, 28, 28, 8, pad=PAD_1)
    accelerator = Accelerator(cnn)
    encoder.configure(accelerator, cnn, layer)
    for run in (1, 2):
        encoder.start(accelerator, cnn, layer)
        accelerator.finish()
        accelerator.write(cnn.register_address(0, "CTL"), 4, 0x8)
        assert accelerator.busy_cycles == run * 8189
    assert [layer_run.cycles for layer_run in accelerator.layers] == [8188]
