"""One hardware layer's output against the integer reference: the first value that differs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from synergyc.ir.types import Array, describe_shape
from synergyc.synth.geometry import Geometry, geometry_of, lowest_bit, set_bits
from synergyc.synth.placed import PlacedLayer
from synergyc.targets import Chip, Cnn


class OtherLayerError(Exception):
    """What ran is not the layer that is looked for: its output has another shape."""


@dataclass(frozen=True)
class Difference:
    """The first value that differs: its layer, place and both values, and how many more of the layer do."""

    layer: str
    hardware_layer: int
    channel: int
    row: int
    column: int
    computed: int
    expected: int
    differing: int
    values: int

    def __str__(self) -> str:
        return (
            f"hardware layer {self.hardware_layer}, channel {self.channel},"
            f" row {self.row}, column {self.column}: computed {self.computed}, the reference has"
            f" {self.expected}; {self.differing} of its {self.values} values differ, no layer before it does"
        )


def first_difference(placed: PlacedLayer, output: Array, expected: Array, chip: Chip) -> Difference | None:
    """Return the first value in which a layer's ``output`` differs; None if all agree.

    Args:
        placed: the layer where it lies.
        output: (channels, rows, columns) as the accelerator computed them, channels in its own order.
        expected: what the reference has, of the layer's output shape.
        chip: on which it ran.

    Raises OtherLayerError if the shapes do not fit together.
    """
    computed = _channels(placed, output, len(expected), chip.cnn)
    wanted = expected.reshape(len(expected), -1)
    skipped = placed.form.skipped_pixels
    have = computed[:, skipped : skipped + wanted.shape[1]]
    if have.shape != wanted.shape:
        raise OtherLayerError(
            f"gave {describe_shape(output.shape)} values, the network's has {expected.shape}"
        )
    wrong = np.argwhere((have != wanted).T)
    if not len(wrong):
        return None
    pixel, channel = map(int, wrong[0])
    columns = expected.shape[2] if expected.ndim > 2 else 1
    return Difference(
        layer=placed.layer.name,
        hardware_layer=placed.hardware_layer,
        channel=channel,
        row=pixel // columns,
        column=pixel % columns,
        computed=int(have[channel, pixel]),
        expected=int(wanted[channel, pixel]),
        differing=len(wrong),
        values=wanted.size,
    )


def _channels(placed: PlacedLayer, output: Array, channels: int, cnn: Cnn) -> Array:
    """Return (channels, pixels) of what the hardware computed, without outputs that are no channel.

    Convolutions compute an output for each position from the aligned first to the last output processor. The
    MAX78000 combines operands of several passes as rows of one pass (docs/accelerator.md, 5.3).
    """
    rows = output.reshape(len(output), -1)
    folded = -(-channels // len(rows))
    if placed.passthrough and folded > 1:
        rows = rows.reshape(len(rows), -1, folded).transpose(2, 0, 1).reshape(folded * len(rows), -1)
    positions = list(_positions(placed, geometry_of(placed.form.layer, cnn), channels))
    if positions[-1] >= len(rows):
        raise OtherLayerError(f"gave {len(rows)} channels, the network's has {channels}")
    return rows[positions]


def _positions(placed: PlacedLayer, geometry: Geometry, channels: int) -> Iterator[int]:
    if placed.passthrough or geometry.depthwise:
        yield from range(channels)
        return
    bits = set_bits(placed.output_processors)
    first = lowest_bit(placed.output_processors) & ~3
    width = bits[-1] - first + 1
    for channel in range(channels):
        pass_, index = divmod(channel, len(bits))
        yield pass_ * width + bits[index] - first
