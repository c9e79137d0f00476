"""Automatic placement of a network: processors, data memory, weight slots, bias bytes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from synergyc.diagnostics import Diagnostic, SynergyError
from synergyc.ir.network import Layer, LayerOp, Network
from synergyc.synth.arrange import Arrangement, Demand, Problem, Tie, arrangements
from synergyc.synth.biases import BiasRequest, allocate_biases, has_biases
from synergyc.synth.buffers import Buffer, Member, buffers_of, with_copies
from synergyc.synth.geometry import geometry_of, passes_of
from synergyc.synth.kernels import KernelImage, kernel_image
from synergyc.synth.lowering import hardware_form, needs_reset
from synergyc.synth.memories import WeightRequest, allocate_weights, used_quadrants
from synergyc.synth.occupancy import bias_bytes_beside, weight_memory_beside
from synergyc.synth.placed import BiasPlace, PlacedLayer, PlacedNetwork, PlacedTensor
from synergyc.synth.verify import check_operators, verify
from synergyc.targets import Chip, Cnn


@dataclass(frozen=True)
class _Options:
    weight_start: int
    first_layer: int
    beside: tuple[PlacedNetwork, ...]


@dataclass(frozen=True, eq=False)
class _Draft:
    """A network whose buffers are arranged; weights and biases are not."""

    network: Network
    chip: Chip
    buffers: tuple[Buffer, ...]
    arrangement: Arrangement
    images: Mapping[str, KernelImage]


def place(
    network: Network,
    chip: Chip,
    *,
    weight_start: int = 0,
    first_layer: int = 0,
    beside: Sequence[PlacedNetwork] = (),
) -> PlacedNetwork:
    """Return ``network`` with a place on ``chip`` for everything.

    Weights go to slot ``weight_start`` and up, layer registers to ``first_layer`` and up. Weights and biases
    stay clear of those of the networks ``beside``, so that all are resident together; their layer registers
    are not looked at.

    Tensors that are needed at the same time never overlap; the input of a layer is needed until the layer is
    done. Raises SynergyError if something does not fit, with the limit and the number asked.
    """
    options = _Options(weight_start, first_layer, tuple(beside))
    expanded = with_copies(network, chip.cnn)
    problems = check_operators(expanded.layers, chip, first_layer=first_layer)
    if problems:
        raise SynergyError(problems)
    images = _images(expanded, chip.cnn)
    failures: list[Diagnostic] = []
    for big_input in _input_formats(expanded, chip.cnn):
        buffers = buffers_of(expanded, chip.cnn, big_input=big_input)
        problem = _problem(expanded, buffers, images, chip.cnn, options)
        found, failed = arrangements(problem)
        failures += failed
        for arrangement in found:
            try:
                return _finish(_Draft(expanded, chip, buffers, arrangement, images), options)
            except SynergyError as error:
                failures += error.diagnostics
    raise SynergyError(failures[0])


def hardware_layers(network: Network, cnn: Cnn) -> int:
    """Return how many layer registers ``network`` takes, with the extra layers that the chip needs."""
    layers = with_copies(network, cnn).layers
    before = [1, *(len(layer.inputs) if layer.eltwise is not None else 1 for layer in layers)]
    resets = (needs_reset(layer, count, cnn) for layer, count in zip(layers, before, strict=False))
    return len(layers) + sum(resets)


def _images(network: Network, cnn: Cnn) -> dict[str, KernelImage]:
    """Return the packed weights by layer; output processors that start aligned all give the same."""
    images = {}
    for layer in network.layers:
        if layer.weight is not None:
            form = hardware_form(layer).layer
            geometry = geometry_of(form, cnn)
            images[layer.name] = kernel_image(form, geometry, (1 << geometry.out_passes.width) - 1, cnn)
    return images


def _input_formats(network: Network, cnn: Cnn) -> tuple[bool, ...]:
    """Return which input formats to try: HWC, then CHW where only the first layer reads the input."""
    if len(network.inputs) != 1:
        return (False,)
    name = network.inputs[0].name
    readers = [layer for layer in network.layers if name in layer.inputs]
    first = network.layers[0]
    fits = network.inputs[0].shape[0] <= cnn.instances
    plain = first.op is not LayerOp.PASSTHROUGH and len(first.inputs) == 1 and not first.flatten
    if readers == [first] and fits and plain and first.groups == 1 and name not in network.outputs:
        return (False, True)
    return (False,)


def _problem(
    network: Network,
    buffers: tuple[Buffer, ...],
    images: Mapping[str, KernelImage],
    cnn: Cnn,
    options: _Options,
) -> Problem:
    memory = weight_memory_beside(options.beside, cnn)
    filled = [
        max(options.weight_start, int(np.count_nonzero(memory.taken[processor, : cnn.slots(processor)])))
        for processor in range(cnn.processors)
    ]
    demands, ties = [], []
    for layer in network.layers:
        index, member = _source(layer, buffers)
        width = _read_width(layer, cnn)
        if layer.name in images:
            demands.append(Demand(index, member.bit, width, images[layer.name].length))
        if layer.op is LayerOp.PASSTHROUGH or layer.groups > 1:
            target, written = _home(layer.output.name, buffers)
            ties.append(Tie(index, target, member.bit - written.bit))
    return Problem(buffers, tuple(demands), tuple(ties), cnn, tuple(filled))


def _home(name: str, buffers: Sequence[Buffer]) -> tuple[int, Member]:
    """Return index of the buffer and member that hold tensor ``name``."""
    for index, buffer in enumerate(buffers):
        member = buffer.member(name)
        if member is not None:
            return index, member
    raise KeyError(name)


def _source(layer: Layer, buffers: Sequence[Buffer]) -> tuple[int, Member]:
    """Return index of the buffer and the first member that ``layer`` reads."""
    return _home(layer.inputs[0], buffers)


def _read_width(layer: Layer, cnn: Cnn) -> int:
    return passes_of(layer.in_shape[0], cnn).width


def _finish(draft: _Draft, options: _Options) -> PlacedNetwork:
    """Place weights and biases; raises SynergyError if they do not fit or a rule is broken."""
    cnn = draft.chip.cnn
    layers = _placed_layers(draft, options.first_layer)
    outputs = tuple(_placed_tensor(draft, name) for name in draft.network.outputs)
    maps = [*(layer.processors for layer in layers), *(tensor.processors for tensor in outputs)]
    quadrants = used_quadrants(maps, cnn)
    slots = _slots(draft, layers, options)
    biases = _biases(layers, quadrants, cnn, options)
    placed = PlacedNetwork(
        name=draft.network.name,
        chip=draft.chip.name,
        layers=tuple(
            replace(layer, weight_slot=slots.get(layer.layer.name, 0), bias=biases.get(layer.layer.name, ()))
            for layer in layers
        ),
        inputs=tuple(_placed_tensor(draft, tensor.name) for tensor in draft.network.inputs),
        outputs=outputs,
        quadrants=quadrants,
        weight_start=options.weight_start,
    )
    problems = verify(placed, draft.chip)
    if problems:
        raise SynergyError(problems)
    return placed


def _placed_layers(draft: _Draft, first_layer: int) -> list[PlacedLayer]:
    """Return the layers in order, numbered, with room for the extra layers that some chips need."""
    layers: list[PlacedLayer] = []
    number = first_layer
    for layer in draft.network.layers:
        before = layers[-1].operands if layers else 1
        resets = needs_reset(layer, before, draft.chip.cnn)
        number += resets
        layers.append(_placed_layer(draft, layer, number, resets=resets))
        number += 1
    return layers


def _placed_layer(draft: _Draft, layer: Layer, hardware_layer: int, *, resets: bool) -> PlacedLayer:
    source, read = _source(layer, draft.buffers)
    target, written = _home(layer.output.name, draft.buffers)
    alone = len(layer.inputs) == 1
    return PlacedLayer(
        layer=layer,
        hardware_layer=hardware_layer,
        processors=_processors(draft, source, read, layer.in_shape[0]),
        output_processors=_processors(draft, target, written, layer.output.shape[0]),
        in_offset_bytes=draft.arrangement.offsets_bytes[source] + 4 * read.word + read.lead_bytes,
        out_offset_bytes=draft.arrangement.offsets_bytes[target] + 4 * written.word + written.lead_bytes,
        write_gap=draft.buffers[target].interleave - 1,
        read_gap=draft.buffers[source].interleave - 1 if alone else 0,
        big=draft.buffers[source].big,
        reset_before=resets,
    )


def _processors(draft: _Draft, index: int, member: Member, channels: int) -> int:
    """Return the map of the processors that hold ``channels`` from ``member`` on."""
    first = draft.arrangement.bases[index] + member.bit
    cnn = draft.chip.cnn
    width = passes_of(channels, cnn).width
    step = cnn.processors_per_instance if draft.buffers[index].big else 1
    return sum(1 << first + step * rank for rank in range(width))


def _placed_tensor(draft: _Draft, name: str) -> PlacedTensor:
    index, member = _home(name, draft.buffers)
    tensor, buffer = member.tensor, draft.buffers[index]
    cnn = draft.chip.cnn
    words = cnn.processors_per_instance if tensor.width_bits > 8 else 1
    return PlacedTensor(
        tensor=tensor,
        processors=_processors(draft, index, member, tensor.shape[0]),
        offset_bytes=draft.arrangement.offsets_bytes[index] + 4 * member.word + member.lead_bytes,
        pixel_words=buffer.interleave * passes_of(tensor.shape[0], cnn).count * words,
        pass_words=buffer.interleave * words,
        big=buffer.big,
    )


def _slots(draft: _Draft, layers: Sequence[PlacedLayer], options: _Options) -> dict[str, int]:
    requests = [
        WeightRequest(
            layer.layer.name, layer.processors, draft.images[layer.layer.name], layer.layer.groups > 1
        )
        for layer in layers
        if layer.layer.name in draft.images
    ]
    cnn = draft.chip.cnn
    memory = weight_memory_beside(options.beside, cnn)
    found = allocate_weights(requests, cnn, start=options.weight_start, memory=memory)
    return {request.name: slot for request, slot in zip(requests, found, strict=True)}


def _biases(
    layers: Sequence[PlacedLayer], quadrants: tuple[int, ...], cnn: Cnn, options: _Options
) -> dict[str, tuple[BiasPlace, ...]]:
    """Return the bias places by layer; biases that are all zero are left out."""
    requests = [BiasRequest(layer, quadrants) for layer in layers if has_biases(layer)]
    found = allocate_biases(requests, cnn, start=bias_bytes_beside(options.beside, cnn))
    return {request.name: places for request, places in zip(requests, found, strict=True)}
