"""Everything that the register formulas of one layer need (section 5.3)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from synergyc.ir.network import Layer, LayerOp
from synergyc.synth.geometry import Geometry, geometry_of, round_up, set_bits
from synergyc.synth.kernels import (
    FOURFOLD,
    KernelImage,
    Positions,
    bypass_image,
    fourfold_image,
    kernel_image,
    positions_of,
)
from synergyc.synth.lowering import HardwareForm
from synergyc.synth.memories import used_quadrants
from synergyc.synth.native.streaming import StreamLayer
from synergyc.synth.placed import PlacedLayer, PlacedNetwork
from synergyc.targets import Cnn

PASS_GROUP = 4
"""Input passes that are counted together where a layer groups them (``tcalc``)."""


@dataclass(frozen=True, eq=False)
class LayerView:
    """A placed layer with its geometry, its weights as packed, and its surroundings.

    ``time_slots`` is how many steps the output of one pixel takes where results are not summed up across
    processors. ``line_words_before`` is what earlier layers keep in the line buffers. ``previous`` is the
    layer before in a streaming network's terms.
    """

    placed: PlacedLayer
    form: HardwareForm
    geometry: Geometry
    kernels: KernelImage | None
    positions: Positions
    quadrants: tuple[int, ...]
    input_quadrants: tuple[int, ...]
    time_slots: int
    line_words_before: int
    stream: StreamLayer
    previous: StreamLayer | None
    fifo: bool
    last: bool

    @property
    def first_slot(self) -> int:
        """First slot of the weights in the physical memories that hold them."""
        slot = self.placed.weight_slot
        return slot // FOURFOLD if self.placed.fourfold else slot

    @property
    def layer(self) -> Layer:
        """The layer in the form that the hardware runs."""
        return self.form.layer

    @property
    def master(self) -> int:
        """The lowest quadrant in use; it sums up and writes."""
        return self.quadrants[0]

    @property
    def width_bytes(self) -> int:
        """Bytes of an output value."""
        return self.layer.output.width_bits // 8

    @property
    def broadcast(self) -> bool:
        """Depthwise, and every output stays with the processor that made it."""
        return self.placed.broadcast


def views_of(placed: PlacedNetwork, cnn: Cnn) -> tuple[LayerView, ...]:
    """Return the views of all layers in order."""
    forms = [layer.form for layer in placed]
    geometries = [geometry_of(form.layer, cnn) for form in forms]
    streams = _streams(placed, geometries)
    views = []
    before = 0
    for index, (layer, form, geometry) in enumerate(zip(placed, forms, geometries, strict=True)):
        kernels = None
        if layer.bypass:
            kernels = bypass_image(geometry)
        elif not layer.passthrough:
            image = fourfold_image if layer.fourfold else kernel_image
            kernels = image(form.layer, geometry, layer.output_processors, cnn, binary=layer.binary)
        views.append(
            LayerView(
                placed=layer,
                form=form,
                geometry=geometry,
                kernels=kernels,
                positions=positions_of(geometry, layer.output_processors, cnn),
                quadrants=placed.quadrants,
                input_quadrants=used_quadrants((layer.processors,), cnn),
                time_slots=_time_slots(layer, geometry, cnn),
                line_words_before=before,
                stream=streams[index],
                previous=streams[index - 1] if index else None,
                fifo=placed.fifo,
                last=index == placed.last % len(forms),
            )
        )
        before += line_length(geometry) * geometry.in_passes.count
    return tuple(views)


def quadrant_bits(bits: int, quadrant: int, cnn: Cnn) -> int:
    """Return the bits of a processor map that belong to ``quadrant``, shifted down to bit 0."""
    size = cnn.processors_per_quadrant
    return bits >> quadrant * size & ((1 << size) - 1)


def hardware_padding(geometry: Geometry) -> tuple[int, int]:
    """Return (rows, columns) of padding as the hardware counts it."""
    rows, columns = geometry.padding
    return (2 - rows, 2 - columns) if geometry.op is LayerOp.CONV_TRANSPOSE2D else (rows, columns)


def line_length(geometry: Geometry) -> int:
    """Return how many columns of a row the line buffer keeps (``tmax`` of section 5.3)."""
    if geometry.op is LayerOp.PASSTHROUGH:
        return 1
    columns = geometry.pooled_columns
    if geometry.op is LayerOp.CONV_TRANSPOSE2D:
        columns = 2 * columns
    return max(1, columns + 2 * hardware_padding(geometry)[1] - geometry.kernel[1] + 1)


def _streams(placed: PlacedNetwork, geometries: Sequence[Geometry]) -> list[StreamLayer]:
    streams = []
    passes = 0
    for index, (layer, geometry) in enumerate(zip(placed, geometries, strict=True)):
        follower = placed.layers[index + 1] if index + 1 < len(placed.layers) else None
        streams.append(
            StreamLayer(
                geometry=geometry,
                padding=hardware_padding(geometry),
                streaming=layer.streaming,
                big=layer.big,
                first=index == 0,
                last_streaming=layer.streaming and (follower is None or not follower.streaming),
                passes_before=passes,
                read_ahead=layer.read_ahead,
            )
        )
        passes += round_up(geometry.in_passes.count, PASS_GROUP if layer.grouped_passes else 1)
    return streams


def _time_slots(placed: PlacedLayer, geometry: Geometry, cnn: Cnn) -> int:
    """Return T of section 5.3: the maximum over the quadrants in use."""
    counts = [
        len(set_bits(quadrant_bits(placed.processors, quadrant, cnn)))
        for quadrant in used_quadrants((placed.processors,), cnn)
    ]
    most = max(counts)
    bits = placed.layer.output.width_bits
    shared = cnn.processors_per_instance
    if placed.passthrough:
        return (most * bits // 8 - 1) // shared + 1
    if not geometry.depthwise:
        return 1
    if placed.broadcast:
        return min(most, shared) * (bits // 8)
    return -(-most * bits // 8)
