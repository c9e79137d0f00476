"""Input through FIFOs: words that are pushed after the start lie where the first layer reads."""

from __future__ import annotations

import numpy as np
import pytest

from synergyc.emulate.accelerator import Accelerator, NotModelled
from synergyc.targets import load_chip
from tests.emulate.accelerator import encoder
from tests.emulate.accelerator.encoder import Layer

CNN = load_chip("max78000").cnn
LAYER = Layer(4, 3, 2, 4, (1, 1))
"""A copy of half of each value: 1x1 with weights of 64."""
PIXELS = [0x08060402 + 0x10101010 * i for i in range(6)]
FIFO, FAST = CNN.addresses.fifo, CNN.addresses.fast_fifo
MODE, FAST_MODE = 0x8808, 0x8808 | 3 << 22


def prepared(mode: int) -> Accelerator:
    """Return an accelerator that has started and waits for six pixels."""
    accelerator = Accelerator(CNN)
    encoder.configure(accelerator, CNN, LAYER)
    encoder.load_weights(accelerator, CNN, LAYER, 64 * np.eye(4, dtype=np.int64)[:, :, None])
    accelerator.write(CNN.register_address(0, "IFRM"), 4, len(PIXELS))
    if mode == MODE:
        accelerator.write(FIFO, 4, 0x1908)
    else:
        accelerator.write(FAST + 8, 4, 0)
        accelerator.write(FAST, 4, 10 << 4)
    for value in (mode, mode | 1):
        accelerator.write(CNN.register_address(0, "CTL"), 4, value)
    return accelerator


@pytest.mark.parametrize(
    ("mode", "port", "status"), [(MODE, FIFO + 8, FIFO + 4), (FAST_MODE, FAST + 16, FAST + 4)]
)
def test_input_from_a_fifo(mode: int, port: int, status: int) -> None:
    accelerator = prepared(mode)
    for count, pixel in enumerate(PIXELS):
        assert accelerator.cycles_to_done() is None
        assert accelerator.missing_input == {0: (count, len(PIXELS))}
        assert accelerator.read(status, 4) == 0, "never full"
        accelerator.write(port, 4, pixel)
    assert accelerator.missing_input == {}
    assert accelerator.cycles_to_done() == 1 + 3 * (2 * 2 + 2 * 4)
    accelerator.finish()
    data = CNN.data_address(0)
    assert [accelerator.read(data + 4 * i, 4) for i in range(6)] == PIXELS
    assert accelerator.read(data + 4 * (encoder.OUT_WORD + 1), 4) == 0x0C0B0A09


def test_a_run_waits_for_its_frame_and_takes_no_more() -> None:
    accelerator = prepared(MODE)
    for pixel in PIXELS[:-1]:
        accelerator.write(FIFO + 8, 4, pixel)
    with pytest.raises(ValueError, match="all its input"):
        accelerator.finish()
    accelerator.write(FIFO + 8, 4, PIXELS[-1])
    with pytest.raises(NotModelled, match="FIFO 0"):
        accelerator.write(FIFO + 8, 4, 0)
    with pytest.raises(NotModelled, match="FIFO 1"):
        prepared(MODE).write(FIFO + 12, 4, 0)


def test_fast_fifo_registers() -> None:
    accelerator = prepared(FAST_MODE)
    assert accelerator.read(FAST, 4) == 10 << 4
    for register in (8, 12, 20):
        with pytest.raises(NotModelled, match="fast FIFO"):
            accelerator.write(FAST + register, 4, 1)


def test_the_fast_fifo_beside_another_is_refused() -> None:
    accelerator = Accelerator(CNN)
    encoder.configure(accelerator, CNN, LAYER)
    accelerator.write(FIFO, 4, 0x1908)
    with pytest.raises(NotModelled, match=r"CTL\[22\]"):
        accelerator.write(CNN.register_address(0, "CTL"), 4, FAST_MODE | 1)
