"""The CNN accelerator of a chip: memories, limits, addresses, costs."""

from __future__ import annotations

from typing import Literal

from synergyc.targets.fields import Integers, Names, TargetData


class AddressRange(TargetData):
    """A family of equal blocks: block i starts at ``offset + i * stride``."""

    offset: int
    stride: int


class LayerRegisters(TargetData):
    """Per-layer registers: register r of layer n at ``offset + r*register_stride + n*layer_stride``."""

    offset: int
    register_stride: int
    layer_stride: int
    numbers: dict[str, int]

    def address(self, name: str, layer: int) -> int:
        """Return the offset inside the quadrant of register ``name`` of hardware layer ``layer``."""
        return self.offset + self.numbers[name] * self.register_stride + layer * self.layer_stride


class CnnAddresses(TargetData):
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


class CnnTiming(TargetData):
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


class CnnEnergy(TargetData):
    """Energy above idle, with their sources in the YAML."""

    running_mw: float
    """While the accelerator computes."""
    mac_pj: float
    """For each processor that works, kernel and output pixel, at 8-bit weights."""
    word_nj: float
    """For each 32-bit word that the CPU writes to or reads from the accelerator."""
    idle_mw: float
    """Of the whole chip while nothing runs but the CPU."""


class CnnStreaming(TargetData):
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


class CnnLimits(TargetData):
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


class Cnn(TargetData):
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
