"""The native generator: registers, layouts and sequences against the worked examples of docs/accelerator.md.

Those examples were taken from the vendor tool's output; whole networks are compared in test_conformance.
"""

from __future__ import annotations

import numpy as np
import pytest

from synergyc.ir.network import LayerOp, Tensor
from synergyc.ir.types import Activation
from synergyc.synth.native import ControlOptions, generate
from synergyc.synth.native.layouts import layout_of
from synergyc.synth.placed import BiasPlace, PlacedLayer, PlacedNetwork, PlacedTensor
from synergyc.synth.placement import place
from synergyc.synth.program import Program, WaitBits, Write
from synergyc.targets import load_chip
from tests.synth.networks import Spec, network
from tests.synth.states import accesses, final_state

EXPECTED = {
    # Section 5.4: 3x4x5 input, 3x3, pad 1, 4 outputs, ReLU, bias, output at 0x4000.
    "max78000": {
        "RCNT": 0x10005, "CCNT": 0x10006, "WPTR": 0x1000, "MOFFS": 0x2000, "LCTL": 0xB20, "LCTL2": 0x1800,
        "MCNT": 0x18, "TPTR": 4, "POST": 0x1000, "ENA": 0x70007,
    },
    "max78002": {
        "RCNT": 0x18003, "CCNT": 0x18004, "STRIDE": 0x10, "WPTR": 0x1000, "MOFFS": 0x8000, "LCTL": 0x880B20,
        "LCTL2": 0x18000, "MCNT1": 0x18, "OCHAN": 3, "TPTR": 4, "POST": 0x1000, "ENA": 0x70007,
    },
}  # fmt: skip


def worked_example(chip_name: str, control: ControlOptions | None = None) -> Program:
    layer = network((3, 4, 5), [Spec(4, activation=Activation.RELU)]).layers[0]
    placed = PlacedLayer(layer, 0, 0x7, 0xF, 0, 0x4000, bias=(BiasPlace(0, 0),))
    source = PlacedTensor(Tensor("input", (3, 4, 5), 7), 0x7, 0, 1, 1)
    target = PlacedTensor(layer.output, 0xF, 0x4000, 1, 1)
    whole = PlacedNetwork("example", chip_name, (placed,), (source,), (target,), (0,))
    return generate(whole, load_chip(chip_name), control or ControlOptions())


@pytest.mark.parametrize("chip_name", EXPECTED)
def test_registers_of_the_worked_example(chip_name: str) -> None:
    cnn = load_chip(chip_name).cnn
    state = final_state(accesses(worked_example(chip_name).configure))
    assert state == {
        cnn.layer_register_address(0, name, 0): value for name, value in EXPECTED[chip_name].items()
    }


@pytest.mark.parametrize("chip_name", EXPECTED)
def test_zero_registers_are_written_on_request(chip_name: str) -> None:
    plain = final_state(accesses(worked_example(chip_name).configure))
    full = final_state(
        accesses(worked_example(chip_name, ControlOptions(write_zero_registers=True)).configure)
    )
    assert {address: value for address, value in full.items() if value} == plain
    cnn = load_chip(chip_name).cnn
    for name in ("PRCNT", "PCCNT", "STRIDE", "TOFFS", "CHOFFS", "RPTR", "ONED"):
        assert cnn.layer_register_address(0, name, 0) in full


def test_layer_count_of_a_single_layer_is_written_on_request() -> None:
    address = load_chip("max78000").cnn.register_address(0, "LCNT")
    assert address not in final_state(accesses(worked_example("max78000").init))
    full = worked_example("max78000", ControlOptions(write_zero_registers=True))
    assert final_state(accesses(full.init))[address] == 0


def test_start_of_one_quadrant() -> None:
    # Section 5.6, step 7.
    values = [step.words[0] for step in worked_example("max78000").start if isinstance(step, Write)]
    assert values == [0x00100808, 0x00100009]


