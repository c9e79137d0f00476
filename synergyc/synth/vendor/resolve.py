"""Fills in what a network description leaves open: channels, sizes, maps, offsets (section 7.3)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from synergyc.diagnostics import fail
from synergyc.ir.network import Layer, LayerOp, Tensor
from synergyc.ir.types import Activation, Array, Pool, PoolKind, Shape, frozen_array
from synergyc.synth.geometry import passes_of
from synergyc.synth.lowering import needs_reset
from synergyc.synth.placed import PlacedLayer, PlacedNetwork
from synergyc.synth.vendor.allocate import with_memories
from synergyc.synth.vendor.config import NetworkConfig
from synergyc.synth.vendor.ends import FRACTION_BITS, input_tensors, output_tensor
from synergyc.synth.vendor.entry import BINARY, INPUT, STOP, LayerConfig
from synergyc.synth.vendor.options import VendorOptions
from synergyc.synth.vendor.order import Order, order_of
from synergyc.synth.vendor.parameters import Parameters
from synergyc.targets import Chip, Cnn

_BYPASS_SHIFT = 7
"""Shift with which a single input passes a layer whose weights are 1 unchanged (section 2.4)."""

Plane = tuple[int, int]


@dataclass(frozen=True)
class Resolved:
    """A placed network, the shape of one input tensor, and the layers of the known answer, in order."""

    placed: PlacedNetwork
    input_shape: Shape
    execution: tuple[Layer, ...]


@dataclass
class _Walk:
    """State while layers are resolved in the order of execution; dictionaries are by layer number."""

    config: NetworkConfig
    parameters: Mapping[int, Parameters]
    options: VendorOptions
    cnn: Cnn
    sample: tuple[int, int, int]
    order: Order
    out_channels: dict[int, int] = field(default_factory=dict)
    out_planes: dict[int, Plane] = field(default_factory=dict)
    layers: dict[int, PlacedLayer] = field(default_factory=dict)

    def streams(self, number: int) -> bool:
        """Tell whether a layer starts before its predecessor is done."""
        if number in self.options.streaming_layers:
            return True
        return self.config.layers[number].streaming and not self.options.ignore_streaming


def resolve(
    config: NetworkConfig,
    parameters: Mapping[int, Parameters],
    sample_shape: Shape,
    options: VendorOptions,
    chip: Chip,
) -> Resolved:
    """Return the placed network and what belongs to it; raises SynergyError."""
    rows_columns = (*sample_shape[1:], 1)[:2]
    sample = (sample_shape[0], rows_columns[0], rows_columns[1])
    order = order_of(config, options, links="layer_link" in chip.cnn.features)
    walk = _Walk(config, parameters, options, chip.cnn, sample, order)
    for number in order.path:
        walk.layers[number] = _layer(walk, number, order.before(number))
    layers = _numbered(walk)
    first = walk.layers[order.path[0]]
    inputs, shape = input_tensors(first, sample, chip.cnn)
    last = order.simulated[-1]
    kept = [number for number in order.simulated if config.layers[number].output or number == last]
    placed = PlacedNetwork(
        name=config.arch if config.arch != "test" else config.dataset,
        chip=chip.name,
        layers=layers,
        inputs=inputs,
        outputs=tuple(output_tensor(walk.layers[number], chip.cnn) for number in kept),
        quadrants=(),
        fifo=options.fifo,
        weight_start=options.weight_start,
        first=order.configured.index(order.path[0]),
        last=order.configured.index(order.final),
        snoop=config.snoop,
    )
    restrictions = {
        walk.layers[number].layer.name: config.layers[number].bias_quadrants for number in order.path
    }
    execution = tuple(_simulated(walk, position) for position in range(len(order.simulated)))
    return Resolved(with_memories(placed, chip.cnn, options, restrictions), shape, execution)


def _numbered(walk: _Walk) -> tuple[PlacedLayer, ...]:
    """Return the layers by their numbers in hardware, where layers that clear the averaging logic count."""
    order, extra, numbers = walk.order, 0, {}
    for number in order.configured:
        extra += walk.layers[number].reset_before
        numbers[number] = number + extra
    return tuple(
        replace(
            walk.layers[number],
            hardware_layer=numbers[number],
            follower=_follower(walk, number, numbers),
            stops=number == order.final and number != order.configured[-1],
        )
        for number in order.configured
    )


def _follower(walk: _Walk, number: int, numbers: Mapping[int, int]) -> int | None:
    """Return the hardware layer that must be named as the next one, None where none must."""
    after = walk.order.after(number)
    if after == STOP:
        return None
    if after == number + 1:
        snooped = walk.config.layers[number].snoop_sequence
        if snooped is None:
            return None
        after = snooped
    if after not in numbers:
        raise fail(
            "vendor-value",
            f"snoop_sequence names layer {after}, which never runs",
            location=walk.config.layers[number].location,
        )
    return numbers[after]


def _simulated(walk: _Walk, position: int) -> Layer:
    """Return a layer of the known answer; it reads what ran before it, if it does not say what it reads."""
    order = walk.order
    number = order.simulated[position]
    layer = walk.layers[number].layer
    before = order.simulated[position - 1] if position else None
    if walk.config.layers[number].in_sequences is not None or before == order.before(number):
        return layer
    return replace(layer, inputs=(f"layer{before}",) * len(layer.inputs))


def _layer(walk: _Walk, number: int, previous: int | None) -> PlacedLayer:
    entry = walk.config.layers[number]
    sources = _sources(walk, entry, previous)
    plane = entry.in_dim or _plane_of(walk, sources[0])
    channels, out_channels = _channels(walk, number, entry, sources, first=previous is None)
    layer = _ir_layer(walk, number, entry, (channels, *plane), out_channels, sources)
    walk.out_channels[number] = out_channels
    walk.out_planes[number] = (*layer.output.shape[1:], 1, 1)[:2]  # type: ignore[assignment]
    parameters = walk.parameters.get(number)
    streaming = walk.streams(number)
    read_ahead = entry.read_ahead or walk.options.read_ahead
    grouped = entry.grouped_passes
    if grouped is None:
        grouped = read_ahead and passes_of(layer.in_shape[0], walk.cnn).count > 1
    operands_before = 1 if previous is None else walk.layers[previous].operands
    return PlacedLayer(
        layer=layer,
        hardware_layer=number,
        reset_before=needs_reset(layer, operands_before, walk.cnn),
        processors=entry.processors,
        output_processors=_output_map(walk, number, entry, out_channels),
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
        stream_kernel=streaming or (previous is not None and walk.streams(previous)),
        bypass=entry.bypass,
    )


def _sources(walk: _Walk, entry: LayerConfig, previous: int | None) -> list[int]:
    """Return the numbers of the layers whose outputs are read, INPUT for the input."""
    if entry.in_sequences is None:
        return [INPUT if previous is None else previous]
    for number in entry.in_sequences:
        if number != INPUT and number not in walk.out_channels:
            raise fail(
                "vendor-value",
                f"in_sequences must name earlier layers, not {number}",
                location=entry.location,
            )
    return list(entry.in_sequences)


def _plane_of(walk: _Walk, number: int) -> Plane:
    return (walk.sample[1], walk.sample[2]) if number == INPUT else walk.out_planes[number]


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
    made = [walk.sample[0] if source == INPUT else walk.out_channels[source] for source in sources]
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
    name = f"layer{number}"
    flat = entry.op is LayerOp.CONV1D
    pixels = in_shape[1] * in_shape[2]
    if entry.flatten:
        in_shape = (in_shape[0] // pixels, *in_shape[1:])
    shape = in_shape[:2] if flat else in_shape
    parameters = walk.parameters.get(number)
    bare = Layer(
        name=name,
        op=entry.op,
        inputs=_operands(number, entry, sources),
        output=Tensor(name, (out_channels,), FRACTION_BITS, _width(walk, number, entry)),
        in_shape=shape,
        kernel=entry.kernel[:1] if flat else entry.kernel,
        padding=entry.pad[:1] if flat else entry.pad,
        dilation=entry.dilation[:1] if flat else entry.dilation,
        groups=entry.groups,
        pool=_pool(entry, shape),
        eltwise=entry.eltwise,
        pool_first=entry.pool_first,
        flatten=entry.flatten,
        activation=Activation.NONE if walk.options.ignore_activation else entry.activation,
    )
    out_shape = _out_shape(bare, entry, out_channels)
    if min(bare.pooled_shape) < 1 or min(out_shape) < 1:
        raise fail("vendor-value", f"layer {number} has no pixels left", location=entry.location)
    layer = replace(bare, output=replace(bare.output, shape=out_shape))
    if entry.bypass:
        shift = _BYPASS_SHIFT if entry.output_shift is None else entry.output_shift
        ones = np.ones((out_channels, in_shape[0] // entry.groups, *layer.kernel), dtype=np.int8)
        return replace(layer, weight=frozen_array(ones), output_shift=shift)
    return layer if parameters is None else _with_parameters(layer, parameters, entry)


def _with_parameters(layer: Layer, parameters: Parameters, entry: LayerConfig) -> Layer:
    channels = layer.in_shape[0] * (int(np.prod(layer.in_shape[1:])) if layer.flatten else 1)
    shape: Shape = (layer.output.shape[0], channels // layer.groups)
    if layer.op is LayerOp.CONV_TRANSPOSE2D:
        shape = (channels, layer.output.shape[0] // layer.groups)
    if layer.op is not LayerOp.LINEAR:
        shape = (*shape, *layer.kernel)
    kernel = parameters.weight.shape[2:] if layer.op is not LayerOp.LINEAR else layer.kernel
    if parameters.weight.size != int(np.prod(shape)) or kernel != layer.kernel:
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


def _operands(number: int, entry: LayerConfig, sources: Sequence[int]) -> tuple[str, ...]:
    names = [f"layer{source}" if source != INPUT else "input" for source in sources]
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


def _output_map(walk: _Walk, number: int, entry: LayerConfig, channels: int) -> int:
    """Return O: as given, else P of the next layer, else packed from processor 0."""
    if number == walk.order.final and walk.config.output_map is not None:
        return walk.config.output_map
    if entry.output_processors is not None:
        return entry.output_processors
    follower = number + 1 if entry.next_sequence is None else entry.next_sequence
    if 0 <= follower < len(walk.config.layers):
        return walk.config.layers[follower].processors
    return (1 << passes_of(channels, walk.cnn).width) - 1


def _in_offset(walk: _Walk, entry: LayerConfig, previous: int | None) -> int:
    if previous is None and walk.options.input_offset is not None:
        return walk.options.input_offset
    if entry.in_offset is not None:
        return entry.in_offset
    return 0 if previous is None else walk.config.layers[previous].out_offset


def _width(walk: _Walk, number: int, entry: LayerConfig) -> int:
    if walk.options.output_width is not None and number == walk.order.final:
        return walk.options.output_width
    return entry.output_width
