"""What options and network ask of the chip together: features, FIFOs, streaming, room for data.

The limits of single layers are those of ``synergyc.synth.verify``.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from synergyc.diagnostics import Diagnostic
from synergyc.ir.network import Layer
from synergyc.synth.geometry import geometry_of
from synergyc.synth.native import stream_buffers
from synergyc.synth.placed import PlacedLayer, PlacedNetwork
from synergyc.synth.vendor.config import NetworkConfig
from synergyc.synth.vendor.entry import BINARY
from synergyc.synth.vendor.options import VendorOptions
from synergyc.synth.verify import check_limits, verify
from synergyc.targets import Chip, Cnn

_WORD_BYTES = 4
_FIFO_CHANNELS = {True: 4, False: 16}
"""Channels that come through the FIFOs, for CHW and HWC input (section 1, "FIFO rules")."""
_FIFO_PROCESSORS = {True: 0x0001, False: 0x000F}
"""Processors of a quadrant that a FIFO feeds."""
_PLL = "ipll"
_STREAM_LAYERS = 8
"""Only so many layers can stream (section 1)."""


def option_problems(config: NetworkConfig, options: VendorOptions, chip: Chip) -> Iterator[Diagnostic]:
    """Yield what needs an accelerator that the chip does not have, and options that exclude each other."""
    layers = config.layers
    control, project = options.control, options.project
    needs = {
        "start_layer": ("--start-layer", options.start_layer > 0),
        "one_shot": ("--one-shot", control.one_shot),
        "layer_link": ("--link-layer", control.link_layers),
        "calcx4": ("--calcx4", options.calcx4 or any(layer.fourfold for layer in layers)),
        "read_ahead": ("--read-ahead", options.read_ahead or any(layer.read_ahead for layer in layers)),
        "snoop": ("snoop", bool(config.snoop) or control.snoop_loop),
        "kernel_bypass": ("bypass", any(layer.bypass for layer in layers)),
        "binary_weights": ("binary weights", any(layer.quantization == BINARY for layer in layers)),
    }
    for feature, (option, wanted) in needs.items():
        if wanted and feature not in chip.cnn.features:
            yield _problem(f"{chip.part} has no registers for {option}")
    if control.fifo_go and chip.cnn.generation == "ai85":
        yield _problem(f"{chip.part} has no registers for --fifo-go")
    if control.one_shot and project.timer is not None:
        yield _problem("--timer measures whole runs, not the layers of --one-shot")
    if not project.slow_load and not (project.pll and _PLL in chip.clocks.oscillators_hz):
        yield _problem("--max-speed needs the PLL")
    if options.debug_snoop and not config.snoop:
        yield _problem("--debug-snoop needs a network with snoop")
    if control.repeat < 1:
        yield _problem(f"--repeat-layers must be at least 1, not {control.repeat}")
    if options.synthesize_input is not None and not options.fifo:
        yield _problem("--synthesize-input needs --fifo")
    if options.fifo and options.start_layer:
        yield _problem("--fifo feeds layer 0: --start-layer must be 0")


def network_problems(
    placed: PlacedNetwork, execution: tuple[Layer, ...], chip: Chip, options: VendorOptions
) -> tuple[Diagnostic, ...]:
    """Return the limits that the network breaks, and where data overwrites what is still needed.

    ``execution``: the layers in the order in which they run. ``--overlap-data`` allows overwriting.
    """
    problems = [*check_limits(placed, chip), *_streaming(placed, chip.cnn, options)]
    registers = options.control.repeat * (placed.layers[-1].hardware_layer + 1)
    if options.control.repeat > 1 and registers > chip.cnn.limits.layers:
        problems.append(
            Diagnostic(
                "layers",
                "--repeat-layers needs registers for each copy of the layers",
                need=f"{registers} layers",
                have=f"{chip.cnn.limits.layers} layers",
            )
        )
    if placed.fifo:
        problems += _fifo(placed)
    if problems:
        return tuple(problems)
    if placed.fifo or any(layer.streaming for layer in placed):
        problems += _room(placed, chip.cnn)
        if placed.fifo and not options.overlap_data:
            problems += _buffers(placed, chip, options)
        return tuple(problems)
    by_name = {layer.layer.name: layer for layer in placed}
    # Copies read the same input: what the second one needs, all need.
    copies = min(options.control.repeat, 2)
    path = replace(placed, layers=tuple(by_name[layer.name] for layer in execution) * copies)
    # One tensor as several operands is legal here, and layers may run in any order.
    ignored = {"data-shape", "layer-order", *(("data-overlap",) if options.overlap_data else ())}
    return tuple(problem for problem in verify(path, chip) if problem.rule not in ignored)


def _fifo(placed: PlacedNetwork) -> Iterator[Diagnostic]:
    first = placed.layers[0]
    channels, limit = first.layer.in_shape[0], _FIFO_CHANNELS[first.big]
    reached = sum(_FIFO_PROCESSORS[first.big] << 16 * quadrant for quadrant in range(4))
    if channels > limit or first.processors & ~reached:
        yield Diagnostic(
            "fifo-input",
            "the input cannot come through FIFOs",
            layer=first.layer.name,
            need=f"{channels} channels in processors {first.processors:#018x}",
            have=f"{limit} channels in processors {reached:#018x}",
            hint="without --fifo the input lies in memory",
        )


def _streaming(placed: PlacedNetwork, cnn: Cnn, options: VendorOptions) -> Iterator[Diagnostic]:
    """Streaming layers lead, are few, and have what the generation's streaming logic needs."""
    layers = placed.layers
    for index, layer in enumerate(layers):
        if not layer.streaming:
            continue
        follower = layers[index + 1] if index + 1 < len(layers) else None
        last = follower is None or not follower.streaming
        reasons = {
            "streams, but the layer before does not": index > 0 and not layers[index - 1].streaming,
            "streams, but is not among the first 8": layer.hardware_layer >= _STREAM_LAYERS,
            "streams, but execution starts at another layer": options.start_layer > 0,
            "streams from memory: that needs --fifo": index == 0
            and not placed.fifo
            and not options.allow_streaming,
            "streams and flattens": layer.layer.flatten,
            "is the last that streams, and needs padding": cnn.generation == "ai85"
            and last
            and 0 in layer.form.layer.padding,
            "streams without a convolution": cnn.generation == "ai87" and layer.passthrough,
            "streams, but does not run before the next one": layer.follower is not None,
        }
        yield from (
            Diagnostic("streaming", f"the layer {reason}", layer=layer.layer.name)
            for reason, wrong in reasons.items()
            if wrong
        )


