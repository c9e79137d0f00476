"""A network on its way to a placement: its buffers are known, where they lie is not."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from synergyc.ir.network import Layer, LayerOp, Network
from synergyc.synth.arrange import Arrangement, Copy, Demand, Problem, Taken, Tie, groups_of, tied
from synergyc.synth.buffers import Buffer, InputForm, Member, buffers_of, joined_at, overlays_of
from synergyc.synth.geometry import passes_of
from synergyc.synth.kernels import KernelImage
from synergyc.synth.lowering import needs_reset
from synergyc.synth.memories import used_quadrants
from synergyc.synth.occupancy import aligned_image
from synergyc.synth.placed import PlacedLayer, PlacedNetwork, PlacedTensor
from synergyc.targets import Chip, Cnn


@dataclass(frozen=True, eq=False)
class Draft:
    """One network with its buffers and packed weights; copies are among its layers already."""

    network: Network
    chip: Chip
    form: InputForm
    first_layer: int
    buffers: tuple[Buffer, ...]
    images: Mapping[str, KernelImage]

    @property
    def cnn(self) -> Cnn:
        """The chip's accelerator."""
        return self.chip.cnn

    def home(self, name: str) -> tuple[int, Member]:
        """Return the index of the buffer that holds tensor ``name``, and the tensor's part of it."""
        for index, buffer in enumerate(self.buffers):
            member = buffer.member(name)
            if member is not None:
                return index, member
        raise KeyError(name)

    def channels(self, index: int, count: int) -> tuple[int, ...]:
        """Return the processors of ``count`` channels from a buffer's first on, relative to that."""
        width = passes_of(count, self.cnn).width
        return self.buffers[index].channels[:width]

    def read_channels(self, layer: Layer) -> tuple[int, ...]:
        """Return the processors that ``layer`` reads, relative to the first of its first input's buffer."""
        starts = joined_at(layer, self.network, self.cnn)
        if not starts:
            return self.channels(self.home(layer.inputs[0])[0], layer.in_shape[0])
        counts = [self.network.tensor(name).shape[0] for name in layer.inputs]
        return tuple(
            first + rank
            for first, count in zip(starts.values(), counts, strict=True)
            for rank in range(count)
        )


def draft_of(network: Network, chip: Chip, form: InputForm, first_layer: int) -> Draft:
    """Return the draft of ``network``, whose copies have been added."""
    images = {
        layer.name: aligned_image(layer, chip.cnn, streaming=stream_kernel(index, form))
        for index, layer in enumerate(network.layers)
        if layer.weight is not None
    }
    return Draft(network, chip, form, first_layer, buffers_of(network, chip.cnn, form), images)


def stream_kernel(index: int, form: InputForm) -> bool:
    """Tell whether 1x1 kernels of a layer run as 3x3: it streams, or the one before does."""
    return form.streaming > 0 and index <= form.streaming


def problem_of(
    drafts: Sequence[Draft],
    *,
    overlays: bool,
    sharing: bool = False,
    taken: Sequence[Taken] = (),
    weight_start: int = 0,
) -> Problem:
    """Return the problem of arranging all ``drafts`` at once; they run one after the other.

    ``overlays``: outputs may lie over inputs. ``sharing``: layers with equal weights use the same processors
    and slots.
    """
    parts: list[Problem] = []
    first = time = 0
    for draft in drafts:
        parts.append(_part(draft, first, time, overlays=overlays))
        first += len(draft.buffers)
        time += len(draft.network.layers) + 2
    problem = Problem(
        buffers=tuple(item for part in parts for item in part.buffers),
        demands=tuple(item for part in parts for item in part.demands),
        ties=tuple(item for part in parts for item in part.ties),
        cnn=drafts[0].cnn,
        networks=tuple(item for part in parts for item in part.networks),
        overlays=tuple(item for part in parts for item in part.overlays),
        taken=tuple(taken),
        copies=tuple(item for part in parts for item in part.copies),
        weight_start=weight_start,
    )
    return with_sharing(problem, _contents(drafts)) if sharing else problem


