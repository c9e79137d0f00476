"""Accesses, power, start and done as software sees them; rules from docs/accelerator.md, 1, 4.2 and 5."""

from __future__ import annotations

import numpy as np
import pytest

from synergyc.emulate.accelerator import Accelerator, BusError, NotModelled
from synergyc.targets import Cnn, load_chip
from tests.emulate.accelerator import encoder
from tests.emulate.accelerator.encoder import Layer

CHIPS = ["max78000", "max78002"]
LAYER = Layer(4, 6, 5, 8, pad=(1, 1))
FIRST = load_chip("max78000").cnn
SECOND = load_chip("max78002").cnn


def powered(cnn: Cnn) -> Accelerator:
    accelerator = Accelerator(cnn)
    accelerator.set_power(0xF)
    return accelerator


def started(cnn: Cnn, layer: Layer = LAYER, mode: int = 0) -> Accelerator:
    accelerator = Accelerator(cnn)
    encoder.configure(accelerator, cnn, layer)
    encoder.start(accelerator, cnn, layer, mode)
    return accelerator


def irq(accelerator: Accelerator) -> bool:
    return accelerator.irq


def state(accelerator: Accelerator) -> tuple[bool, bool]:
    return accelerator.running, accelerator.paused


@pytest.mark.parametrize("chip", CHIPS)
def test_memories_keep_what_is_written(chip: str) -> None:
    cnn = load_chip(chip).cnn
    accelerator = powered(cnn)
    tram = cnn.quadrant_base(3) + cnn.addresses.tram.offset + 15 * cnn.addresses.tram.stride
    places = {
        cnn.data_address(15) + cnn.instance_bytes - 4: (0x89ABCDEF, 0x89ABCDEF),
        cnn.bias_address(3) + 4 * (cnn.bias_bytes - 1): (0x1FF, 0xFF),
        tram + 4 * (cnn.tram_words - 1): (0x12345, 0x2345),
        cnn.layer_register_address(3, "RCNT", cnn.limits.layers - 1): (0x10021, 0x10021),
        cnn.register_address(2, "LCNT"): (7, 7),
        cnn.addresses.aon: (1, 1),
        cnn.addresses.fifo: (0x1908, 0x1908),
    }
    for address, (value, _) in places.items():
        assert accelerator.read(address, 4) == 0
        accelerator.write(address, 4, value)
    assert {a: accelerator.read(a, 4) for a in places} == {a: kept for a, (_, kept) in places.items()}


@pytest.mark.parametrize("chip", CHIPS)
def test_all_addresses_are_in_the_ranges(chip: str) -> None:
    cnn = load_chip(chip).cnn
    ranges = Accelerator(cnn).ranges()
    last = cnn.data_address(15) + cnn.instance_bytes - 4
    for address in (cnn.addresses.fifo + 20, cnn.addresses.aon, cnn.addresses.fast_fifo, last):
        assert any(base <= address < base + size for base, size in ranges)


@pytest.mark.parametrize(("size", "offset"), [(2, 0), (4, 2), (8, 0), (1, 0)])
def test_only_aligned_words(size: int, offset: int) -> None:
    accelerator, address = powered(FIRST), FIRST.data_address(0) + offset
    with pytest.raises(BusError, match=r"aligned 32-bit|express weight address"):
        accelerator.write(address, size, 0)
    with pytest.raises(BusError, match="aligned 32-bit"):
        accelerator.read(address, size)


@pytest.mark.parametrize(
    "address",
    [
        SECOND.data_address(0) + 0x14000,  # a hole: instances are 80 KiB in windows of 128 KiB
        SECOND.bias_address(0) + 4 * 2048,
        SECOND.quadrant_base(0) + SECOND.addresses.tram.offset + 4 * 12288,
        SECOND.quadrant_base(3) + SECOND.addresses.quadrant.stride,
        0x4FFFFFFC,
    ],
)
def test_nothing_answers_between_the_blocks(address: int) -> None:
    accelerator = powered(SECOND)
    with pytest.raises(BusError, match="nothing is mapped"):
        accelerator.read(address, 4)
    with pytest.raises(BusError, match="nothing is mapped"):
        accelerator.write(address, 4, 0)


