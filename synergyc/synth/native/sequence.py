"""Initialization and start of the accelerator (sections 5.1 and 5.6)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from synergyc.synth.native.control import SNOOP_REGISTERS, ControlOptions
from synergyc.synth.placed import PlacedNetwork
from synergyc.synth.program import FifoPort, Step, WaitBits, Write
from synergyc.targets import Cnn

_RUN = 1
_READY_SHIFT = 1
_CLOCK = 1 << 3
_EXTERNAL_READY = 1 << 4
_NO_PIPELINE = 1 << 5
_CHW_STREAMING = 1 << 6
_ONE_SHOT = 1 << 8
_MASTER_SHIFT = 9
_FOLLOW = 1 << 11
_DONE = 1 << 12
_AVERAGE_ROUNDING = 1 << 13
_STREAMING = 1 << 14
_FIFO = 1 << 15
_FIFO_STREAMING = 1 << 19
_EXPRESS = 1 << 20
_ONE_BIT_XOR = 1 << 21
_BINARY = 1 << 30
_SNOOP = 1 << 7

_LOOP_LINK, _LOOP_ADDRESS, _LOOP_COUNT = 0x80, 0x200000, 0x84D0
_LOOP_CONTROL, _LOOP_CONTROL_2 = 0x8A412014, 0x4000
"""What the vendor tool writes for --snoop-loop; the fields are not documented."""

_SRAM_CONTROL = 0x40E
"""Constant that the vendor tool writes; its fields are not documented (section 5.1)."""
_CLEAR_REGISTERS, _CLEAR_REGISTERS_AND_BIAS, _CLEARED = 0x1880, 0x1C80, 1 << 25
_AON_POWER_DOWN_SHIFT = 12
_FIFO_THRESHOLDS = 2 << 2 | 2 << 7
_FIFO_COMPLETE = 1 << 11
_FIFO_STATUS, _FIFO_DATA = 4, 8
"""Offsets of the register of full FIFOs and of the first data register."""
_FIFO_ENABLE_SHIFT = 12


@dataclass(frozen=True)
class _SelfTest:
    """A memory's self test, which leaves it cleared: start value, bits to wait for, error bit."""

    name: str
    start: int
    wait: int
    error: int


_SELF_TESTS = {
    "ai85": (
        _SelfTest("data memory", 1 << 0, 1 << 27 | 1 << 18, 1 << 14),
        _SelfTest("weight memory", 1 << 2, 1 << 27 | 1 << 19, 1 << 15),
        _SelfTest("line buffers", 1 << 4, 1 << 27 | 1 << 20, 1 << 16),
        _SelfTest("bias memory", 1 << 6, 1 << 27 | 1 << 21, 1 << 17),
    ),
    "ai87": (
        _SelfTest("data memory", 0x1001, 1 << 18, 1 << 14),
        _SelfTest("weight memory", 0x2004, 1 << 19, 1 << 15),
        _SelfTest("line buffers", 0x3010, 1 << 20, 1 << 16),
        _SelfTest("bias memory", 0x1C40, 1 << 21, 1 << 17),
    ),
}


def init_steps(placed: PlacedNetwork, cnn: Cnn, control: ControlOptions) -> tuple[Step, ...]:
    """Return the steps before weights are loaded."""
    steps = list(_init(placed, cnn, control, clears=cnn.generation == "ai87"))
    if control.clear_memories:
        steps += _clear_memories(cnn)
    return tuple(steps)


def _init(placed: PlacedNetwork, cnn: Cnn, control: ControlOptions, *, clears: bool) -> Iterator[Step]:
    aon = Write(cnn.addresses.aon, (control.ready_select_aon,), "AON control")
    base = _CLOCK | control.ready_select << _READY_SHIFT | _pipeline(cnn, control)
    if clears:
        yield from (_quadrant(cnn, q, "CTL", base, "enable clocks") for q in placed.quadrants)
        yield aon
        yield from _clear_registers(placed, cnn)
    else:
        yield aon
    base |= (_EXPRESS if control.express else 0) | (_FIFO if placed.fifo else 0)
    # Of a single layer the tool runs the first copy only, whatever their number.
    copies = (control.repeat - 1) * (placed.layers[-1].hardware_layer + 1) if placed.last_layer else 0
    last = copies + placed.last_layer | placed.first_layer << 8
    for quadrant in placed.quadrants:
        if control.clear_line_buffers:
            yield from _clear_line_buffers(cnn, quadrant)
        yield _quadrant(cnn, quadrant, "CTL", base, "stop")
        if not clears:
            yield _quadrant(cnn, quadrant, "SRAM", _SRAM_CONTROL, "SRAM control")
        if last or control.write_zero_registers:
            yield _quadrant(cnn, quadrant, "LCNT", last, "layer count")


