"""Registers of the first generation, as in the MAX78000 (section 5.3)."""

from __future__ import annotations

from synergyc.ir.network import LayerOp
from synergyc.synth.native.registers import RegisterEncoder
from synergyc.synth.native.streaming import StreamRegisters, ai85_stream
from synergyc.synth.native.view import LayerView, hardware_padding


class Ai85Encoder(RegisterEncoder):
    """Counts of rows and columns; one register for both ends of the weights."""

    order = (
        "RCNT", "CCNT", "PRCNT", "PCCNT", "STRIDE", "WPTR", "TOFFS", "MOFFS", "CHOFFS", "RPTR", "LCTL",
        "LCTL2", "MCNT", "ONED", "TPTR", "POST", "ENA",
        "STRM1", "STRM2", "FMAX", "IFRM",
    )  # fmt: skip
    output_count_shift = 8

    @staticmethod
    def emulates_passes(view: LayerView) -> bool:
        """Whether passes of a multi-operand copy are run as rows; two operands in two passes need not."""
        operands, passes = view.geometry.operands, view.geometry.in_passes.count
        return view.placed.passthrough and operands > 1 and passes > 1 and (operands, passes) != (2, 2)

    def _rcnt(self, view: LayerView, _quadrant: int) -> int:
        rows = self.hardware_plane(view)[0]
        if self.emulates_passes(view):
            rows *= view.geometry.in_passes.count
        pad = hardware_padding(view.geometry)[0]
        return (rows - 1 + 2 * pad) | pad << 16

    def _ccnt(self, view: LayerView, _quadrant: int) -> int:
        pad = hardware_padding(view.geometry)[1]
        return (self.hardware_plane(view)[1] - 1 + 2 * pad) | pad << 16

    def _prcnt(self, view: LayerView, _quadrant: int) -> int:
        return view.geometry.window[0] - 1

    def _pccnt(self, view: LayerView, _quadrant: int) -> int:
        return view.geometry.window[1] - 1

    def _stride(self, view: LayerView, _quadrant: int) -> int:
        return 0 if view.geometry.op is LayerOp.CONV_TRANSPOSE2D else view.geometry.pool_stride - 1

    def _pass_count(self, view: LayerView) -> int:
        return 0 if self.emulates_passes(view) else super()._pass_count(view)

    def _mcnt(self, view: LayerView, _quadrant: int) -> int:
        if self.emulates_passes(view):
            return 0
        start, last = self.mask_range(view)
        return start << 16 | last

    def stream(self, view: LayerView) -> StreamRegisters:
        """Return the streaming registers."""
        return ai85_stream(view.stream, view.previous, fifo=view.fifo, lag=self.lag)
