"""Fills in what a network description leaves open: channels, sizes, maps, offsets (section 7.3)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from synergyc.diagnostics import fail
from synergyc.ir.network import Layer, LayerOp, Tensor
from synergyc.ir.types import Array, Pool, PoolKind, Shape, frozen_array
from synergyc.synth.geometry import passes_of
from synergyc.synth.lowering import needs_reset
from synergyc.synth.placed import PlacedLayer, PlacedNetwork, PlacedTensor
from synergyc.synth.vendor.allocate import with_memories
from synergyc.synth.vendor.config import NetworkConfig
from synergyc.synth.vendor.entry import BINARY, LayerConfig
from synergyc.synth.vendor.options import VendorOptions
from synergyc.synth.vendor.parameters import Parameters
from synergyc.targets import Chip, Cnn

_INPUT = -1
_FRACTION_BITS = 7
"""The vendor's numbers are Q7; only descriptions depend on it."""

Plane = tuple[int, int]


@dataclass
class _Walk:
    """State while layers are resolved in order; lists are indexed by layer number."""

    config: NetworkConfig
    parameters: Mapping[int, Parameters]
    options: VendorOptions
    cnn: Cnn
    sample: tuple[int, int, int]
    out_channels: dict[int, int] = field(default_factory=dict)
    out_planes: dict[int, Plane] = field(default_factory=dict)
    layers: list[PlacedLayer] = field(default_factory=list)
    resets: int = 0


def resolve(
    config: NetworkConfig,
    parameters: Mapping[int, Parameters],
    sample_shape: Shape,
    options: VendorOptions,
    chip: Chip,
) -> tuple[PlacedNetwork, Shape]:
    """Return the placed network and the shape of one input tensor; raises SynergyError."""
    rows_columns = (*sample_shape[1:], 1)[:2]
    walk = _Walk(config, parameters, options, chip.cnn, (sample_shape[0], rows_columns[0], rows_columns[1]))
    numbers = _order(config, options)
    for position, number in enumerate(numbers):
        previous = numbers[position - 1] if position else _INPUT
        walk.layers.append(_layer(walk, number, previous, final=position == len(numbers) - 1))
    first = walk.layers[0]
    inputs, shape = _inputs(walk, first)
    outputs = [
        _output(layer, chip.cnn)
        for number, layer in zip(numbers, walk.layers, strict=True)
        if config.layers[number].output or number == numbers[-1]
    ]
    restrictions = {
        layer.layer.name: config.layers[number].bias_quadrants
        for number, layer in zip(numbers, walk.layers, strict=True)
    }
    placed = PlacedNetwork(
        name=config.arch if config.arch != "test" else config.dataset,
        chip=chip.name,
        layers=tuple(walk.layers),
        inputs=inputs,
        outputs=tuple(outputs),
        quadrants=(),
        fifo=options.fifo,
        weight_start=options.weight_start,
    )
    return with_memories(placed, chip.cnn, options, restrictions), shape


def _order(config: NetworkConfig, options: VendorOptions) -> list[int]:
    """Return the numbers of the layers that run, in order."""
    order: list[int] = []
    number = options.start_layer
    stop = None if options.stop_after is None else options.stop_after - options.skip_yaml_layers
    while number < len(config.layers):
        order.append(number)
        follower = config.layers[number].next_sequence
        if number == stop or follower in {"stop", _INPUT}:
            break
        if follower is not None and follower != number + 1:
            raise fail(
                "vendor-unsupported",
                f"unsupported next_sequence {follower!r}",
                location=config.layers[number].location,
            )
        number += 1
    if not order:
        raise fail("vendor-option", f"there is no layer {options.start_layer} to start at")
    if stop is not None and stop not in order:
        raise fail("vendor-option", f"there is no layer {options.stop_after} to stop after")
    return order


def _layer(walk: _Walk, number: int, previous: int, *, final: bool) -> PlacedLayer:
    entry = walk.config.layers[number]
    sources = _sources(walk, entry, previous)
    plane = entry.in_dim or _plane_of(walk, sources[0])
    channels, out_channels = _channels(walk, number, entry, sources, first=previous == _INPUT)
    layer = _ir_layer(walk, number, entry, (channels, *plane), out_channels, sources)
    walk.out_channels[number] = out_channels
    walk.out_planes[number] = (*layer.output.shape[1:], 1, 1)[:2]  # type: ignore[assignment]
    parameters = walk.parameters.get(number)
    last = walk.layers[-1] if walk.layers else None
    resets = needs_reset(layer, last.operands if last else 1, walk.cnn)
    streaming = entry.streaming and not walk.options.ignore_streaming
    read_ahead = entry.read_ahead or walk.options.read_ahead
    grouped = entry.grouped_passes
    if grouped is None:
        grouped = read_ahead and passes_of(layer.in_shape[0], walk.cnn).count > 1
    placed = PlacedLayer(
        layer=layer,
        hardware_layer=number + walk.resets + resets,
        reset_before=resets,
        processors=entry.processors,
        output_processors=_output_map(walk, number, entry, out_channels, final=final),
        in_offset_bytes=_in_offset(walk, entry, previous),
        out_offset_bytes=entry.out_offset,
        write_gap=entry.write_gap,
        read_gap=entry.read_gap,
        big=entry.big,
        binary=parameters is not None and parameters.bits == BINARY,
        streaming=streaming,
        fourfold=entry.fourfold or (walk.options.calcx4 and parameters is not None),
        read_ahead=read_ahead,
        grouped_passes=grouped,
        stream_kernel=streaming or (last is not None and last.streaming),
    )
    walk.resets += resets
    return placed


