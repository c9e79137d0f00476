"""Chips, boards and link media as data: every limit, address and cost, read from ``targets/``.

The YAML files name the source of each value in a comment beside it. Nothing here knows a chip by name.
"""

from __future__ import annotations

import math
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Annotated, Literal, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError

from synergyc.diagnostics import did_you_mean, fail, file_location


class _Data(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


def _as_tuple(value: object) -> object:
    return tuple(value) if isinstance(value, list) else value


Integers = Annotated[tuple[int, ...], BeforeValidator(_as_tuple)]
Names = Annotated[tuple[str, ...], BeforeValidator(_as_tuple)]
NamedBit = Annotated[tuple[str, int], BeforeValidator(_as_tuple)]


class Memory(_Data):
    """A memory in the CPU's address space."""

    base: int
    size_bytes: int
    page_size_bytes: int = 0
    """Smallest erasable unit; 0 where it does not apply."""


class Peripheral(_Data):
    """A register block. ``kind`` names its programming model; ``irq`` is the NVIC interrupt number."""

    kind: str
    base: int
    size_bytes: int = 0x400
    irq: int | None = None
    clock_bit: NamedBit | None = None
    """Register of the clock controller and bit that gates this block's clock (1 = off)."""
    reset_bit: NamedBit | None = None
    """Register of the clock controller and bit that resets this block."""
    pins: NamedBit | None = None
    """GPIO port, and mask of the pins that carry its signals as their alternate function."""
    pin_function: int = 1
    """Number of that alternate function."""
    dma_transmit: int | None = None
    """Request number by which a DMA channel feeds a UART's transmitter."""


class Clocks(_Data):
    """Clock tree of the CPU, as the firmware sets it."""

    cpu_hz: int
    peripheral_hz: int
    uart_cycles_per_bit: int
    """The fewest cycles of a UART's clock for a bit."""
    oscillators_hz: dict[str, int]


class AddressRange(_Data):
    """A family of equal blocks: block i starts at ``offset + i * stride``."""

    offset: int
    stride: int


class LayerRegisters(_Data):
    """Per-layer registers: register r of layer n at ``offset + r*register_stride + n*layer_stride``."""

    offset: int
    register_stride: int
    layer_stride: int
    numbers: dict[str, int]

    def address(self, name: str, layer: int) -> int:
        """Return the offset inside the quadrant of register ``name`` of hardware layer ``layer``."""
        return self.offset + self.numbers[name] * self.register_stride + layer * self.layer_stride


class CnnAddresses(_Data):
    """Where the accelerator's blocks are: absolute, or offsets inside a quadrant's window."""

    fifo: int
    fast_fifo: int
    aon: int
    quadrant: AddressRange
    quadrant_registers: dict[str, int]
    layer_registers: LayerRegisters
    stream_registers: LayerRegisters
    bias: int
    tram: AddressRange
    weights: AddressRange
    data: AddressRange


class CnnTiming(_Data):
    """Clocks of the accelerator and costs of reaching it over the bus, with their sources in the YAML."""

    load_hz: int
    inference_hz: int
    pipeline: bool
    weight_byte_ns: float
    word_ns: float
    start_overhead_ns: int
    switch_delay_ms: int = 0
    """Time for the accelerator's load switches to settle after power-up."""
    pipeline_cycles_per_output_pixel: float = 0.0
    pipeline_cycles_per_input_pixel: float = 0.0
    infer_error: float
    """Largest relative error of the cycle formula against published inference times."""
    words_measured: bool
    """Whether ``weight_byte_ns`` and ``word_ns`` were measured on this chip."""
    words_error: float | None = None
    """Their largest relative error against published measurements."""
    kernel_offset_reads: bool = False
    """Layers that combine before pooling read the kernels in front of theirs for each padded pixel."""


class CnnEnergy(_Data):
    """Energy above idle, with their sources in the YAML."""

    running_mw: float
    """While the accelerator computes."""
    mac_pj: float
    """For each processor that works, kernel and output pixel, at 8-bit weights."""
    word_nj: float
    """For each 32-bit word that the CPU writes to or reads from the accelerator."""
    idle_mw: float
    """Of the whole chip while nothing runs but the CPU."""


class CnnStreaming(_Data):
    """What layers that stream may ask for: the widths of their register fields."""

    layers: int
    """Leading layers that can stream."""
    start: int
    """Words after which a layer starts, largest value."""
    row_delta: int
    """Words by which a row lags, largest value."""
    buffer_words: int
    """Length of a circular buffer, largest value."""
    passes_before: int
    """Input passes of all layers before, largest sum."""


class CnnLimits(_Data):
    """What one layer or one network may ask for."""

    layers: int
    channels: int
    rows: int
    flatten_pixels: int
    flatten_values: int
    pool_window: int
    pool_stride: int
    eltwise_operands: int
    conv2d_kernels: Integers
    conv1d_max_kernel: int
    padding: int
    conv1d_padded_channels: int
    """Input channels up to which a one-dimensional convolution may pad."""
    pool_only_channels: int
    """Channels up to which a layer without weights may pool to more than one pixel."""
    weight_bits: Integers
    streaming: CnnStreaming


class Cnn(_Data):
    """The CNN accelerator of a chip. ``generation`` selects the register formats (ai85, ai87)."""

    generation: Literal["ai85", "ai87"]
    irq: int
    processors: int
    quadrants: int
    processors_per_instance: int
    weight_slots: int
    large_weight_slots: int
    large_processors: Integers
    bias_bytes: int
    """Bias memory of one quadrant."""
    instance_bytes: int
    """Data memory shared by ``processors_per_instance`` processors."""
    tram_words: int
    limits: CnnLimits
    features: Names
    addresses: CnnAddresses
    timing: CnnTiming
    energy: CnnEnergy

    @property
    def processors_per_quadrant(self) -> int:
        """Processors of one quadrant."""
        return self.processors // self.quadrants

    @property
    def instances(self) -> int:
        """Number of data memory instances."""
        return self.processors // self.processors_per_instance

    @property
    def instance_words(self) -> int:
        """32-bit words of one data memory instance."""
        return self.instance_bytes // 4

    @property
    def instance_bits(self) -> int:
        """Bits of the word in a pointer to data memory; the instance is above them."""
        return (self.instance_words - 1).bit_length()

    def slots(self, processor: int) -> int:
        """Return the number of 9-byte weight slots of ``processor``."""
        return self.large_weight_slots if processor in self.large_processors else self.weight_slots

    def quadrant_base(self, quadrant: int) -> int:
        """Return the address of the registers of ``quadrant``."""
        return self.addresses.quadrant.offset + quadrant * self.addresses.quadrant.stride

    def data_address(self, instance: int) -> int:
        """Return the address of data memory ``instance`` (0..15)."""
        per_quadrant = self.processors_per_quadrant // self.processors_per_instance
        quadrant, index = divmod(instance, per_quadrant)
        data = self.addresses.data
        return self.quadrant_base(quadrant) + data.offset + index * data.stride

    def weight_address(self, processor: int) -> int:
        """Return the address of the weight window of ``processor``."""
        quadrant, index = divmod(processor, self.processors_per_quadrant)
        weights = self.addresses.weights
        return self.quadrant_base(quadrant) + weights.offset + index * weights.stride

    def bias_address(self, quadrant: int) -> int:
        """Return the address of the bias memory of ``quadrant``."""
        return self.quadrant_base(quadrant) + self.addresses.bias

    def register_address(self, quadrant: int, name: str) -> int:
        """Return the address of quadrant register ``name``, such as CTL."""
        return self.quadrant_base(quadrant) + self.addresses.quadrant_registers[name]

    def layer_register_address(self, quadrant: int, name: str, layer: int) -> int:
        """Return the address of per-layer register ``name`` of hardware layer ``layer``."""
        registers = self.addresses.layer_registers
        if name in self.addresses.stream_registers.numbers:
            registers = self.addresses.stream_registers
        return self.quadrant_base(quadrant) + registers.address(name, layer)


class Chip(_Data):
    """A microcontroller."""

    name: str
    part: str
    cpu: str
    interrupts: int
    interrupt_priority_bits: int = 3
    """Implemented bits of an interrupt priority (MSDK: __NVIC_PRIO_BITS)."""
    flash: Memory
    sram: Memory
    clocks: Clocks
    peripherals: dict[str, Peripheral]
    cnn: Cnn

    def uart_clock_hz(self, uart: str) -> int:
        """Return the clock that the divider of ``uart`` divides: low-power UARTs run from IBRO."""
        low_power = self.peripherals[uart].kind == "lpuart"
        return self.clocks.oscillators_hz["ibro"] if low_power else self.clocks.peripheral_hz

    def uart_rate_bd(self, uart: str, wanted_bd: float) -> float:
        """Return the rate of ``uart`` that is nearest to ``wanted_bd``: its divider is a whole number."""
        clock_hz = self.uart_clock_hz(uart)
        return clock_hz / max(round(clock_hz / wanted_bd), self.clocks.uart_cycles_per_bit)


class Board(_Data):
    """A board: a chip and what its pins are wired to."""

    name: str
    title: str
    chip: str
    console_uart: str
    console_rate_bd: int
    link_uarts: Names
    sensors: Names
    actuators: Names
    power_monitor: Annotated[tuple[str, int, int], BeforeValidator(_as_tuple)] | None = None
    """GPIO port and pins that tell the board's power monitor: the system works, the accelerator works."""
    boost_pin: tuple[str, int] | None = None
    """GPIO port and pin that raises the accelerator's supply for large networks."""


class LinkCycles(_Data):
    """CPU cycles that the firmware spends on a link: framing, CRC, interrupts."""

    send_byte: float
    send_frame: float
    """With the peer's answer to it."""
    receive_byte: float
    receive_frame: float
    """With the answer to it."""
    decode_byte: float
    """The part of ``receive_byte`` that begins when the whole frame is there."""
    begin: float
    """Until a tensor's first frame is on the line."""
    begin_byte: float = 0.0
    """For each payload byte of that frame, where they cost more than copying."""
    finish: float
    """From a tensor's last frame until the tensor is in use, without decoding."""


class Seal(_Data):
    """What a secured link adds to each frame: bytes, and CPU cycles at either end."""

    overhead_bytes: int
    """Counter and tag."""
    frame_cycles: float
    """For each frame, whatever its size."""
    byte_cycles: float
    """For each byte of payload."""


class TailCycles(_Data):
    """CPU cycles of one function behind the network, for each position and for each of its steps.

    Steps are values that are read, of moves the axes.
    """

    position: float
    value: float = 0.0


class LoopCycles(_Data):
    """CPU cycles of the firmware's main loop and of what it does, without interrupts."""

    round: float
    """One round of the main loop, beside its tasks."""
    round_task: float
    """For each of its tasks, whether they have ended."""
    infer_look: float
    """A look at the accelerator while it runs; those at other tasks likewise, if there is nothing to do."""
    choose: float
    choose_segment: float
    """A look at the accelerator while it does not run, and for each of its segments."""
    sense_look: float
    interact_look: float
    uart_look: float
    stream_look: float
    """For each hand-off that begins or ends at a UART."""
    word_saving: float
    """What a word of an input or a result takes less than ``word_ns`` says."""
    mask_word: float
    """What a word of a result takes more than one of an input."""
    write_register: float
    """What a register that is written takes more than ``word_ns`` says."""
    region: float
    """Each piece of consecutive words of an input or a result."""
    start: float
    """Starting an inference beside the words of its input, and its registers."""
    done: float
    """The accelerator's interrupt."""
    finish: float
    """Taking a result beside its words."""
    pass_word: float
    """Each word that a segment does not read but a later one does."""
    encode_frame: float
    """Sending a frame of a link, beside its bytes."""
    encode_byte: float
    decode_byte: float
    """While a frame is coming."""
    check_byte: float
    """At its end."""
    frame: float
    """Handling a frame that was decoded."""
    interrupt_byte: float
    """Collecting a received byte."""


class Runtime(_Data):
    """CPU cycles and sizes of the firmware's parts that are not links, with their sources in the YAML."""

    sense_cycles: float
    lowest_sense_hz: float
    """Samples a second that a sensor delivers at least."""
    prepare_value_cycles: float
    """For each value that a driver delivers in the sensor's own shape."""
    prepare_row_cycles: float
    """For each row of such values: what lies along the last axis."""
    normalize_cycles: float
    """Beside that, for each value that is normalized."""
    tail_cycles: dict[str, TailCycles]
    """By the name of the function."""
    infer_cycles: float
    """Start, end and polling of one inference, beside the words that are moved."""
    result_line_cycles: float
    """For a result's line on the console, beside its characters."""
    result_character_cycles: float
    """For each character of a result's line on the console."""
    result_characters: int
    """Characters of a result's line beside the app's name and the values."""
    whole_result_bytes: int
    """Of larger results a digest is written, after the first ``whole_result_runs`` runs."""
    whole_result_runs: int
    digest_characters: int
    queue_tensors: int
    """Tensors that wait between two tasks."""
    console_ring_bytes: int
    """Of the console's UART; see ``Medium.ring_bytes``."""
    console_room_bytes: int
    """Free in the ring before a piece of a result is written."""
    console_piece_characters: int
    """Of a result's line that are written at once."""
    start_characters: int
    """Of the line that says that sensing begins."""
    wake_us: float
    """The main loop of a device that has nothing to do goes round so often."""
    first_wake_us: float
    """From power-up until the timer for that begins."""
    set_runs: int
    """Runs of each segment of a residency set before another set that waits is loaded."""
    load_words: int
    """Words of weights that are loaded at once."""
    flash_reserve_bytes: int
    """Kept free of weights and samples: code, register tables and other read-only data, generously."""
    loop: LoopCycles
    group_bytes: int
    """Received bytes that one interrupt collects."""
    window_frames: int
    """Of a hand-off that may be under way unacknowledged."""
    seal: Seal
    channel_answer_frames: int
    """Frames that one acknowledgement answers on a shared channel, where each costs air time."""
    answer_reserve_frames: int
    """Answers for which data leave room in a UART's ring."""
    answer_wait_frames: int
    """Time-out for an answer: time of so many full frames of each peer, and of a peer that is busy."""
    answer_wait_share: float
    """Part of it for which an answer may wait for more frames."""
    peer_busy_us: float
    call_us: float
    """After this time without a call an end of a secured link that does not call itself wishes for one."""


class Medium(_Data):
    """A kind of link between devices."""

    name: str
    title: str
    peripheral: str
    """Kind of peripheral that drives it."""
    shared: bool
    """One channel for all devices, or a wire for each pair."""
    full_duplex: bool
    default_rate_kbps: float
    lowest_rate_kbps: float
    highest_rate_kbps: float | None = None
    """None: what the UARTs at both ends reach."""
    rate_tolerance: float | None = None
    """How far the rate of a UART at one end may be from the link's, relative to it; None: no such rate."""
    bits_per_byte: int
    mtu_bytes: int
    frame_overhead_bytes: int
    uart_kbps: float | None = None
    """Rate of the UART between chip and radio module; None: that of the medium itself."""
    air_overhead_bytes: int = 0
    """Part of the overhead that the radio adds on air: preamble, its own headers, waiting, as bytes."""
    answer_bytes: int
    """An acknowledgement on the line or on air."""
    answered_frames: int = 1
    """Frames that one acknowledgement answers."""
    ring_bytes: int
    """Of the buffer in front of the UART that drives it."""
    cpu: LinkCycles
    send_mw: float = 0.0
    """Power of the sending side's transceiver while it sends; 0 for a wire."""
    receive_mw: float = 0.0
    """The same of the receiving side."""
    listen_mw: float = 0.0
    """Power of a transceiver that waits, on every device that the link joins."""
    seal: Seal | None = None
    """What its frames are sealed with; part of the figures above."""

    def uart_rate_kbps(self, rate_kbps: float) -> float:
        """Return the rate of the UART that drives a link of ``rate_kbps``."""
        return rate_kbps if self.uart_kbps is None else self.uart_kbps

    def reached_by(self, chip: Chip, uart: str, rate_kbps: float) -> bool:
        """Return whether ``uart`` of ``chip`` can be one end of a link of ``rate_kbps``."""
        if self.rate_tolerance is None:
            return True
        wanted_bd = 1000.0 * self.uart_rate_kbps(rate_kbps)
        return abs(chip.uart_rate_bd(uart, wanted_bd) / wanted_bd - 1.0) <= self.rate_tolerance

    def secured(self, seal: Seal) -> Medium:
        """Return the medium with frames that are sealed: longer ones, which cost the CPUs more."""
        overhead_bytes = self.frame_overhead_bytes + seal.overhead_bytes
        answer_bytes = round(self.answer_bytes * overhead_bytes / self.frame_overhead_bytes)
        answer_share = self.answer_bytes / self.frame_overhead_bytes
        on_line_bytes = overhead_bytes - self.air_overhead_bytes
        frame = seal.frame_cycles - seal.byte_cycles * on_line_bytes  # bytes count all that is on the line
        both = frame + answer_share * seal.frame_cycles
        cpu = self.cpu.model_copy(
            update={
                "send_byte": self.cpu.send_byte + seal.byte_cycles,
                "send_frame": self.cpu.send_frame + both,
                "receive_byte": self.cpu.receive_byte + seal.byte_cycles,
                "receive_frame": self.cpu.receive_frame + both,
                "decode_byte": self.cpu.decode_byte + seal.byte_cycles,
                "begin": self.cpu.begin + seal.frame_cycles,
                "begin_byte": self.cpu.begin_byte + seal.byte_cycles,
                "finish": self.cpu.finish + frame,
            }
        )
        update = {
            "frame_overhead_bytes": overhead_bytes,
            "answer_bytes": answer_bytes,
            "cpu": cpu,
            "seal": seal,
        }
        return self.model_copy(update=update)


_Model = TypeVar("_Model", bound=_Data)


def data_folder(name: str) -> Path:
    """Return a data folder (``targets``, ``templates``): inside the wheel, or beside the package's source."""
    packaged = Path(str(resources.files("synergyc"))) / "_data" / name
    return packaged if packaged.is_dir() else Path(str(resources.files("synergyc"))).parent / name


@cache
def load_chip(name: str) -> Chip:
    """Return the chip called ``name`` (any case); raises SynergyError with the known names."""
    return _load(Chip, "", name.lower())


@cache
def most_channels() -> int:
    """Return the channels that a layer may have on the chip that takes most, where no chip is chosen yet."""
    return max(load_chip(name).cnn.limits.channels for name in known("chips"))


@cache
def load_board(name: str) -> Board:
    """Return the board called ``name``; raises SynergyError with the known names."""
    return _load(Board, "boards", name.lower())


@cache
def load_medium(name: str) -> Medium:
    """Return the link medium called ``name``; raises SynergyError with the known names."""
    return _load(Medium, "links", name.lower())


def link_medium(name: str, *, secure: bool) -> Medium:
    """Return the medium of a link, secured or not; raises SynergyError with the known names."""
    medium = load_medium(name)
    return medium.secured(load_runtime().seal) if secure else medium


@cache
def load_runtime() -> Runtime:
    """Return what the firmware's own work costs."""
    return _load(Runtime, "firmware", "runtime")


def known(kind: Literal["chips", "boards", "links"]) -> tuple[str, ...]:
    """Return the names of all targets of a kind, sorted."""
    folder = data_folder("targets") / ("" if kind == "chips" else kind)
    return tuple(sorted(path.stem for path in folder.glob("*.yaml")))


def _load(model: type[_Model], folder: str, name: str) -> _Model:
    path = data_folder("targets") / folder / f"{name}.yaml"
    if not path.is_file():
        kind: Literal["chips", "boards", "links"] = (
            "boards" if folder == "boards" else "links" if folder == "links" else "chips"
        )
        raise fail(
            "unknown-target",
            f"{model.__name__.lower()} must be a known one, not {name!r}",
            hint=did_you_mean(name, known(kind)),
        )
    try:
        return model.model_validate(YAML(typ="safe").load(path))
    except (ValidationError, MarkedYAMLError) as error:
        raise fail("target-file", f"target file is damaged: {error}", location=file_location(path)) from error


def transfer_us(size_bytes: int, rate_kbps: float, bits_per_byte: int) -> float:
    """Return the time on the wire of ``size_bytes`` in microseconds."""
    return size_bytes * bits_per_byte * 1000.0 / rate_kbps if rate_kbps > 0 else math.inf
