"""How channels are spread over processors, and how many bytes of a tensor travel."""

from __future__ import annotations

import math

from synergyc.ir.network import Tensor
from synergyc.targets import Cnn

WORD_BYTES = 4
"""The accelerator's data memory is reached in 32-bit words only."""


def channel_passes(channels: int, cnn: Cnn) -> tuple[int, int]:
    """Return the number of passes for ``channels`` and the processors of each pass.

    Above one pass the processors are a multiple of a data memory's share (vendor tool, izer.py: the rule
    for ``in_expand_thresh``).
    """
    passes = -(-channels // cnn.processors)
    processors = -(-channels // passes)
    if passes > 1:
        share = cnn.processors_per_instance
        processors = min(-(-processors // share) * share, cnn.processors)
    return passes, processors


def travel_bytes(tensor: Tensor, cnn: Cnn) -> int:
    """Return the bytes of ``tensor`` as it is read from data memory and travels over a link.

    A word holds the bytes of four channels of one pixel, or one 32-bit value; lanes without a channel
    travel too.
    """
    passes, processors = channel_passes(tensor.shape[0], cnn)
    lanes = cnn.processors_per_instance
    words_per_pixel = passes * -(-processors // lanes) * (lanes if tensor.width_bits == 32 else 1)
    return math.prod(tensor.shape[1:]) * words_per_pixel * WORD_BYTES


def least_input_bytes(tensor: Tensor, cnn: Cnn) -> int:
    """Return the bytes of a network's input at least: it may lie by channels, four pixels in a word."""
    usual_bytes = travel_bytes(tensor, cnn)
    if tensor.shape[0] > cnn.instances:
        return usual_bytes
    words = tensor.shape[0] * -(-math.prod(tensor.shape[1:]) // WORD_BYTES)
    return min(usual_bytes, words * WORD_BYTES)


def region_count(tensor: Tensor, cnn: Cnn) -> int:
    """Return in how many pieces of consecutive words ``tensor`` lies: one in each of its data memories."""
    _, processors = channel_passes(tensor.shape[0], cnn)
    return -(-processors // cnn.processors_per_instance)