@pytest.mark.parametrize(("processor", "slots"), [(0, 5120), (1, 4096), (16, 5120), (63, 4096)])
def test_weight_memories_end_where_they_end(processor: int, slots: int) -> None:
    accelerator, window = powered(SECOND), SECOND.weight_address(processor)
    accelerator.write(window + 16 * (slots - 1), 4, 1)
    with pytest.raises(BusError, match="no weight slot"):
        accelerator.write(window + 16 * slots, 4, 1)


def test_power() -> None:
    accelerator = Accelerator(FIRST)
    address = FIRST.data_address(4)
    with pytest.raises(BusError, match="without power"):
        accelerator.read(address, 4)
    with pytest.raises(BusError, match="without power"):
        accelerator.read(FIRST.addresses.aon, 4)
    accelerator.set_power(0b0010)
    accelerator.write(address, 4, 5)
    with pytest.raises(BusError, match="without power"):
        accelerator.read(FIRST.data_address(3), 4)
    accelerator.set_power(0b0011)
    assert accelerator.read(address, 4) == 5
    accelerator.write(FIRST.addresses.aon, 4, 1 << 13)
    with pytest.raises(BusError, match="without power"):
        accelerator.read(address, 4)
    accelerator.set_power(0)
    accelerator.set_power(0b0011)
    assert accelerator.read(address, 4) == 0


def test_power_off_ends_a_run() -> None:
    accelerator = started(FIRST)
    accelerator.finish()
    encoder.configure(accelerator, FIRST, LAYER)
    encoder.start(accelerator, FIRST, LAYER)
    accelerator.set_power(0)
    assert (accelerator.running, accelerator.irq, accelerator.cycles_to_done()) == (False, False, None)


def test_express_words_fill_slots() -> None:
    """The example of docs/accelerator.md, 4.2: two slots in five words, three bytes of padding."""
    accelerator = powered(FIRST)
    accelerator.write(0x50100000, 4, 0x00100008)
    accelerator.write(0x50180001, 1, 1)
    for word in (0x01020304, 0x05060708, 0x09111213, 0x14151617, 0x18190000):
        accelerator.write(0x50180000, 4, word)
    assert [accelerator.read(0x50180000 + 4 * i, 4) for i in range(12)] == [
        *(0x01, 0x02030405, 0x06070809, 0),
        *(0x11, 0x12131415, 0x16171819, 0),
        *(0, 0, 0, 0),
    ]


def test_plain_words_fill_slots() -> None:
    """The fourth word of a slot stores it (docs/accelerator.md, 4.2)."""
    accelerator = powered(FIRST)
    for i, word in enumerate((0x01, 0x02030405, 0x06070809)):
        accelerator.write(0x50184020 + 4 * i, 4, word)
    assert accelerator.read(0x50184024, 4) == 0
    accelerator.write(0x5018402C, 4, 0)
    assert [accelerator.read(0x50184020 + 4 * i, 4) for i in range(4)] == [1, 0x02030405, 0x06070809, 0]


def test_slots_that_change_are_noted() -> None:
    accelerator = powered(FIRST)
    for value in (1, 1, 2):
        for part, word in enumerate((value, 0, 0, 0)):
            accelerator.write(0x50184020 + 4 * part, 4, word)
        assert accelerator.overwritten_weights == (((1, 2),) if value == 2 else ())
    accelerator.set_power(0)
    accelerator.set_power(1)
    assert accelerator.overwritten_weights == ()


def test_express_needs_its_mode_and_an_address() -> None:
    accelerator = powered(FIRST)
    with pytest.raises(BusError, match="does not select express"):
        accelerator.write(0x50180001, 1, 1)
    accelerator.write(0x50100000, 4, 0x00100008)
    with pytest.raises(BusError, match="without an address"):
        accelerator.write(0x50180000, 4, 1)


@pytest.mark.parametrize(
    ("cnn", "command", "done"),
    [
        (FIRST, 0x01, 1 << 27 | 1 << 18),
        (FIRST, 0x40, 1 << 27 | 1 << 21),
        (SECOND, 0x1880, 1 << 25),
        (SECOND, 0x1C80, 1 << 25),
        (SECOND, 0x1001, 1 << 18),
        (SECOND, 0x1C40, 1 << 21),
    ],
)
def test_self_tests_finish(cnn: Cnn, command: int, done: int) -> None:
    accelerator, address = powered(cnn), cnn.register_address(1, "TEST")
    accelerator.write(address, 4, command)
    assert accelerator.read(address, 4) & done == done
    assert accelerator.read(address, 4) & 0xF << 14 == 0
    accelerator.write(address, 4, 0)
    assert accelerator.read(address, 4) == 0


