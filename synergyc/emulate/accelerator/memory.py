"""The memories of the accelerator as arrays, with the packing of weights.

Zero contents at power-up are an assumption.
"""

from __future__ import annotations

from copy import copy

import numpy as np
import numpy.typing as npt

from synergyc.targets import Cnn

SLOT_BYTES = 9
"""A weight slot holds 72 bits (docs/accelerator.md, 4.1)."""

Bytes = npt.NDArray[np.uint8]


class Memories:
    """Data, weight, bias and line-buffer (TRAM) memories of all quadrants.

    ``data`` is (instances, words, 4) bytes, the byte lane last. ``weights`` is (processors, bytes): the byte
    stream of each processor, in which a slot's nine bytes b0..b8 lie in reverse. ``bias`` is (quadrants,
    bytes), ``tram`` (processors, 16-bit words).
    """

    def __init__(self, cnn: Cnn) -> None:
        self._cnn = cnn
        self.data: Bytes = np.zeros((cnn.instances, cnn.instance_words, 4), np.uint8)
        slots = max(cnn.weight_slots, cnn.large_weight_slots)
        self.weights: Bytes = np.zeros((cnn.processors, slots * SLOT_BYTES), np.uint8)
        self.bias: Bytes = np.zeros((cnn.quadrants, cnn.bias_bytes), np.uint8)
        self.tram: npt.NDArray[np.uint16] = np.zeros((cnn.processors, cnn.tram_words), np.uint16)
        self.words: npt.NDArray[np.uint32] = self.data.view("<u4")[:, :, 0]

    def trial(self) -> Memories:
        """Return these memories with a data memory of its own; the others are shared."""
        copied = copy(self)
        copied.data = self.data.copy()
        copied.words = copied.data.view("<u4")[:, :, 0]
        return copied

    def _processors(self, quadrant: int) -> slice:
        count = self._cnn.processors_per_quadrant
        return slice(quadrant * count, (quadrant + 1) * count)

    def clear_data(self, quadrant: int) -> None:
        """Zero the data memories of ``quadrant``."""
        count = self._cnn.instances // self._cnn.quadrants
        self.data[quadrant * count : (quadrant + 1) * count] = 0

    def clear_weights(self, quadrant: int) -> None:
        """Zero the weight memories of ``quadrant``."""
        self.weights[self._processors(quadrant)] = 0

    def clear_tram(self, quadrant: int) -> None:
        """Zero the line buffers of ``quadrant``."""
        self.tram[self._processors(quadrant)] = 0

    def clear_bias(self, quadrant: int) -> None:
        """Zero the bias memory of ``quadrant``."""
        self.bias[quadrant] = 0

    def write_slot(self, processor: int, slot: int, value: bytes) -> None:
        """Store the nine bytes b0..b8 of a weight slot."""
        start = slot * SLOT_BYTES
        self.weights[processor, start : start + SLOT_BYTES] = np.frombuffer(value[::-1], np.uint8)

    def read_slot(self, processor: int, slot: int) -> bytes:
        """Return the nine bytes b0..b8 of a weight slot."""
        start = slot * SLOT_BYTES
        return self.weights[processor, start : start + SLOT_BYTES].tobytes()[::-1]


def unpack(packed: Bytes, bits: int, binary: bool) -> npt.NDArray[np.int8]:
    """Return the weights in ``packed`` (..., groups, taps) as (..., groups * 8 // bits, taps).

    Fields are taken from the low bits upward; two's complement, or +1/-1 for ``binary``: a stored 1 is -1
    (docs/accelerator.md, 2.1 and 4.1).
    """
    if bits == 8:
        return packed.view(np.int8)
    fields = 8 // bits
    shifts = (np.arange(fields, dtype=np.uint8) * bits)[:, None]
    values = (packed[..., :, None, :] >> shifts) & ((1 << bits) - 1)
    signed = values.astype(np.int8)
    signed = 1 - 2 * signed if binary else signed - ((signed >> (bits - 1)) << bits)
    return signed.astype(np.int8).reshape(*packed.shape[:-2], packed.shape[-2] * fields, packed.shape[-1])