def _part(draft: Draft, first: int, time: int, *, overlays: bool) -> Problem:
    """Return the problem of one draft: its buffers count from ``first``, its layers run from ``time``."""
    lays = overlays_of(draft.network, draft.buffers, draft.cnn) if overlays else ()
    return Problem(
        buffers=tuple(
            replace(item, first=item.first + time, last=item.last + time) for item in draft.buffers
        ),
        demands=tuple(replace(item, buffer=item.buffer + first) for item in demands_of(draft)),
        ties=tuple(
            replace(item, buffer=item.buffer + first, other=item.other + first) for item in _ties_of(draft)
        ),
        cnn=draft.cnn,
        networks=(tuple(range(first, first + len(draft.buffers))),),
        overlays=tuple(
            replace(item, output=item.output + first, source=item.source + first) for item in lays
        ),
        copies=tuple(replace(item, buffer=item.buffer + first) for item in _copies_of(draft)),
    )


def _contents(drafts: Sequence[Draft]) -> list[bytes]:
    """Return the packed weights of each demand."""
    return [
        draft.images[layer.name].content.tobytes()
        for draft in drafts
        for layer in draft.network.layers
        if layer.name in draft.images
    ]


def shares_weights(drafts: Sequence[Draft]) -> bool:
    """Tell whether any two layers have equal weights."""
    contents = _contents(drafts)
    return len(set(contents)) < len(contents)


def with_sharing(problem: Problem, contents: Sequence[bytes]) -> Problem:
    """Return ``problem`` in which demands for equal ``contents`` are met once, where ties allow that."""
    known: dict[tuple[bytes, tuple[int, ...]], int] = {}
    for number, content in enumerate(contents):
        demand = problem.demands[number]
        first = known.setdefault((content, demand.processors), number)
        if first == number:
            continue
        places = {buffer: (group, delta) for group in tied(problem) for buffer, delta in group}
        one, two = problem.demands[first].buffer, demand.buffer
        if places[one][0] is places[two][0] and places[one][1] != places[two][1]:
            continue  # ties hold them apart
        demands = list(problem.demands)
        demands[number] = replace(demand, same_as=first)
        ties = (*problem.ties, Tie(one, two, 0))
        problem = replace(problem, demands=tuple(demands), ties=ties)
    return problem


def demands_of(draft: Draft) -> tuple[Demand, ...]:
    """Return the weights that layers need in the processors of what they read, in order of the layers."""
    found = []
    for layer in draft.network.layers:
        if layer.name in draft.images:
            index, _ = draft.home(layer.inputs[0])
            processors = draft.read_channels(layer)
            whole = layer.groups > 1 and draft.cnn.generation == "ai87"
            found.append(Demand(index, processors, draft.images[layer.name].length, whole))
    return tuple(found)


def _copies_of(draft: Draft) -> list[Copy]:
    """Return the layers without weights: how long they write depends on the quadrants they are in."""
    return [
        Copy(
            draft.home(layer.inputs[0])[0],
            draft.read_channels(layer),
            math.prod(layer.output.shape[1:]) * passes_of(layer.output.shape[0], draft.cnn).count,
        )
        for layer in draft.network.layers
        if layer.op is LayerOp.PASSTHROUGH
    ]


def _ties_of(draft: Draft) -> list[Tie]:
    """Return the buffers that a layer joins, and those between which it leaves data in its processors."""
    found = []
    for layer in draft.network.layers:
        source, _ = draft.home(layer.inputs[0])
        if layer.op is LayerOp.PASSTHROUGH or layer.groups > 1:
            target, _ = draft.home(layer.output.name)
            found.append(Tie(source, target, 0))
        for name, first in joined_at(layer, draft.network, draft.cnn).items():
            index, _ = draft.home(name)
            if index != source:
                found.append(Tie(source, index, first, level=True))
    return found


def contradictions(network: Network, chip: Chip) -> int:
    """Return how many of the places that layers of ``network`` ask for contradict others; 0: none does."""
    draft = Draft(network, chip, InputForm(), 0, buffers_of(network, chip.cnn, InputForm()), {})
    return groups_of(len(draft.buffers), _ties_of(draft))[1]


