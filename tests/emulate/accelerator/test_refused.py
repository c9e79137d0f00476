"""What the model refuses: registers that contradict each other, and timing it cannot know.

Which combinations are known: docs/accelerator.md, 5.2 to 5.9.
"""

from __future__ import annotations

import pytest

from synergyc.emulate.accelerator import Accelerator, NotModelled
from synergyc.targets import Cnn, load_chip
from tests.emulate.accelerator import encoder
from tests.emulate.accelerator.encoder import Layer

LAYER = Layer(4, 6, 5, 8, pad=(1, 1))
FIRST = load_chip("max78000").cnn
SECOND = load_chip("max78002").cnn


def started(cnn: Cnn, mode: int = 0) -> Accelerator:
    accelerator = Accelerator(cnn)
    encoder.configure(accelerator, cnn, LAYER)
    encoder.start(accelerator, cnn, LAYER, mode)
    return accelerator


@pytest.mark.parametrize("name", ["weights", "bias", "register"])
def test_a_run_does_not_like_to_be_disturbed(name: str) -> None:
    address = {
        "weights": FIRST.weight_address(0),
        "bias": FIRST.bias_address(0),
        "register": FIRST.layer_register_address(0, "RCNT", 0),
    }[name]
    with pytest.raises(NotModelled, match="while the accelerator runs"):
        started(FIRST).write(address, 4, 0)


def test_data_written_during_a_run_must_be_out_of_its_way() -> None:
    accelerator = started(FIRST)
    accelerator.write(FIRST.data_address(3), 4, 1)  # an instance that the layer does not use
    accelerator.write(FIRST.data_address(0) + 4 * (30 + 1), 4, 1)  # behind the input
    accelerator.finish()
    for word in (29, encoder.OUT_WORD + 7):
        accelerator = started(FIRST)
        accelerator.write(FIRST.data_address(0) + 4 * word, 4, 1)
        with pytest.raises(NotModelled, match="written during a run that uses it"):
            accelerator.finish()


def start_and_finish(accelerator: Accelerator, cnn: Cnn) -> None:
    encoder.start(accelerator, cnn, LAYER)
    accelerator.finish()


@pytest.mark.parametrize(
    ("cnn", "name", "value", "reason"),
    [
        (FIRST, "LCTL", 0x20920, "does not know what bits 0x00020000"),
        (FIRST, "LCTL", 0x900, "are set in all known programs"),
        (FIRST, "POST", 1 << 30, r"POST\[30\]"),
        (FIRST, "POST", 1 << 29, "four outputs at a time"),
        (FIRST, "ENA", 0xF0007, "enables do not fit"),
        (FIRST, "RPTR", 0x2000, "beyond the instance"),
        (FIRST, "PRCNT", 1, r"LCTL\[7\]"),
        (FIRST, "TPTR", 9, "a line of 10 pixels"),
        (FIRST, "MOFFS", 0x4000, "one instance apart"),
        (FIRST, "ONED", 1 << 14, r"ONED\[13\]"),
        (FIRST, "WPTR", 15 << 13, "beyond the memory"),
        (FIRST, "WPTR", 8191, "beyond the memory"),
        (FIRST, "WPTR", 16 << 13, "instance 16 of 16"),
        (FIRST, "MCNT", 760 * 8 << 16 | 768 * 8 + 24, "beyond the weight memory"),
        (SECOND, "RCNT", 0x28005, "step to the next row"),
        (SECOND, "LCTL", 0x4880920, "LCTL.17. does not turn it on"),
        (SECOND, "OCHAN", 3, "OCHAN's count"),
        (SECOND, "NXT", 0x3, "without the link bit"),
    ],
)
def test_registers_that_contradict_or_are_not_known(cnn: Cnn, name: str, value: int, reason: str) -> None:
    accelerator = Accelerator(cnn)
    encoder.configure(accelerator, cnn, LAYER)
    address = cnn.layer_register_address(0, name, 0)
    accelerator.write(address, 4, value)
    with pytest.raises(NotModelled, match=reason):
        start_and_finish(accelerator, cnn)


@pytest.mark.parametrize(("bit", "reason"), [(22, "FIFO input only"), (31, "fast FIFO")])
def test_modes_that_are_not_modelled(bit: int, reason: str) -> None:
    with pytest.raises(NotModelled, match=rf"CTL\[{bit}\].*{reason}"):
        started(SECOND, mode=1 << bit)


def test_a_layer_that_overwrites_its_input() -> None:
    """3x3, pad 1, five columns: output pixel n is ready after input n + 6, n + 5 at the end of a row."""
    for word, fits in ((0, True), (5, True), (6, False), (29, False)):
        accelerator = Accelerator(FIRST)
        encoder.configure(accelerator, FIRST, LAYER)
        accelerator.write(FIRST.layer_register_address(0, "WPTR", 0), 4, word)
        encoder.start(accelerator, FIRST, LAYER)
        if fits:
            accelerator.finish()
        else:
            with pytest.raises(NotModelled, match="before it is read"):
                accelerator.finish()


def test_undescribed_registers_must_stay_zero() -> None:
    accelerator = Accelerator(SECOND)
    encoder.configure(accelerator, SECOND, LAYER)
    unknown = SECOND.quadrant_base(0) + 0x108100
    accelerator.write(unknown, 4, 0)
    encoder.start(accelerator, SECOND, LAYER)
    accelerator.finish()
    accelerator.write(SECOND.register_address(0, "CTL"), 4, 8)
    accelerator.write(unknown, 4, 1)
    with pytest.raises(NotModelled, match="register at offset 0x108100 in quadrant 0"):
        encoder.start(accelerator, SECOND, LAYER)


def test_the_second_generation_adds_no_bias_after_an_elementwise_step() -> None:
    layer = Layer(4, 6, 5, 4, operands=2, eltwise="add", bias=True)
    for cnn, fits in ((FIRST, True), (SECOND, False)):
        accelerator = Accelerator(cnn)
        encoder.configure(accelerator, cnn, layer)
        if fits:
            encoder.start(accelerator, cnn, layer)
            assert accelerator.running
        else:
            with pytest.raises(NotModelled, match="no bias after an element-wise step"):
                encoder.start(accelerator, cnn, layer)


def test_quadrants_must_agree() -> None:
    layer = Layer(20, 6, 5, 4)
    for name, value, reason in (("RCNT", 6, "differs from the master"), ("ENA", 0, None)):
        accelerator = Accelerator(FIRST)
        encoder.configure(accelerator, FIRST, layer)
        accelerator.write(FIRST.layer_register_address(1, name, 0), 4, value)
        if reason is None:
            encoder.start(accelerator, FIRST, layer)
            assert accelerator.running
        else:
            with pytest.raises(NotModelled, match=reason):
                encoder.start(accelerator, FIRST, layer)