def _room(placed: PlacedNetwork, cnn: Cnn) -> Iterator[Diagnostic]:
    """Tensors that lie in memory as a whole must fit a data memory instance."""
    for layer in placed:
        geometry = geometry_of(layer.layer, cnn)
        in_bytes = geometry.pixels * geometry.in_passes.count * geometry.operands
        in_bytes *= 1 if layer.big else _WORD_BYTES
        out_bytes = geometry.out_pixels * geometry.out_passes.count * layer.layer.output.width_bits // 2
        parts = [("output", layer.out_offset_bytes, out_bytes)] if _is_stored(layer, placed) else []
        parts += [] if layer.streaming else [("input", layer.in_offset_bytes, in_bytes)]
        for name, offset, size in parts:
            if offset + size > cnn.instance_bytes:
                yield Diagnostic(
                    "data-memory",
                    f"the {name} does not fit a memory instance at its offset",
                    layer=layer.layer.name,
                    need=f"{offset + size} bytes",
                    have=f"{cnn.instance_bytes} bytes",
                )


def _is_stored(layer: PlacedLayer, placed: PlacedNetwork) -> bool:
    """Tell whether the output is ever complete in memory."""
    return not layer.streaming or layer is placed.layers[placed.last]


def _buffers(placed: PlacedNetwork, chip: Chip, options: VendorOptions) -> Iterator[Diagnostic]:
    """Circular buffers of streaming layers overlap neither each other nor the output of the last one."""
    sizes = stream_buffers(placed, chip, options.control)
    streaming = [layer for layer in placed if layer.streaming]
    used: list[tuple[str, int, int, int]] = []
    for layer in streaming:
        words = sizes[layer.layer.name]
        used.append(
            (layer.layer.name, layer.processors, layer.in_offset_bytes, layer.in_offset_bytes + 4 * words)
        )
    if streaming:
        last = streaming[-1]
        geometry = geometry_of(last.layer, chip.cnn)
        end = last.out_offset_bytes + geometry.out_pixels * last.layer.output.width_bits // 2
        used.append((f"{last.layer.name} (output)", last.output_processors, last.out_offset_bytes, end))
    for index, (name, processors, first, end) in enumerate(used):
        for other, others, start, stop in used[:index]:
            shared = _instances(processors, chip.cnn) & _instances(others, chip.cnn)
            if shared and first < stop and start < end:
                yield Diagnostic(
                    "data-overlap",
                    f"the buffer overlaps that of {other} in data memory",
                    layer=name,
                    need=f"{first:#x}..{end:#x}",
                    have=f"{start:#x}..{stop:#x} in use",
                    hint="move it by out_offset",
                )


def _instances(processors: int, cnn: Cnn) -> set[int]:
    shared = cnn.processors_per_instance
    return {index for index in range(cnn.instances) if processors >> index * shared & ((1 << shared) - 1)}


def _problem(message: str) -> Diagnostic:
    return Diagnostic("vendor-option", message)
