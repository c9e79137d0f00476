"""Registers of the second generation, as in the MAX78002 (section 5.3)."""

from __future__ import annotations

from synergyc.ir.network import LayerOp
from synergyc.synth.kernels import FOURFOLD
from synergyc.synth.native.registers import RegisterEncoder
from synergyc.synth.native.streaming import StreamRegisters, ai87_stream
from synergyc.synth.native.view import PASS_GROUP, LayerView, hardware_padding

_NEXT_LAYER, _LAST_LAYER = 0x80, 0x100
"""Flags of NXT: the number of the next layer follows; there is none."""

_BYPASS = 1 << 30


class Ai87Encoder(RegisterEncoder):
    """Positions of the last window instead of counts; explicit kernel size, next layer, output count."""

    order = (
        "NXT", "RCNT", "CCNT", "PRCNT", "PCCNT", "STRIDE", "WPTR", "TOFFS", "MOFFS", "CHOFFS", "RPTR", "LCTL",
        "LCTL2", "MCNT1", "MCNT2", "OCHAN", "ONED", "TPTR", "POST", "ENA",
        "STRM1", "STRM2", "FMAX", "IFRM",
    )  # fmt: skip
    output_count_shift = 12

    def _nxt(self, view: LayerView, _quadrant: int) -> int:
        if self.control.link_layers:
            return _LAST_LAYER if view.last else _NEXT_LAYER | view.placed.hardware_layer + 1
        if view.placed.follower is not None:
            return _NEXT_LAYER | view.placed.follower
        return _LAST_LAYER if view.placed.stops else 0

    @staticmethod
    def _fetch_words(view: LayerView) -> int:
        """Return the words from one pixel to the next."""
        geometry = view.geometry
        return (view.placed.read_gap + 1) * geometry.operands * geometry.in_passes.count

    @staticmethod
    def _last_window(size: int, window: int, dilation: int, stride: int) -> int:
        return (size - window - dilation + 1) // stride * stride

    def _columns_left(self, view: LayerView) -> int:
        geometry = view.geometry
        columns = self.hardware_plane(view)[1]
        stride = geometry.pool_stride
        return columns - self._last_window(columns, geometry.window[1], geometry.pool_dilation[1], stride)

    def _rcnt(self, view: LayerView, _quadrant: int) -> int:
        geometry = view.geometry
        rows, columns = self.hardware_plane(view)
        stride = geometry.pool_stride
        last = self._last_window(rows, geometry.window[0], geometry.pool_dilation[0], stride)
        left = 1 if geometry.op is LayerOp.CONV1D else self._columns_left(view)
        step = (left + (stride - 1) * columns) * self._fetch_words(view)
        return last | _pad_field(hardware_padding(view.geometry)[0]) | step << 16

    def _ccnt(self, view: LayerView, _quadrant: int) -> int:
        left = self._columns_left(view)
        last = self.hardware_plane(view)[1] - left
        return last | _pad_field(hardware_padding(view.geometry)[1]) | left << 16

    def _prcnt(self, view: LayerView, _quadrant: int) -> int:
        return _pool_field(view.geometry.window[0], view.geometry.pool_dilation[0])

    def _pccnt(self, view: LayerView, _quadrant: int) -> int:
        return _pool_field(view.geometry.window[1], view.geometry.pool_dilation[1])

    def _stride(self, view: LayerView, _quadrant: int) -> int:
        stride = view.geometry.pool_stride
        skip = 0 if view.geometry.op is LayerOp.CONV_TRANSPOSE2D else stride - 1
        return skip | stride * self._fetch_words(view) << 4

    def _lctl(self, view: LayerView, quadrant: int) -> int:
        value = super()._lctl(view, quadrant)
        if not view.placed.passthrough:
            rows, columns = view.geometry.kernel
            value |= (columns - 1) << 18 | (rows - 1) << 22
            if view.placed.read_ahead:
                group = PASS_GROUP if view.placed.grouped_passes else 1
                value |= 1 << 17 | (view.geometry.in_passes.count - 1) // group << 26
        return value | view.broadcast << 29 | (_BYPASS if view.placed.bypass else 0)

    def _mcnt1(self, view: LayerView, _quadrant: int) -> int | None:
        if view.kernels is None:
            return None
        start, last = self.mask_range(view)
        if view.placed.fourfold and view.stream.first:
            # The vendor tool divides in the first layer only (section 4.6); OCHAN decides in all.
            return start + (view.kernels.count // FOURFOLD - 1) * view.layer.weight_bits
        return last

    def _mcnt2(self, view: LayerView, _quadrant: int) -> int:
        start, last = self.mask_range(view)
        return last if view.placed.passthrough else start

    def _post(self, view: LayerView, quadrant: int) -> int:
        return super()._post(view, quadrant) | view.placed.fourfold << 29 | view.placed.grouped_passes << 31

    def _ochan(self, view: LayerView, _quadrant: int) -> int:
        if view.placed.bypass:
            return view.geometry.out_channels - 1
        if view.geometry.depthwise:
            return view.time_slots * view.geometry.in_passes.count - 1
        if view.kernels is None:
            return view.time_slots - 1
        return (view.kernels.count - 1) // FOURFOLD if view.placed.fourfold else view.kernels.count - 1

    def stream(self, view: LayerView) -> StreamRegisters:
        """Return the streaming registers, which only the first layers have."""
        pipeline = self.cnn.timing.pipeline and self.control.pipeline
        column = self._given(view, self.control.stream_column)
        return ai87_stream(view.stream, fifo=view.fifo, pipeline=pipeline, lag=self.lag, column=column)

    def _strm1(self, view: LayerView, quadrant: int) -> int | None:
        return super()._strm1(view, quadrant) if self._streams(view) else None

    def _strm2(self, view: LayerView, quadrant: int) -> int | None:
        return super()._strm2(view, quadrant) if self._streams(view) else None

    def _streams(self, view: LayerView) -> bool:
        """Tell whether the layer has streaming registers: as many layers as one register's row holds."""
        registers = self.cnn.addresses.stream_registers
        return view.placed.hardware_layer < registers.register_stride // registers.layer_stride


def _pad_field(pad: int) -> int:
    return 0x8000 | (pad - 1) << 13 if pad else 0


def _pool_field(window: int, dilation: int) -> int:
    return (window - 1) * dilation | (dilation - 1) << 4
