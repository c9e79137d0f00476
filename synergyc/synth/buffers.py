"""Which tensors share a piece of data memory, and how long it is needed.

Operands of an element-wise layer lie interleaved, word by word (section 3.4); tensors that are concatenated
lie side by side in neighbouring processors, or interleaved, one for each pass. Where a tensor is also read
on its own and the chip cannot skip the words in between, a copy is made.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from synergyc.diagnostics import SynergyError, fail
from synergyc.ir.network import Layer, LayerOp, Network, Tensor
from synergyc.synth.geometry import passes_of, round_up
from synergyc.synth.inplace import least_lead_words
from synergyc.synth.lowering import HardwareForm, hardware_form
from synergyc.targets import Cnn


@dataclass(frozen=True)
class InputForm:
    """How the network's input arrives.

    ``big``: CHW, one channel in each memory instance. ``rings``: words of the circular buffers that the
    leading layers read, which stream from the FIFOs; empty: the input lies in memory before the start.
    """

    big: bool = False
    rings: tuple[int, ...] = ()

    @property
    def streaming(self) -> int:
        """Number of layers that stream."""
        return len(self.rings)


@dataclass(frozen=True)
class Member:
    """A tensor in a buffer: ``word`` is its place among interleaved words.

    ``lead_bytes`` are written before it, by a layer that runs in another form (section 5.7).
    """

    tensor: Tensor
    word: int = 0
    lead_bytes: int = 0


@dataclass(frozen=True)
class Buffer:
    """A range of bytes, the same in all memory instances that it spans.

    ``interleave`` tensors alternate word by word. The buffer is needed from layer ``first`` (-1: it is an
    input) to layer ``last``. ``channels`` are the processors of one pass, relative to the buffer's first:
    neighbours, for CHW every fourth, for FIFOs the first ones of each quadrant.
    """

    members: tuple[Member, ...]
    channels: tuple[int, ...]
    interleave: int
    first: int
    last: int
    size_bytes: int
    big: bool = False
    fifo: bool = False

    @property
    def width(self) -> int:
        """Processors from the first to the last, those between included."""
        return self.channels[-1] + 1

    def member(self, name: str) -> Member | None:
        """Return the member that holds tensor ``name``."""
        return next((member for member in self.members if member.tensor.name == name), None)


@dataclass(frozen=True)
class _Group:
    """Tensors that one layer reads together."""

    tensors: tuple[str, ...]
    interleave: int
    width: int


def joined_at(layer: Layer, network: Network, cnn: Cnn) -> dict[str, int]:
    """Return the tensors that ``layer`` reads side by side, and the first processor of each; may be none.

    Each begins at a memory instance, for that is where layers write; processors left out between them are
    no part of the layer's map.
    """
    if len(layer.inputs) < 2 or layer.eltwise is not None or _group(layer, network, cnn).interleave > 1:
        return {}
    starts: dict[str, int] = {}
    free = 0
    for name in layer.inputs:
        starts[name] = free
        free = round_up(free + network.tensor(name).shape[0], cnn.processors_per_instance)
    return starts


def with_copies(network: Network, cnn: Cnn) -> Network:
    """Return ``network`` with a copying layer before each layer whose operand cannot be read in place."""
    layers: list[Layer] = []
    grouped: set[str] = set()
    for layer in network.layers:
        if len(layer.inputs) > 1:
            inputs = list(layer.inputs)
            for position, name in enumerate(inputs):
                if name in grouped or not _readable_interleaved(network, layer, name, cnn):
                    copy = _copy_of(network.tensor(name), layer, position)
                    layers.append(copy)
                    inputs[position] = copy.output.name
            grouped.update(inputs)
            layer = replace(layer, inputs=tuple(inputs))
        layers.append(layer)
    return replace(network, layers=tuple(layers))


@dataclass(frozen=True)
class Overlay:
    """Buffer ``output`` may lie over ``source`` if it begins ``lead_bytes`` before it or earlier."""

    output: int
    source: int
    lead_bytes: int


def overlays_of(network: Network, buffers: Sequence[Buffer], cnn: Cnn) -> tuple[Overlay, ...]:
    """Return the outputs that may be written over an input that nobody needs afterwards."""
    owner = {member.tensor.name: index for index, item in enumerate(buffers) for member in item.members}
    found = []
    for number, layer in enumerate(network.layers):
        target, source = owner[layer.output.name], owner[layer.inputs[0]]
        output, given = buffers[target], buffers[source]
        if output.first != number or given.fifo or target == source:
            continue
        passes = passes_of(layer.output.shape[0], cnn).count
        value_words = cnn.processors_per_instance if layer.wide else 1
        member = output.member(layer.output.name)
        first = member.word if member else 0
        lead_words = least_lead_words(
            layer,
            cnn,
            read_words=given.interleave * passes_of(layer.in_shape[0], cnn).count,
            write_words=output.interleave * passes * value_words,
            written=first + ((passes - 1) * output.interleave + 1) * value_words,
            big=given.big,
        )
        if lead_words is not None:
            sources = {owner[name] for name in layer.inputs if buffers[owner[name]].last == number}
            found += [Overlay(target, index, 4 * lead_words) for index in sorted(sources)]
    return tuple(found)


def buffers_of(network: Network, cnn: Cnn, form: InputForm) -> tuple[Buffer, ...]:
    """Return the buffers that hold all tensors of ``network``, inputs first, in order of making."""
    groups = [_group(layer, network, cnn) for layer in network.layers if len(layer.inputs) > 1]
    owner = {name: group for group in groups if group.interleave > 1 for name in group.tensors}
    tensors = (*network.inputs, *(layer.output for layer in network.layers))
    buffers: list[Buffer] = []
    done: set[str] = set()
    leads = _lead_pixels(network)
    for tensor in tensors:
        if tensor.name in done:
            continue
        group = owner.get(tensor.name) or _alone(tensor, cnn)
        done.update(group.tensors)
        pixel_bytes = 4 * group.interleave * passes_of(tensor.shape[0], cnn).count
        members = tuple(
            Member(network.tensor(name), index, pixel_bytes * leads[name])
            for index, name in enumerate(group.tensors)
        )
        buffers.append(_buffer(members, group, leads[tensor.name], network, cnn))
    rings = {network.layers[index].inputs[0]: index for index in range(form.streaming)}
    if form.streaming:
        rings[network.layers[form.streaming - 1].output.name] = form.streaming
    return tuple(_formed(buffer, network, form, rings, cnn) for buffer in buffers)


def _formed(buffer: Buffer, network: Network, form: InputForm, rings: dict[str, int], cnn: Cnn) -> Buffer:
    """Return ``buffer`` as the form of the input asks for: in another layout, circular, or needed earlier."""
    tensor = buffer.members[0].tensor
    if tensor in network.inputs:
        buffer = replace(
            buffer,
            channels=_input_channels(tensor.shape[0], form, cnn),
            size_bytes=round_up(math.prod(tensor.shape[1:]), 4) if form.big else buffer.size_bytes,
            big=form.big,
            fifo=form.streaming > 0,
        )
    number = rings.get(tensor.name)
    if number is None:
        return buffer
    if number == form.streaming:  # what streaming layers leave behind is written while they run
        return replace(buffer, first=-1)
    return replace(buffer, first=-1, last=form.streaming - 1, size_bytes=4 * form.rings[number])


def _input_channels(count: int, form: InputForm, cnn: Cnn) -> tuple[int, ...]:
    """Return the processors that hold the channels of one pass of the input, relative to the first one."""
    lanes = cnn.processors_per_instance
    if form.streaming:  # FIFO i feeds the first memory instance of quadrant i (section 1, "FIFO rules")
        each = 1 if form.big else lanes
        return tuple(rank // each * cnn.processors_per_quadrant + rank % each for rank in range(count))
    return tuple(range(0, count * lanes, lanes)) if form.big else tuple(range(passes_of(count, cnn).width))


def _lead_pixels(network: Network) -> dict[str, int]:
    """Return the pixels written before each tensor; tensors that a layer reads together have equal ones."""
    leads = {tensor.name: 0 for tensor in network.inputs}
    leads.update({layer.output.name: hardware_form(layer).skipped_pixels for layer in network.layers})
    together = [layer.inputs for layer in network.layers if len(layer.inputs) > 1]
    while True:
        wanted = {name: max(leads[other] for other in names) for names in together for name in names}
        if all(leads[name] == lead for name, lead in wanted.items()):
            return leads
        leads.update(wanted)


def _buffer(
    members: tuple[Member, ...], group: _Group, lead_pixels: int, network: Network, cnn: Cnn
) -> Buffer:
    tensor = members[0].tensor
    pixels = max(_touched_pixels(member.tensor, lead_pixels, network) for member in members)
    size_bytes = (
        4 * pixels * group.interleave * passes_of(tensor.shape[0], cnn).count * tensor.width_bits // 8
    )
    names = {member.tensor.name for member in members}
    made = [index for index, layer in enumerate(network.layers) if layer.output.name in names]
    inputs = {item.name for item in network.inputs}
    read = [index for index, layer in enumerate(network.layers) if names & set(layer.inputs)]
    kept = names & set(network.outputs)
    return Buffer(
        members=members,
        channels=tuple(range(group.width)),
        interleave=group.interleave,
        first=-1 if names & inputs else min(made),
        last=len(network.layers) if kept else max([*made, *read, -1]),
        size_bytes=size_bytes,
    )


def _maker(name: str, network: Network) -> HardwareForm | None:
    """Return the form of the layer that makes tensor ``name``; None: it is an input."""
    return next((hardware_form(layer) for layer in network.layers if layer.output.name == name), None)


def _touched_pixels(tensor: Tensor, lead: int, network: Network) -> int:
    """Return the pixels of one channel that are written or read, ``lead`` before the tensor included."""
    made = _maker(tensor.name, network)
    written = 0 if made is None else lead - made.skipped_pixels + math.prod(made.layer.output.shape[1:])
    readers = [layer for layer in network.layers if tensor.name in layer.inputs]
    read = [math.prod(hardware_form(layer).layer.in_shape[1:]) for layer in readers if not layer.flatten]
    return max(written, lead + max([math.prod(tensor.shape[1:]), *read]))


def _readable_interleaved(network: Network, reader: Layer, name: str, cnn: Cnn) -> bool:
    """Tell whether tensor ``name`` may lie where ``reader`` wants it, for all who read it."""
    if reader.inputs.count(name) > 1:
        return False
    others = [layer for layer in network.layers if name in layer.inputs and layer is not reader]
    group = _group(reader, network, cnn)
    if group.interleave == 1:
        return True
    one_pass = passes_of(network.tensor(name).shape[0], cnn).count == 1
    skips = "read_gap" in cnn.features and one_pass
    return all(skips and len(layer.inputs) == 1 for layer in others)


def _copy_of(tensor: Tensor, reader: Layer, position: int) -> Layer:
    output = replace(tensor, name=f"{reader.name}.operand{position}")
    return Layer(
        output.name, LayerOp.PASSTHROUGH, (tensor.name,), output, tensor.shape, origins=reader.origins
    )


def _alone(tensor: Tensor, cnn: Cnn) -> _Group:
    return _Group((tensor.name,), 1, passes_of(tensor.shape[0], cnn).width)


def _group(layer: Layer, network: Network, cnn: Cnn) -> _Group:
    channels = [network.tensor(name).shape[0] for name in layer.inputs]
    count = len(channels)
    if layer.eltwise is not None:
        width = passes_of(channels[0], cnn).width
        return _Group(layer.inputs, count, width)
    total = passes_of(sum(channels), cnn)
    if total.count == 1:
        lanes = cnn.processors_per_instance
        room = sum(round_up(size, lanes) for size in channels[:-1]) + channels[-1]
        packs = layer.op is LayerOp.PASSTHROUGH or layer.groups > 1  # what it writes has no gaps
        if room > cnn.processors or (packs and room != sum(channels)):
            raise _unaligned(layer, channels, cnn)
        return _Group(layer.inputs, 1, total.width)
    if total.count != count or any(size != total.width for size in channels):
        raise _uneven(layer, channels, total.count, total.width)
    return _Group(layer.inputs, count, total.width)


def _unaligned(layer: Layer, channels: Sequence[int], cnn: Cnn) -> SynergyError:
    return fail(
        "concat-channels",
        "concatenated tensors must begin at a memory instance each, that is, after a multiple of"
        f" {cnn.processors_per_instance} channels",
        layer=layer.name,
        need=f"channels {', '.join(map(str, channels))}",
        have=f"{cnn.processors} processors with multiples of {cnn.processors_per_instance} for each tensor",
        hint="make the channels of the producing layers multiples of 4, or let a convolution read them",
    )


def _uneven(layer: Layer, channels: Sequence[int], passes: int, width: int) -> SynergyError:
    return fail(
        "concat-passes",
        "tensors concatenated beyond one pass must fill one pass each",
        layer=layer.name,
        need=f"channels {', '.join(map(str, channels))}",
        have=f"{passes} tensors of {width} channels",
        hint="make all concatenated tensors equally wide",
    )
