"""Per-layer registers: the formulas of section 5.3 that both generations share.

A generation is a subclass of :class:`RegisterEncoder`; it adds the registers whose fields differ.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import ClassVar

from synergyc.ir.network import LayerOp
from synergyc.ir.types import Activation, EltwiseOp, PoolKind
from synergyc.synth.geometry import lowest_bit
from synergyc.synth.kernels import SLOT_BYTES
from synergyc.synth.native.control import ControlOptions
from synergyc.synth.native.streaming import StreamLag, StreamRegisters
from synergyc.synth.native.view import LayerView, line_length, quadrant_bits
from synergyc.targets import Cnn

_ELTWISE_CODES = {EltwiseOp.SUB: 0, EltwiseOp.ADD: 1, EltwiseOp.OR: 2, EltwiseOp.XOR: 3}
_WEIGHT_CODES = {8: 0, 1: 1, 2: 2, 4: 3}
_MASK_BITS = 8
"""The mask counters count bits of 8-bit kernels (section 5.3, MCNT)."""

_RESET_LAYER = {
    "RCNT": 0x10000,
    "CCNT": 0x10000,
    "STRIDE": 0x10,
    "LCTL": 0x920,
    "ONED": 0x100,
    "POST": 0x3000000,
    "ENA": 1,
}


class RegisterEncoder(ABC):
    """Values of the per-layer registers of one generation; ``order`` is the order of writing."""

    order: ClassVar[tuple[str, ...]]
    output_count_shift: ClassVar[int]
    """Position of the output processor count in LCTL2."""

    def __init__(self, cnn: Cnn, control: ControlOptions) -> None:
        self.cnn = cnn
        self.control = control
        self.instance_step = cnn.addresses.data.stride // 4
        """Distance of two data memory instances in the write pointer, in words."""
        self.lag = StreamLag(control.stream_lag, control.more_column, control.more_row)

    def registers(self, view: LayerView, quadrant: int) -> Iterator[tuple[str, int]]:
        """Yield register names and values of one layer in one quadrant, zeros included."""
        for name in self.order:
            value = self.value(name, view, quadrant)
            if value is not None:
                yield name, value

    def value(self, name: str, view: LayerView, quadrant: int) -> int | None:
        """Return the value of register ``name``; None: not written for this layer."""
        method = getattr(self, f"_{name.lower()}")
        result: int | None = method(view, quadrant)
        return result

    def reset_registers(self, view: LayerView) -> Iterator[tuple[str, int]]:
        """Yield the registers of the small copying layer that clears the averaging logic (section 5.7)."""
        copied = ("WPTR", "TOFFS", "RPTR")
        values = {**_RESET_LAYER, **{name: self.value(name, view, view.master) or 0 for name in copied}}
        yield from ((name, values[name]) for name in self.order if name in values)

    # Geometry ----------------------------------------------------------------------------------------

    def hardware_plane(self, view: LayerView) -> tuple[int, int]:
        """Return (rows, columns) as the hardware counts them."""
        geometry = view.geometry
        if geometry.flatten:
            return 1, 1
        if geometry.op is LayerOp.CONV_TRANSPOSE2D:
            return 2 * geometry.rows, 2 * geometry.columns
        return geometry.rows, geometry.columns

    @abstractmethod
    def _rcnt(self, view: LayerView, quadrant: int) -> int:
        """Return rows and row padding."""

    @abstractmethod
    def _ccnt(self, view: LayerView, quadrant: int) -> int:
        """Return columns and column padding."""

    @abstractmethod
    def _prcnt(self, view: LayerView, quadrant: int) -> int:
        """Return the rows of the pooling window."""

    @abstractmethod
    def _pccnt(self, view: LayerView, quadrant: int) -> int:
        """Return the columns of the pooling window."""

    @abstractmethod
    def _stride(self, view: LayerView, quadrant: int) -> int:
        """Return the pooling stride."""

    # Pointers ----------------------------------------------------------------------------------------

    def _wptr(self, view: LayerView, quadrant: int) -> int:
        placed = view.placed
        if view.geometry.depthwise and not view.broadcast:
            instance = self._moved_instance(view, quadrant)
            if instance is None:
                return 0
        elif placed.passthrough:
            bits = quadrant_bits(placed.output_processors, quadrant, self.cnn)
            processor = quadrant * self.cnn.processors_per_quadrant + lowest_bit(bits) if bits else 0
            instance = processor // self.cnn.processors_per_instance
        else:
            instance = lowest_bit(placed.output_processors) // self.cnn.processors_per_instance
        skipped = view.form.skipped_pixels * view.geometry.out_passes.count * (placed.write_gap + 1)
        return placed.out_offset_bytes // 4 - skipped + instance * self.instance_step

    def _moved_instance(self, view: LayerView, quadrant: int) -> int | None:
        """Return the first instance that ``quadrant`` writes in a depthwise layer that moves its data."""
        size = self.cnn.processors_per_quadrant
        first = lowest_bit(view.placed.processors)
        behind = quadrant - first // size
        if behind < 0:
            return None
        target = behind * size + lowest_bit(view.placed.output_processors)
        if behind:
            target -= first % size
        return target // self.cnn.processors_per_instance

    def _toffs(self, view: LayerView, _quadrant: int) -> int:
        placed, geometry = view.placed, view.geometry
        if placed.passthrough:
            many = placed.processors.bit_count() > self.cnn.processors_per_instance
            if many or (geometry.operands > 1 and geometry.in_passes.count > 1):
                return self.instance_step
            return self.instance_step // 4
        if geometry.op in {LayerOp.CONV2D, LayerOp.LINEAR}:
            if geometry.taps == 1 and not geometry.depthwise:
                return 1
            if geometry.depthwise and not view.broadcast:
                return self.instance_step
        return 0

    def _moffs(self, view: LayerView, _quadrant: int) -> int | None:
        return None if view.placed.passthrough else self.instance_step

    def _choffs(self, view: LayerView, _quadrant: int) -> int:
        return view.width_bytes * (view.placed.write_gap + 1) if view.geometry.out_passes.count > 1 else 0

    def _rptr(self, view: LayerView, _quadrant: int) -> int:
        return view.placed.in_offset_bytes // 4

    # Control -----------------------------------------------------------------------------------------

    def _lctl(self, view: LayerView, quadrant: int) -> int:
        layer = view.layer
        average = layer.pool is not None and layer.pool.kind is PoolKind.AVERAGE
        return (
            0x820
            | (layer.activation is Activation.RELU) << 9
            | (not average) << 8
            | view.geometry.pools << 7
            | view.placed.big << 6
            | layer.wide << 16
            | self._sources(view, quadrant) << 12
        )

    def _sources(self, view: LayerView, quadrant: int) -> int:
        """Return the quadrants that the master listens to: those with inputs, and the bias."""
        if quadrant != view.master or view.placed.passthrough or view.geometry.depthwise:
            return 0
        others = {*view.input_quadrants, *(bias.quadrant for bias in view.placed.bias)} - {quadrant}
        return sum(1 << other for other in others)

    def _lctl2(self, view: LayerView, _quadrant: int) -> int:
        placed, geometry = view.placed, view.geometry
        skip = placed.write_gap
        channels = 0
        if not placed.passthrough:
            skip = geometry.out_passes.count * (placed.write_gap + 1) - 1
            channels = (view.positions.span - 1) * placed.layer.weight_bits
        return self._pass_count(view) | skip << 4 | channels << self.output_count_shift

    def _pass_count(self, view: LayerView) -> int:
        geometry = view.geometry
        if geometry.flatten:
            return (geometry.flatten_values - 1) & 0xF
        return geometry.in_passes.count - 1

    def mask_range(self, view: LayerView) -> tuple[int, int]:
        """Return first and last position of the weights, in bits of the mask counters."""
        if view.kernels is None:
            return 0, (view.geometry.out_passes.count - 1) * _MASK_BITS
        start = SLOT_BYTES * view.first_slot // view.geometry.taps * _MASK_BITS
        return start, start + (view.kernels.count - 1) * view.layer.weight_bits

    def _oned(self, view: LayerView, _quadrant: int) -> int:
        geometry, layer = view.geometry, view.layer
        value = view.time_slots - 1
        if geometry.op is LayerOp.CONV1D:
            value |= geometry.kernel[0] << 8 | 1 << 12
        elif view.placed.passthrough:
            value |= (geometry.operands == 1) << 8
        elif geometry.taps == 1:
            value |= 1 << 8
        if layer.eltwise is not None:
            value |= 1 << 13 | _ELTWISE_CODES[layer.eltwise] << 14 | (geometry.operands - 1) << 18
            value |= (geometry.pools and layer.pool_first) << 16 | (not view.placed.passthrough) << 17
        if view.kernels is not None:
            value |= SLOT_BYTES * view.first_slot % geometry.taps << 4
        return value

    def _tptr(self, view: LayerView, _quadrant: int) -> int:
        geometry = view.geometry
        if view.placed.passthrough:
            return 0
        if geometry.op is LayerOp.CONV1D or geometry.taps == 1:
            last = geometry.flatten_values - 1
            return last << 16 | (2 * last + 1) if last >= 16 else 0
        end = line_length(geometry) - 1
        if view.placed.streaming and not view.stream.first:
            end += view.line_words_before | view.line_words_before << 16
        return end

    def _post(self, view: LayerView, quadrant: int) -> int:
        layer, geometry = view.layer, view.geometry
        value = 0
        for bias in view.placed.bias:
            if bias.quadrant == quadrant:
                value = 1 << 12 | (bias.start // 4 if view.broadcast or view.placed.fourfold else bias.start)
        if view.placed.passthrough:
            return value | (3 if geometry.operands == 1 else 1) << 24
        shift = layer.hardware_shift
        value |= (-shift | 1 << 4 if shift < 0 else shift) << 13
        value |= _WEIGHT_CODES[layer.weight_bits] << 22
        value |= (layer.activation is Activation.ABS) << 26
        value |= (geometry.op is LayerOp.CONV_TRANSPOSE2D) << 28
        value |= geometry.depthwise << 30 | geometry.depthwise << 24
        last = geometry.flatten_values - 1
        if last >= 16:
            value |= 1 << 27 | (last >> 4) << 18
        return value

    @abstractmethod
    def stream(self, view: LayerView) -> StreamRegisters:
        """Return the streaming registers."""

    def _strm1(self, view: LayerView, _quadrant: int) -> int | None:
        go = self.control.fifo_go and view.stream.first
        start = self.control.stream_start if view.stream.first and view.fifo else None
        return (self.stream(view).start if start is None else start) | go << 25

    def _strm2(self, view: LayerView, _quadrant: int) -> int | None:
        deltas = self.stream(view).deltas
        column = self._given(view, self.control.stream_column)
        row = self._given(view, self.control.stream_row)
        if column is not None:
            deltas = deltas & ~0x1F0 | column << 4
        return deltas if row is None else deltas & 0xFFFF | row << 16

    def _fmax(self, view: LayerView, _quadrant: int) -> int | None:
        given = self._given(view, self.control.stream_buffer)
        return self.stream(view).buffer if given is None else given

    @staticmethod
    def _given(view: LayerView, value: int | None) -> int | None:
        """Return the user's own value for a streaming register; only the first layer takes one."""
        return value if view.stream.first and view.placed.streaming else None

    def _ifrm(self, view: LayerView, _quadrant: int) -> int | None:
        if not view.fifo or not view.stream.first:
            return None
        return -(-view.geometry.pixels // 4) if view.placed.big else view.geometry.pixels

    def _ena(self, view: LayerView, quadrant: int) -> int:
        bits = quadrant_bits(view.placed.processors, quadrant, self.cnn)
        return bits << 16 | bits if view.placed.stores_weights else bits