def _sources(walk: _Walk, entry: LayerConfig, previous: int) -> list[int]:
    """Return the numbers of the layers whose outputs are read, -1 for the input."""
    if entry.in_sequences is None:
        return [previous]
    names = {layer.name.lower(): index for index, layer in enumerate(walk.config.layers) if layer.name}
    found = []
    for reference in entry.in_sequences:
        number = names.get(reference.lower()) if isinstance(reference, str) else reference
        number = _INPUT if isinstance(reference, str) and reference.lower() == "input" else number
        if number is None or (number != _INPUT and number not in walk.out_channels):
            raise fail(
                "vendor-value",
                f"in_sequences must name earlier layers, not {reference!r}",
                location=entry.location,
            )
        found.append(number)
    return found


def _plane_of(walk: _Walk, number: int) -> Plane:
    return (walk.sample[1], walk.sample[2]) if number == _INPUT else walk.out_planes[number]


def _channels(
    walk: _Walk, number: int, entry: LayerConfig, sources: Sequence[int], *, first: bool
) -> tuple[int, int]:
    """Return the channels of one operand (before flattening: values) and of the output."""
    parameters = walk.parameters.get(number)
    channels = out_channels = 0
    if parameters is not None:
        shape = parameters.weight.shape
        transposed = entry.op is LayerOp.CONV_TRANSPOSE2D
        out_channels, channels = (shape[1], shape[0]) if transposed else (shape[0], shape[1])
        if entry.groups > 1:
            channels = out_channels = max(channels, out_channels)
    made = [walk.sample[0] if source == _INPUT else walk.out_channels[source] for source in sources]
    if entry.in_sequences is not None:
        if len(set(made)) > 1:
            raise fail(
                "vendor-value",
                f"in_sequences must have equal channel counts, not {made}",
                location=entry.location,
            )
        channels = made[0] if entry.eltwise is not None else sum(made)
    if channels <= 0:
        channels = walk.sample[0] // entry.operands if first else made[0]
    channels = entry.in_channels or channels
    return channels, entry.out_channels or out_channels or channels