@pytest.mark.parametrize(("cnn", "command", "done"), [(FIRST, 1, 0x08040000), (SECOND, 0x1001, 0x00040000)])
def test_self_test_of_a_quadrant_without_power(cnn: Cnn, command: int, done: int) -> None:
    """The vendor tool's programs with ``--zero-sram`` wait for all quadrants, also those they do not use."""
    accelerator = Accelerator(cnn)
    address = cnn.register_address(2, "TEST")
    with pytest.raises(BusError, match="without power"):
        accelerator.write(address, 4, command)
    accelerator.set_power(0b0011)
    accelerator.write(address, 4, command)
    assert accelerator.read(address, 4) & done == done
    for other in (cnn.register_address(2, "CTL"), cnn.data_address(8)):
        with pytest.raises(BusError, match="without power"):
            accelerator.read(other, 4)


def test_what_self_tests_clear() -> None:
    accelerator = powered(SECOND)
    test = SECOND.register_address(0, "TEST")
    places = {
        "layers": (SECOND.layer_register_address(0, "RCNT", 5), 0x1880),
        "bias": (SECOND.bias_address(0), 0x1C80),
        "data": (SECOND.data_address(1), 0x1001),
        "line": (SECOND.quadrant_base(0) + SECOND.addresses.tram.offset, 0x3010),
    }
    for address, _ in places.values():
        accelerator.write(address, 4, 3)
    for i in range(4):
        accelerator.write(SECOND.weight_address(2) + 4 * i, 4, 3)
    for address, command in places.values():
        assert accelerator.read(address, 4) == 3
        accelerator.write(test, 4, command)
        assert accelerator.read(address, 4) == 0
    accelerator.write(test, 4, 0x2004)
    assert accelerator.read(SECOND.weight_address(2), 4) == 0
    with pytest.raises(NotModelled, match="TEST in quadrant 0"):
        accelerator.write(test, 4, 0x1234)


def test_the_interrupt_lasts_until_the_master_is_acknowledged() -> None:
    layer = Layer(20, 6, 5, 8, pad=(1, 1))
    accelerator = started(FIRST, layer)
    master, other = FIRST.register_address(0, "CTL"), FIRST.register_address(1, "CTL")
    assert not irq(accelerator)
    accelerator.finish()
    assert not accelerator.running
    assert irq(accelerator)
    assert accelerator.read(master, 4) & 1 << 12
    assert accelerator.read(other, 4) & 1 << 12
    accelerator.write(other, 4, accelerator.read(other, 4) & ~0x1001)
    assert irq(accelerator)
    accelerator.write(master, 4, accelerator.read(master, 4) & ~0x1001)
    assert not irq(accelerator)
    accelerator.write(master, 4, 0x1008)  # software cannot set the done bit
    assert accelerator.read(master, 4) == 8
    assert not irq(accelerator)


def test_results_appear_when_the_run_is_over() -> None:
    accelerator = Accelerator(FIRST)
    layer = Layer(4, 2, 2)
    encoder.configure(accelerator, FIRST, layer)
    encoder.load_data(accelerator, FIRST, layer, np.full((1, 4, 2, 2), 5))
    target = FIRST.data_address(0) + 4 * encoder.OUT_WORD
    accelerator.write(target, 4, 77)
    encoder.start(accelerator, FIRST, layer)
    assert accelerator.read(target, 4) == 77
    accelerator.finish()
    assert accelerator.read(target, 4) == 0x05050505


def test_nothing_is_done_without_a_start() -> None:
    accelerator = powered(FIRST)
    assert accelerator.cycles_to_done() is None
    with pytest.raises(ValueError, match="before the accelerator has started"):
        accelerator.finish()


def test_a_stopped_run_cannot_go_on() -> None:
    accelerator = started(FIRST)
    accelerator.write(FIRST.register_address(0, "CTL"), 4, 8)
    assert not accelerator.running
    with pytest.raises(NotModelled, match="stopped half-way"):
        encoder.start(accelerator, FIRST, LAYER)


