"""How the input of a network may arrive: in memory as HWC or CHW, or streaming through the FIFOs.

Layers that stream pass their data on through short circular buffers and run at the same time: nothing of the
input and of what lies between them is ever whole in memory (sections 1 and 5.3).
"""

from __future__ import annotations

from collections.abc import Iterator

from synergyc.ir.network import Layer, LayerOp, Network
from synergyc.synth.buffers import InputForm
from synergyc.synth.geometry import passes_of
from synergyc.synth.lowering import hardware_form
from synergyc.synth.native import generate
from synergyc.synth.placed import PlacedLayer, PlacedNetwork
from synergyc.synth.program import Write
from synergyc.targets import Chip, Cnn

_FIRST_QUADRANT = 0


def memory_forms(network: Network, cnn: Cnn) -> tuple[InputForm, ...]:
    """Return the forms of an input that lies in memory: HWC, then CHW where one convolution reads it.

    Layers write HWC, and tensors travel as they lie: what another segment makes or reads too is HWC.
    """
    if len(network.inputs) != 1:
        return (InputForm(),)
    name = network.inputs[0].name
    readers = [layer for layer in network.layers if name in layer.inputs]
    first = network.layers[0]
    fits = network.inputs[0].shape[0] <= cnn.instances
    plain = first.op is not LayerOp.PASSTHROUGH and len(first.inputs) == 1 and not first.flatten
    alone = readers == [first] and name not in network.outputs and name not in network.shared_inputs
    if alone and fits and plain and first.groups == 1:
        return (InputForm(), InputForm(big=True))
    return (InputForm(),)


def streaming_forms(network: Network, chip: Chip) -> Iterator[InputForm]:
    """Yield the forms of an input that streams, fewest streaming layers first.

    The words that the FIFOs take of an HWC input, port by port, are those of one that lies in memory.
    """
    cnn = chip.cnn
    if len(network.inputs) != 1:
        return
    channels = network.inputs[0].shape[0]
    fifos = cnn.quadrants
    layouts = [
        big
        for big in ((False,) if network.shared_inputs else (False, True))
        if channels <= fifos * (1 if big else cnn.processors_per_instance)
    ]
    for count in range(1, network.streamable(cnn.limits.streaming.layers) + 1):
        last = hardware_form(network.layers[count - 1], streaming=True).layer
        if not any(last.padding) and "unpadded_streaming" not in cnn.features:
            continue
        for big in layouts:
            rings = _rings(network.layers[:count], big, chip)
            if rings is not None:
                yield InputForm(big, rings)


def _rings(layers: tuple[Layer, ...], big: bool, chip: Chip) -> tuple[int, ...] | None:
    """Return the words of the circular buffers that ``layers`` read; None: a register cannot hold a value."""
    cnn, limits = chip.cnn, chip.cnn.limits.streaming
    program = generate(_skeleton(layers, big, chip), chip)
    writes = (step for step in program.configure if isinstance(step, Write))
    registers = {write.address: write.words[0] for write in writes}

    def value(name: str, layer: int) -> int:
        return registers.get(cnn.layer_register_address(_FIRST_QUADRANT, name, layer), 0)

    passes = 0
    for index, layer in enumerate(layers):
        line_end = value("TPTR", index) & 0xFFFF
        fields = (
            (value("STRM1", index), limits.start),
            (value("STRM2", index) >> 16, limits.row_delta),
            (value("FMAX", index), limits.buffer_words),
            (passes, limits.passes_before),
            (line_end, cnn.tram_words - 1),
        )
        if any(number > most for number, most in fields):
            return None
        passes += passes_of(layer.in_shape[0], cnn).count
    return tuple(value("FMAX", index) for index in range(len(layers)))


def _skeleton(layers: tuple[Layer, ...], big: bool, chip: Chip) -> PlacedNetwork:
    """Return the streaming layers placed anywhere: their streaming registers do not depend on it."""
    cnn = chip.cnn

    def processors(channels: int) -> int:
        return (1 << passes_of(channels, cnn).width) - 1

    placed = tuple(
        PlacedLayer(
            layer=layer,
            hardware_layer=index,
            processors=processors(layer.in_shape[0]),
            output_processors=processors(layer.output.shape[0]),
            in_offset_bytes=0,
            out_offset_bytes=0,
            big=big and index == 0,
            streaming=True,
            stream_kernel=True,
        )
        for index, layer in enumerate(layers)
    )
    return PlacedNetwork(
        name="",
        chip=chip.name,
        layers=placed,
        inputs=(),
        outputs=(),
        quadrants=tuple(range(cnn.quadrants)),
        fifo=True,
    )