def _clear_registers(placed: PlacedNetwork, cnn: Cnn) -> Iterator[Step]:
    biased = any(layer.layer.bias is not None for layer in placed)
    clear = _CLEAR_REGISTERS_AND_BIAS if biased else _CLEAR_REGISTERS
    for quadrant in placed.quadrants:
        yield _quadrant(cnn, quadrant, "SRAM", _SRAM_CONTROL, "SRAM control")
    for quadrant in placed.quadrants:
        yield _quadrant(cnn, quadrant, "TEST", clear, "clear registers")
    for quadrant in placed.quadrants:
        yield WaitBits(cnn.register_address(quadrant, "TEST"), _CLEARED, _CLEARED, "cleared")
    for quadrant in placed.quadrants:
        yield _quadrant(cnn, quadrant, "TEST", 0, "end of clearing")


def _clear_line_buffers(cnn: Cnn, quadrant: int) -> Iterator[Step]:
    """Clear as much of the line buffers as the vendor tool does: it counts their words as bytes."""
    tram = cnn.addresses.tram
    for index in range(cnn.processors_per_quadrant):
        address = cnn.quadrant_base(quadrant) + tram.offset + index * tram.stride
        yield Write(address, (0,) * (cnn.tram_words // 4), f"line buffer {index}")


def _clear_memories(cnn: Cnn) -> Iterator[Step]:
    """Clear all quadrants, also those that are not in use."""
    quadrants = range(cnn.quadrants)
    for test in _SELF_TESTS[cnn.generation]:
        yield from (_quadrant(cnn, q, "TEST", test.start, f"clear {test.name}") for q in quadrants)
        for quadrant in quadrants:
            address = cnn.register_address(quadrant, "TEST")
            yield WaitBits(address, test.wait, test.wait, f"{test.name} cleared")
        for quadrant in quadrants:
            yield WaitBits(cnn.register_address(quadrant, "TEST"), test.error, 0, f"{test.name} is sound")
        yield from (_quadrant(cnn, q, "TEST", 0, "end of clearing") for q in quadrants)


def fifo_steps(placed: PlacedNetwork, cnn: Cnn, control: ControlOptions) -> tuple[Step, ...]:
    """Return the set-up of the FIFOs: FIFO i feeds quadrant i (section 5.1)."""
    if not placed.fifo:
        return ()
    first = placed.layers[0]
    size = cnn.processors_per_quadrant
    value = _FIFO_THRESHOLDS | control.ready_select_fifo
    value |= _FIFO_COMPLETE if cnn.generation == "ai85" else 0
    for quadrant in range(min(cnn.quadrants, first.layer.in_shape[0])):
        value |= (first.processors >> quadrant * size & 1) << _FIFO_ENABLE_SHIFT + quadrant
    return (Write(cnn.addresses.fifo, (value,), "FIFO control"),)


def snoop_steps(placed: PlacedNetwork, cnn: Cnn, control: ControlOptions) -> Iterator[Step]:
    """Yield the set-up of the snoop units, which choose the next layer by what they see on the bus."""
    if not placed.snoop:
        return
    for quadrant in placed.quadrants:
        for name, value in zip(SNOOP_REGISTERS, placed.snoop, strict=True):
            if value or control.write_zero_registers:
                yield _quadrant(cnn, quadrant, name, value, name)


def fifo_ports(placed: PlacedNetwork, cnn: Cnn) -> tuple[FifoPort, ...]:
    """Return the FIFOs that the input takes: FIFO i stands for the first data instance of quadrant i."""
    if not placed.fifo:
        return ()
    first = placed.layers[0]
    size = cnn.processors_per_quadrant
    return tuple(
        FifoPort(
            data_address=cnn.addresses.fifo + _FIFO_DATA + 4 * quadrant,
            status_address=cnn.addresses.fifo + _FIFO_STATUS,
            full_mask=1 << quadrant,
            memory_address=cnn.data_address(quadrant * size // cnn.processors_per_instance)
            + first.in_offset_bytes,
        )
        for quadrant in range(cnn.quadrants)
        if first.processors >> quadrant * size & 1
    )


def start_steps(placed: PlacedNetwork, cnn: Cnn, control: ControlOptions) -> tuple[Step, ...]:
    """Return the steps that start a run: all quadrants follow the master, then the master runs."""
    value = _start_value(placed, cnn, control)
    master = placed.quadrants[0]
    steps: list[Step] = []
    if control.snoop_loop:
        value |= _SNOOP
        steps += _loop_steps(placed, cnn, control, value | master << _MASTER_SHIFT)
    for quadrant in placed.quadrants:
        follow = value | master << _MASTER_SHIFT | _FOLLOW | (_RUN if quadrant != master else 0)
        steps.append(_quadrant(cnn, quadrant, "CTL", follow, f"enable quadrant {quadrant}"))
    if control.power_down_unused:
        unused = sum(1 << q for q in range(cnn.quadrants) if q not in placed.quadrants)
        aon = unused << _AON_POWER_DOWN_SHIFT | control.ready_select_aon
        if aon or control.write_zero_registers:
            steps.append(Write(cnn.addresses.aon, (aon,), "AON control"))
    steps.append(_quadrant(cnn, master, "CTL", value | _RUN, "run"))
    return tuple(steps)


def _loop_steps(placed: PlacedNetwork, cnn: Cnn, control: ControlOptions, value: int) -> Iterator[Step]:
    """Yield the set-up of the loop: the first unit waits for the last output, layer 0 follows."""
    last = placed.layers[-1]
    for quadrant in placed.quadrants:
        yield _quadrant(cnn, quadrant, "CTL", value, f"enable quadrant {quadrant}")
    for quadrant in placed.quadrants:
        link = cnn.layer_register_address(quadrant, "NXT", last.hardware_layer)
        yield Write(link, (_LOOP_LINK,), "next layer")
        for name, word in (
            ("SNP1_HIT", 0),
            ("SNP1_A1", _LOOP_ADDRESS | last.out_offset_bytes >> 2),
            ("SNP1_X1", _LOOP_COUNT if control.pipeline else _LOOP_COUNT // 4),
            ("SNP1_C2", _LOOP_CONTROL_2),
            ("SNP1_C1", _LOOP_CONTROL),
            ("SNP1_C1", _LOOP_CONTROL | 1),
        ):
            yield _quadrant(cnn, quadrant, name, word, name)


def _start_value(placed: PlacedNetwork, cnn: Cnn, control: ControlOptions) -> int:
    """Return the control bits that all quadrants share."""
    streaming = any(layer.streaming for layer in placed)
    first = placed.layers[0]
    switches = {
        _EXTERNAL_READY: control.external_ready,
        _CHW_STREAMING: cnn.generation == "ai87" and first.streaming and first.big,
        _ONE_SHOT: control.one_shot,
        _FOLLOW | _FIFO: placed.fifo,
        _AVERAGE_ROUNDING: control.average_rounding,
        _STREAMING: streaming,
        _FIFO_STREAMING: placed.fifo and streaming,
        _EXPRESS: control.express,
        _ONE_BIT_XOR: control.one_bit_xor,
        _BINARY: any(layer.binary for layer in placed),
        _SNOOP: bool(placed.snoop),
    }
    value = _CLOCK | _pipeline(cnn, control)
    if cnn.generation == "ai85" or not control.pipeline:
        value |= control.ready_select << _READY_SHIFT  # with the pipeline there are no wait states
    for bits, on in switches.items():
        value |= bits if on else 0
    return value


def done_bits(placed: PlacedNetwork, cnn: Cnn) -> tuple[tuple[int, int], ...]:
    """Return the control registers and the bits that the interrupt handler clears in them."""
    bits = _DONE | _RUN | (_STREAMING if any(layer.streaming for layer in placed) else 0)
    return tuple((cnn.register_address(quadrant, "CTL"), bits) for quadrant in placed.quadrants)


def _pipeline(cnn: Cnn, control: ControlOptions) -> int:
    has_one = cnn.generation == "ai87"
    return _NO_PIPELINE if has_one and not (cnn.timing.pipeline and control.pipeline) else 0


def _quadrant(cnn: Cnn, quadrant: int, register: str, value: int, comment: str) -> Write:
    return Write(cnn.register_address(quadrant, register), (value,), comment)