def test_a_held_run_goes_on() -> None:
    """docs/accelerator.md, 5.6: what ``cnn_stop`` and ``cnn_continue`` of generated programs write."""
    accelerator, control = started(FIRST), FIRST.register_address(0, "CTL")
    cycles = accelerator.cycles_to_done()
    accelerator.write(control, 4, accelerator.read(control, 4) & ~1)
    assert state(accelerator) == (False, True)
    assert accelerator.cycles_to_done() is None
    accelerator.write(control, 4, accelerator.read(control, 4) | 1)
    assert state(accelerator) == (True, False)
    assert accelerator.cycles_to_done() == cycles
    accelerator.finish()
    assert accelerator.irq
    assert len(accelerator.layers) == 1


@pytest.mark.parametrize("other", ["LCNT", "SRAM", "CTL"])
def test_a_held_run_ends_when_software_does_something_else(other: str) -> None:
    accelerator, control = started(FIRST), FIRST.register_address(0, "CTL")
    running = accelerator.read(control, 4)
    accelerator.write(control, 4, running & ~1)
    address = FIRST.register_address(0, other)
    accelerator.write(address, 4, accelerator.read(address, 4))
    assert not accelerator.paused
    with pytest.raises(NotModelled, match="stopped half-way"):
        accelerator.write(control, 4, running)


def test_data_of_a_held_run_must_not_change() -> None:
    accelerator, control = started(FIRST), FIRST.register_address(0, "CTL")
    running = accelerator.read(control, 4)
    accelerator.write(control, 4, running & ~1)
    accelerator.write(FIRST.data_address(0), 4, 1)
    accelerator.write(control, 4, running)
    with pytest.raises(NotModelled, match="during a run that uses it"):
        accelerator.finish()


def test_one_shot_stops_after_each_layer() -> None:
    accelerator = Accelerator(SECOND)
    layer = Layer(4, 2, 2)
    encoder.configure(accelerator, SECOND, layer)
    registers = encoder.registers(SECOND, layer, 0)
    registers |= {"RPTR": encoder.OUT_WORD, "WPTR": encoder.OUT_WORD + 4}
    for name, value in registers.items():
        accelerator.write(SECOND.layer_register_address(0, name, 1), 4, value)
    control = SECOND.register_address(0, "CTL")
    accelerator.write(SECOND.register_address(0, "LCNT"), 4, 1)
    encoder.load_data(accelerator, SECOND, layer, np.full((1, 4, 2, 2), 9))
    encoder.start(accelerator, SECOND, layer, mode=1 << 8)
    target = SECOND.data_address(0) + 4 * encoder.OUT_WORD
    for number, word in ((0, 0), (1, 0x09090909)):
        assert accelerator.running
        accelerator.finish()
        assert [run.number for run in accelerator.layers] == list(range(number + 1))
        assert accelerator.read(target, 4) == 0x09090909
        assert accelerator.read(target + 16, 4) == word
        assert irq(accelerator)
        accelerator.write(control, 4, accelerator.read(control, 4) & ~(1 << 12))
        assert not irq(accelerator)
        if number == 0:
            accelerator.write(control, 4, accelerator.read(control, 4) | 1)


def test_the_byte_gatherer() -> None:
    """docs/accelerator.md, 5.8: one byte of four words in a row; the first read only primes."""
    accelerator = powered(FIRST)
    data = FIRST.data_address(5)
    for i in range(8):
        accelerator.write(data + 16 + 4 * i, 4, 0x03020100 + 0x10101010 * i)
    accelerator.write(FIRST.layer_register_address(1, "WPTR", 0), 4, 5 << 13 | 4)
    control, port = FIRST.register_address(1, "CTL"), FIRST.register_address(1, "MLAT")
    with pytest.raises(BusError, match="gatherer is off"):
        accelerator.read(port, 4)
    accelerator.write(control, 4, 0x10008 | 2 << 17)
    assert [accelerator.read(port, 4) for _ in range(3)][1:] == [0x32221202, 0x72625242]
    accelerator.write(control, 4, 0x8)
    with pytest.raises(BusError, match="gatherer is off"):
        accelerator.read(port, 4)