def part_of(arrangement: Arrangement, drafts: Sequence[Draft], number: int) -> Arrangement:
    """Return the arrangement of one of several drafts."""
    first = sum(len(draft.buffers) for draft in drafts[:number])
    end = first + len(drafts[number].buffers)
    slots = arrangement.slots
    if slots is not None:
        start = sum(len(draft.images) for draft in drafts[:number])
        slots = slots[start : start + len(drafts[number].images)]
    return Arrangement(arrangement.bases[first:end], arrangement.offsets_bytes[first:end], slots)


def placed_network(draft: Draft, arrangement: Arrangement, weight_start: int) -> PlacedNetwork:
    """Return the network as ``arrangement`` has it, weight slots and biases left out."""
    layers = _placed_layers(draft, arrangement)
    outputs = tuple(_placed_tensor(draft, arrangement, name) for name in draft.network.outputs)
    maps = [*(layer.processors for layer in layers), *(tensor.processors for tensor in outputs)]
    return PlacedNetwork(
        name=draft.network.name,
        chip=draft.chip.name,
        layers=tuple(layers),
        inputs=tuple(_placed_tensor(draft, arrangement, tensor.name) for tensor in draft.network.inputs),
        outputs=outputs,
        quadrants=used_quadrants(maps, draft.cnn),
        fifo=draft.form.streaming > 0,
        weight_start=weight_start,
    )


def _placed_layers(draft: Draft, arrangement: Arrangement) -> list[PlacedLayer]:
    """Return the layers in order, numbered, with room for the extra layers that some chips need."""
    layers: list[PlacedLayer] = []
    number = draft.first_layer
    for index, layer in enumerate(draft.network.layers):
        before = layers[-1].operands if layers else 1
        resets = needs_reset(layer, before, draft.cnn)
        number += resets
        placed = _placed_layer(draft, arrangement, layer, number)
        layers.append(
            replace(
                placed,
                reset_before=resets,
                streaming=index < draft.form.streaming,
                stream_kernel=stream_kernel(index, draft.form),
            )
        )
        number += 1
    return layers


def _placed_layer(draft: Draft, arrangement: Arrangement, layer: Layer, hardware_layer: int) -> PlacedLayer:
    source, read = draft.home(layer.inputs[0])
    target, written = draft.home(layer.output.name)
    alone = len(layer.inputs) == 1
    return PlacedLayer(
        layer=layer,
        hardware_layer=hardware_layer,
        processors=_map(arrangement.bases[source], draft.read_channels(layer)),
        output_processors=_map(arrangement.bases[target], draft.channels(target, layer.output.shape[0])),
        in_offset_bytes=arrangement.offsets_bytes[source] + 4 * read.word + read.lead_bytes,
        out_offset_bytes=arrangement.offsets_bytes[target] + 4 * written.word + written.lead_bytes,
        write_gap=draft.buffers[target].interleave - 1,
        read_gap=draft.buffers[source].interleave - 1 if alone else 0,
        big=draft.buffers[source].big,
    )


def _map(base: int, processors: Sequence[int]) -> int:
    """Return the map of ``processors``, which are relative to ``base``."""
    return sum(1 << base + processor for processor in processors)


def _placed_tensor(draft: Draft, arrangement: Arrangement, name: str) -> PlacedTensor:
    index, member = draft.home(name)
    tensor, buffer = member.tensor, draft.buffers[index]
    words = draft.cnn.processors_per_instance if tensor.width_bits > 8 else 1
    return PlacedTensor(
        tensor=tensor,
        processors=_map(arrangement.bases[index], draft.channels(index, tensor.shape[0])),
        offset_bytes=arrangement.offsets_bytes[index] + 4 * member.word + member.lead_bytes,
        pixel_words=buffer.interleave * passes_of(tensor.shape[0], draft.cnn).count * words,
        pass_words=buffer.interleave * words,
        big=buffer.big,
    )
