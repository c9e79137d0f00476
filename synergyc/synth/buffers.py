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
from synergyc.synth.lowering import HardwareForm, hardware_form
from synergyc.targets import Cnn


@dataclass(frozen=True)
class Member:
    """A tensor in a buffer: ``bit`` is its first processor, ``word`` its place among interleaved words.

    ``lead_bytes`` are written before it, by a layer that runs in another form (section 5.7).
    """

    tensor: Tensor
    bit: int = 0
    word: int = 0
    lead_bytes: int = 0


@dataclass(frozen=True)
class Buffer:
    """A range of bytes, the same in all memory instances of ``width`` neighbouring processors.

    ``interleave`` tensors alternate word by word. The buffer is needed from layer ``first`` (-1: it is an
    input) to layer ``last``. ``big``: CHW, every fourth processor is in use.
    """

    members: tuple[Member, ...]
    width: int
    interleave: int
    first: int
    last: int
    big: bool
    size_bytes: int

    def member(self, name: str) -> Member | None:
        """Return the member that holds tensor ``name``."""
        return next((member for member in self.members if member.tensor.name == name), None)


@dataclass(frozen=True)
class _Group:
    """Tensors that one layer reads together."""

    tensors: tuple[str, ...]
    interleave: int
    bits: tuple[int, ...]
    width: int


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


def buffers_of(network: Network, cnn: Cnn, *, big_input: bool) -> tuple[Buffer, ...]:
    """Return the buffers that hold all tensors of ``network``, inputs first, in order of making."""
    groups = [_group(layer, network, cnn) for layer in network.layers if len(layer.inputs) > 1]
    owner = {name: group for group in groups for name in group.tensors}
    tensors = (*network.inputs, *(layer.output for layer in network.layers))
    buffers: list[Buffer] = []
    done: set[str] = set()
    for tensor in tensors:
        if tensor.name in done:
            continue
        group = owner.get(tensor.name) or _alone(tensor, cnn)
        done.update(group.tensors)
        members = tuple(
            Member(
                network.tensor(name),
                bit,
                index if group.interleave > 1 else 0,
                _lead_bytes(network.tensor(name), network, cnn),
            )
            for index, (name, bit) in enumerate(zip(group.tensors, group.bits, strict=True))
        )
        big = big_input and tensor in network.inputs
        buffers.append(_buffer(members, group, network, cnn, big=big))
    return tuple(buffers)


def _buffer(members: tuple[Member, ...], group: _Group, network: Network, cnn: Cnn, *, big: bool) -> Buffer:
    tensor = members[0].tensor
    pixels = _written_pixels(tensor, network)
    size_bytes = (
        4 * pixels * group.interleave * passes_of(tensor.shape[0], cnn).count * tensor.width_bits // 8
    )
    width = group.width
    if big:
        width = cnn.processors_per_instance * (tensor.shape[0] - 1) + 1
        size_bytes = round_up(pixels, 4)
    names = {member.tensor.name for member in members}
    made = [index for index, layer in enumerate(network.layers) if layer.output.name in names]
    inputs = {item.name for item in network.inputs}
    read = [index for index, layer in enumerate(network.layers) if names & set(layer.inputs)]
    kept = names & set(network.outputs)
    return Buffer(
        members=members,
        width=width,
        interleave=group.interleave,
        first=-1 if names & inputs else min(made),
        last=len(network.layers) if kept else max([*made, *read, -1]),
        big=big,
        size_bytes=size_bytes,
    )


def _maker(name: str, network: Network) -> HardwareForm | None:
    """Return the form of the layer that makes tensor ``name``; None: it is an input."""
    return next((hardware_form(layer) for layer in network.layers if layer.output.name == name), None)


def _written_pixels(tensor: Tensor, network: Network) -> int:
    """Return the pixels of one channel that are written, those before and behind the tensor included."""
    form = _maker(tensor.name, network)
    pixels = math.prod(tensor.shape[1:])
    return pixels if form is None else max(pixels, math.prod(form.layer.output.shape[1:]))


def _lead_bytes(tensor: Tensor, network: Network, cnn: Cnn) -> int:
    form = _maker(tensor.name, network)
    return 0 if form is None else 4 * form.skipped_pixels * passes_of(tensor.shape[0], cnn).count


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
    return _Group((tensor.name,), 1, (0,), passes_of(tensor.shape[0], cnn).width)


def _group(layer: Layer, network: Network, cnn: Cnn) -> _Group:
    channels = [network.tensor(name).shape[0] for name in layer.inputs]
    count = len(channels)
    if layer.eltwise is not None:
        width = passes_of(channels[0], cnn).width
        return _Group(layer.inputs, count, (0,) * count, width)
    total = passes_of(sum(channels), cnn)
    if total.count == 1:
        bits = tuple(sum(channels[:index]) for index in range(count))
        if any(bit % cnn.processors_per_instance for bit in bits):
            raise _unaligned(layer, channels, cnn)
        return _Group(layer.inputs, 1, bits, total.width)
    if total.count != count or any(size != total.width for size in channels):
        raise _uneven(layer, channels, total.count, total.width)
    return _Group(layer.inputs, count, (0,) * count, total.width)


def _unaligned(layer: Layer, channels: Sequence[int], cnn: Cnn) -> SynergyError:
    return fail(
        "concat-channels",
        "concatenated tensors must have a multiple of 4 channels each, except the last one",
        layer=layer.name,
        need=f"channels {', '.join(map(str, channels))}",
        have=f"multiples of {cnn.processors_per_instance}",
        hint="pad the channels of the producing layers",
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
