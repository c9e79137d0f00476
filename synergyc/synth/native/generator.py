"""The native generator: one placed network, one program."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import synergyc
from synergyc.synth.geometry import Geometry
from synergyc.synth.native.ai85 import Ai85Encoder
from synergyc.synth.native.ai87 import Ai87Encoder
from synergyc.synth.native.control import VENDOR_DEFAULTS, ControlOptions
from synergyc.synth.native.layouts import layout_of
from synergyc.synth.native.registers import RegisterEncoder
from synergyc.synth.native.sequence import (
    done_bits,
    fifo_ports,
    fifo_steps,
    init_steps,
    snoop_steps,
    start_steps,
)
from synergyc.synth.native.view import LayerView, views_of
from synergyc.synth.native.weights import bias_writes, weight_writes
from synergyc.synth.placed import PlacedNetwork
from synergyc.synth.program import LayerSummary, Program, Write
from synergyc.targets import Chip

ENGINE = "native"

_ENCODERS: dict[str, type[RegisterEncoder]] = {"ai85": Ai85Encoder, "ai87": Ai87Encoder}


def generate(placed: PlacedNetwork, chip: Chip, control: ControlOptions = VENDOR_DEFAULTS) -> Program:
    """Return the program for ``placed``: the words and addresses that the vendor tool writes.

    By default registers whose value is 0 are left out, as the tool does; see :class:`ControlOptions`.
    """
    cnn = chip.cnn
    views = views_of(placed, cnn)
    encoder = _ENCODERS[cnn.generation](cnn, control)
    return Program(
        name=placed.name,
        chip=chip.name,
        engine=ENGINE,
        quadrants=placed.quadrants,
        layers=tuple(_summary(view) for view in views),
        init=init_steps(placed, cnn, control),
        weights=weight_writes(views, cnn, control),
        bias=bias_writes(views, cnn),
        configure=(
            *_configure(views, encoder),
            *snoop_steps(placed, cnn, control),
            *fifo_steps(placed, cnn, control),
        ),
        start=start_steps(placed, cnn, control),
        done=done_bits(placed, cnn),
        inputs=tuple(layout_of(tensor, cnn) for tensor in placed.inputs),
        outputs=tuple(layout_of(tensor, cnn) for tensor in placed.outputs),
        fifo_ports=fifo_ports(placed, cnn),
        engine_version=synergyc.__version__,
        placement=placed.digest,
    )


def stream_buffers(placed: PlacedNetwork, chip: Chip, control: ControlOptions) -> dict[str, int]:
    """Return the length in words of the circular buffers of layers that stream from FIFOs, by layer name."""
    encoder = _ENCODERS[chip.cnn.generation](chip.cnn, control)
    views = views_of(placed, chip.cnn)
    lengths = {view.placed.layer.name: encoder.value("FMAX", view, view.master) for view in views}
    return {name: length for name, length in lengths.items() if length}


def _configure(views: Sequence[LayerView], encoder: RegisterEncoder) -> Iterator[Write]:
    """Yield the layer registers, layer by layer, quadrant by quadrant; copies follow each other."""
    last = views[-1].placed.hardware_layer
    for copy in range(encoder.control.repeat):
        shift = copy * (last + 1)
        for view in views:
            layer = view.placed.hardware_layer + shift
            for quadrant in view.quadrants:
                if view.placed.reset_before and quadrant == view.master:
                    yield from _writes(encoder, layer - 1, quadrant, encoder.reset_registers(view))
                yield from _writes(encoder, layer, quadrant, encoder.registers(view, quadrant))
    if encoder.control.clear_unused and encoder.cnn.generation == "ai85":
        yield from _clear_unused(encoder, views[0].quadrants, encoder.control.repeat * (last + 1))


def _clear_unused(encoder: RegisterEncoder, quadrants: Sequence[int], first: int) -> Iterator[Write]:
    """Yield zeros for the registers of layers from ``first`` on; later chips clear them at initialization."""
    cnn = encoder.cnn
    for quadrant in quadrants:
        for name in cnn.addresses.layer_registers.numbers:
            address = cnn.layer_register_address(quadrant, name, first)
            yield Write(address, (0,) * (cnn.limits.layers - first), f"{name} of unused layers")


def _writes(
    encoder: RegisterEncoder, layer: int, quadrant: int, registers: Iterable[tuple[str, int]]
) -> Iterator[Write]:
    cnn = encoder.cnn
    for name, value in registers:
        if value or encoder.control.write_zero_registers:
            if name in cnn.addresses.quadrant_registers:
                address = cnn.register_address(quadrant, name)
            else:
                address = cnn.layer_register_address(quadrant, name, layer)
            yield Write(address, (value,), f"layer {layer} quadrant {quadrant} {name}")


def _summary(view: LayerView) -> LayerSummary:
    return LayerSummary(
        name=view.placed.layer.name,
        description=_description(view.geometry, view),
        hardware_layer=view.placed.hardware_layer,
        processors=view.placed.processors,
        output_processors=view.placed.output_processors,
    )


def _description(geometry: Geometry, view: LayerView) -> str:
    layer = view.placed.layer
    parts = [f"{geometry.in_channels}x{geometry.rows}x{geometry.columns}"]
    if layer.pool is not None:
        parts.append(str(layer.pool))
    if layer.eltwise is not None:
        parts.append(f"{layer.eltwise} of {geometry.operands}")
    operator = str(layer.op)
    if layer.weight is not None and not layer.flatten:
        operator += f" {geometry.kernel[0]}x{geometry.kernel[1]}"
    parts.append(f"flatten, {operator}" if layer.flatten else operator)
    if layer.activation != "none":
        parts.append(str(layer.activation))
    return f"{', '.join(parts)} -> {geometry.out_channels}x{geometry.out_rows}x{geometry.out_columns}"