def _ir_layer(
    walk: _Walk, number: int, entry: LayerConfig, in_shape: Shape, out_channels: int, sources: Sequence[int]
) -> Layer:
    """Return the layer in the form that the rest of the program uses."""
    name = _name(walk, number)
    flat = entry.op is LayerOp.CONV1D
    pixels = in_shape[1] * in_shape[2]
    if entry.flatten:
        in_shape = (in_shape[0] // pixels, *in_shape[1:])
    shape = in_shape[:2] if flat else in_shape
    parameters = walk.parameters.get(number)
    bare = Layer(
        name=name,
        op=entry.op,
        inputs=_operands(walk, number, entry, sources),
        output=Tensor(name, (out_channels,), _FRACTION_BITS, _width(walk, number, entry)),
        in_shape=shape,
        kernel=entry.kernel[:1] if flat else entry.kernel,
        padding=entry.pad[:1] if flat else entry.pad,
        dilation=entry.dilation[:1] if flat else entry.dilation,
        groups=entry.groups,
        pool=_pool(entry, shape),
        eltwise=entry.eltwise,
        pool_first=entry.pool_first,
        flatten=entry.flatten,
        activation=entry.activation,
    )
    out_shape = _out_shape(bare, entry, out_channels)
    if min(bare.pooled_shape) < 1 or min(out_shape) < 1:
        raise fail("vendor-value", f"layer {number} has no pixels left", location=entry.location)
    layer = replace(bare, output=replace(bare.output, shape=out_shape))
    return layer if parameters is None else _with_parameters(layer, parameters, entry)


def _with_parameters(layer: Layer, parameters: Parameters, entry: LayerConfig) -> Layer:
    channels = layer.in_shape[0] * (int(np.prod(layer.in_shape[1:])) if layer.flatten else 1)
    shape: Shape = (layer.output.shape[0], channels // layer.groups)
    if layer.op is LayerOp.CONV_TRANSPOSE2D:
        shape = (channels, layer.output.shape[0] // layer.groups)
    if layer.op is not LayerOp.LINEAR:
        shape = (*shape, *layer.kernel)
    if parameters.weight.size != int(np.prod(shape)):
        raise fail(
            "vendor-weights",
            "weights do not have the shape that the layer needs",
            location=entry.location,
            need=f"{shape}",
            have=f"{parameters.weight.shape}",
        )
    return replace(
        layer,
        weight=frozen_array(parameters.weight.reshape(shape), np.int8),
        bias=_bias(parameters, layer, entry),
        weight_bits=abs(parameters.bits),
        output_shift=parameters.output_shift,
    )


def _bias(parameters: Parameters, layer: Layer, entry: LayerConfig) -> Array | None:
    if parameters.bias is None:
        return None
    if parameters.bias.shape != (layer.output.shape[0],):
        raise fail(
            "vendor-weights",
            "there must be one bias for each output channel",
            location=entry.location,
            need=f"{layer.output.shape[0]}",
            have=f"{parameters.bias.size}",
        )
    return frozen_array(parameters.bias, np.int8)


def _operands(walk: _Walk, number: int, entry: LayerConfig, sources: Sequence[int]) -> tuple[str, ...]:
    names = [f"layer{source}" if source != _INPUT else "input" for source in sources]
    if entry.eltwise is None or len(names) == entry.operands:
        return tuple(names)
    if len(names) > 1:
        raise fail("vendor-value", f"layer {number} needs {entry.operands} operands", location=entry.location)
    if names == ["input"]:
        return tuple(f"input{index}" for index in range(entry.operands))
    return tuple(names * entry.operands)


def _pool(entry: LayerConfig, shape: Shape) -> Pool | None:
    window = entry.window if len(shape) < 3 or shape[2] > 1 or entry.window[1] == 1 else (entry.window[0], 1)
    if entry.op is not LayerOp.PASSTHROUGH:
        window = entry.window
    if entry.pool_kind is None and entry.pool_stride == 1:
        return None
    return Pool(entry.pool_kind or PoolKind.MAX, window, entry.pool_stride, entry.pool_dilation)


def _out_shape(layer: Layer, entry: LayerConfig, out_channels: int) -> Shape:
    sizes = layer.pooled_shape[1:]
    if layer.flatten:
        return (out_channels,)
    if layer.op is LayerOp.CONV_TRANSPOSE2D:
        extra = 3 + entry.output_padding - 2
        return (
            out_channels,
            *(2 * size - 2 * pad + extra for size, pad in zip(sizes, entry.pad, strict=True)),
        )
    reach = [step * (kernel - 1) for step, kernel in zip(entry.dilation, entry.kernel, strict=True)]
    return (
        out_channels,
        *(size + 2 * pad - less for size, pad, less in zip(sizes, entry.pad, reach, strict=False)),
    )


def _output_map(walk: _Walk, number: int, entry: LayerConfig, channels: int, *, final: bool) -> int:
    """Return O: as given, else P of the next layer, else packed from processor 0."""
    if final and walk.config.output_map is not None:
        return walk.config.output_map
    if entry.output_processors is not None:
        return entry.output_processors
    if number + 1 < len(walk.config.layers) and entry.next_sequence not in {"stop", _INPUT}:
        return walk.config.layers[number + 1].processors
    return (1 << passes_of(channels, walk.cnn).width) - 1


def _in_offset(walk: _Walk, entry: LayerConfig, previous: int) -> int:
    if previous == _INPUT and walk.options.input_offset is not None:
        return walk.options.input_offset
    if entry.in_offset is not None:
        return entry.in_offset
    return 0 if previous == _INPUT else walk.config.layers[previous].out_offset


def _width(walk: _Walk, number: int, entry: LayerConfig) -> int:
    if walk.options.output_width is not None and number == len(walk.config.layers) - 1:
        return walk.options.output_width
    return entry.output_width


def _name(walk: _Walk, number: int) -> str:
    return f"layer{number}"


def _inputs(walk: _Walk, first: PlacedLayer) -> tuple[tuple[PlacedTensor, ...], Shape]:
    """Return the input tensors as the first layer reads them, and the shape of each."""
    operands = first.operands
    if walk.sample[0] % operands:
        raise fail("vendor-sample", f"sample channels must be a multiple of {operands}, not {walk.sample[0]}")
    shape: Shape = (walk.sample[0] // operands, *walk.sample[1:])
    if first.layer.op is LayerOp.CONV1D:
        shape = shape[:2]
    passes, width = passes_of(shape[0], walk.cnn).count, passes_of(shape[0], walk.cnn).width
    if width != first.processors.bit_count():
        raise fail(
            "vendor-sample",
            "the sample's channels must fit the processors of the first layer",
            need=f"{first.processors.bit_count()} processors in {passes} passes",
            have=f"{width} for {shape[0]} channels",
        )
    names = dict.fromkeys(first.layer.inputs)
    tensors = tuple(
        PlacedTensor(
            tensor=Tensor(name, shape, _FRACTION_BITS),
            processors=first.processors,
            offset_bytes=first.in_offset_bytes + 4 * index,
            pixel_words=passes * operands,
            pass_words=operands,
            big=first.big,
        )
        for index, name in enumerate(names)
    )
    return tensors, shape


def _output(layer: PlacedLayer, cnn: Cnn) -> PlacedTensor:
    output = layer.layer.output
    words = (layer.write_gap + 1) * (cnn.processors_per_instance if layer.layer.wide else 1)
    return PlacedTensor(
        tensor=output,
        processors=layer.output_processors,
        offset_bytes=layer.out_offset_bytes,
        pixel_words=passes_of(output.shape[0], cnn).count * words,
        pass_words=words,
    )