def test_the_second_generation_waits_until_its_registers_are_cleared() -> None:
    waits = [step for step in worked_example("max78002").init if isinstance(step, WaitBits)]
    assert waits == [WaitBits(0x5100000C, 1 << 25, 1 << 25, "cleared")]


def test_interrupt_handler_clears_done_and_run() -> None:
    assert worked_example("max78000").done == ((0x50100000, 0x1001),)


def addresses(placed: PlacedTensor, chip_name: str) -> list[int]:
    """Return the byte address of every value of the tensor."""
    layout = layout_of(placed, load_chip(chip_name).cnn)
    words = np.concatenate([region.address + 4 * np.arange(region.words) for region in layout.regions])
    elements = np.array(layout.elements)
    return (words[elements // 4] + elements % 4).tolist()  # type: ignore[no-any-return]


def test_hwc_layout_of_two_passes() -> None:
    # Section 3.1: 70 channels, 36 processors.
    placed = PlacedTensor(Tensor("t", (70, 1, 2), 7), (1 << 36) - 1, 0, 2, 1)
    found = np.array(addresses(placed, "max78000")).reshape(70, 2)
    assert found[0].tolist() == [0x50400000, 0x50400008]
    assert found[36].tolist() == [0x50400004, 0x5040000C]
    assert found[20, 0] == 0x50808000
    assert np.array(addresses(placed, "max78002")).reshape(70, 2)[20, 0] == 0x52820000


def test_chw_layout() -> None:
    # Section 3.2: 3 channels of 2x5 pixels, processors 0, 4, 8.
    placed = PlacedTensor(Tensor("t", (3, 2, 5), 7), 0x111, 0, 1, 1, big=True)
    layout = layout_of(placed, load_chip("max78000").cnn)
    assert [(region.address, region.words) for region in layout.regions] == [
        (0x50400000, 3),
        (0x50408000, 3),
        (0x50410000, 3),
    ]
    assert addresses(placed, "max78002")[10:12] == [0x51820000, 0x51820001]


def test_wide_layout() -> None:
    # Section 3.3: 6 outputs of 32 bits, 2 pixels, offset 0x1000.
    placed = PlacedTensor(Tensor("t", (6, 1, 2), 7, 32), 0x3F, 0x1000, 4, 4)
    found = np.array(addresses(placed, "max78000")).reshape(6, 2)
    assert found[0].tolist() == [0x50401000, 0x50401010]
    assert found[3, 0] == 0x5040100C
    assert found[4].tolist() == [0x50409000, 0x50409010]


def test_layout_masks_the_lanes_without_a_channel() -> None:
    placed = PlacedTensor(Tensor("t", (6, 1, 2), 7), 0x3F, 0x1000, 1, 1)
    masks = [region.mask for region in layout_of(placed, load_chip("max78000").cnn).regions]
    assert masks == [0xFFFFFFFF, 0x0000FFFF]


def test_program_prints_every_phase() -> None:
    text = str(generate(place(network((3, 8, 8), [Spec(4)]), load_chip("max78000")), load_chip("max78000")))
    for word in ("init:", "weights:", "bias:", "configure:", "start:", "input", "output", "conv2d 3x3"):
        assert word in text


def test_linear_layers_flatten() -> None:
    program = generate(
        place(
            network((4, 4, 4), [Spec(10, LayerOp.LINEAR, kernel=1, pad=0, flatten=True)]),
            load_chip("max78000"),
        ),
        load_chip("max78000"),
    )
    cnn = load_chip("max78000").cnn
    state = final_state(accesses(program.configure))
    # F = 4 * 4 - 1 = 15 is below 16: the layer runs as 16 passes of a 1x1 convolution (section 5.5).
    assert state[cnn.layer_register_address(0, "LCTL2", 0)] & 0xF == 15
    assert cnn.layer_register_address(0, "TPTR", 0) not in state
