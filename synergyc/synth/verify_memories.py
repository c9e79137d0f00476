"""Check of weight and bias memory: every layer's part lies inside and belongs to it alone."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from synergyc.diagnostics import Diagnostic
from synergyc.synth.placed import PlacedLayer, PlacedNetwork
from synergyc.targets import Cnn

_SLOT_BITS = 72


def weight_problems(placed: PlacedNetwork, cnn: Cnn) -> Iterator[Diagnostic]:
    """Yield layers whose weights lie beyond the memory or on those of another layer."""
    owner = np.full((cnn.processors, cnn.large_weight_slots), -1, dtype=np.int64)
    layers = placed.layers
    for index, layer in enumerate(layers):
        if layer.passthrough:
            continue
        end = layer.weight_slot + _slots(layer, cnn)
        for processor in range(cnn.processors):
            if not layer.processors >> processor & 1:
                continue
            if end > cnn.slots(processor):
                yield Diagnostic(
                    "weight-memory",
                    f"weights reach beyond the memory of processor {processor}",
                    layer=layer.layer.name,
                    need=f"{end} slots",
                    have=f"{cnn.slots(processor)} slots",
                )
                break
            others = set(owner[processor, layer.weight_slot : end].tolist()) - {-1}
            if any(not _same_weights(layer, layers[other]) for other in others):
                names = ", ".join(layers[other].layer.name for other in sorted(others))
                yield Diagnostic(
                    "weight-overlap",
                    f"weights overlap those of {names} in processor {processor}",
                    layer=layer.layer.name,
                )
                break
            owner[processor, layer.weight_slot : end] = index


def bias_problems(placed: PlacedNetwork, cnn: Cnn) -> Iterator[Diagnostic]:
    """Yield biases that are missing, beyond the memory, in an unused quadrant or on another layer's."""
    memory: dict[tuple[int, int], tuple[int, str]] = {}
    for layer in placed:
        bias = layer.layer.bias
        if bias is None or not bias.any():
            continue
        if not layer.bias:
            yield Diagnostic("bias-place", "biases have no place", layer=layer.layer.name)
        for place in layer.bias:
            if place.quadrant not in placed.quadrants:
                yield Diagnostic(
                    "bias-place", f"bias quadrant {place.quadrant} is not used", layer=layer.layer.name
                )
            for start, value in enumerate(bias.tolist(), start=place.start):
                held = memory.setdefault((place.quadrant, start), (value, layer.layer.name))
                if held[0] != value:
                    yield Diagnostic(
                        "bias-overlap", f"biases overlap those of {held[1]}", layer=layer.layer.name
                    )
                    break
            end = place.start + len(bias)
            if end > cnn.bias_bytes:
                yield Diagnostic(
                    "bias-memory",
                    f"biases reach beyond the memory of quadrant {place.quadrant}",
                    layer=layer.layer.name,
                    need=f"{end} bytes",
                    have=f"{cnn.bias_bytes} bytes",
                )


def _slots(layer: PlacedLayer, cnn: Cnn) -> int:
    """Return the slots from the first to the last one of a layer: all positions, all passes (section 4.1)."""
    inner = layer.layer
    passes = -(-inner.in_shape[0] // cnn.processors)
    if inner.groups > 1:
        kernels = passes
    else:
        lowest = (layer.output_processors & -layer.output_processors).bit_length() - 1
        span = layer.output_processors.bit_length() - lowest // 4 * 4
        rounds = -(-inner.output.shape[0] // cnn.processors)
        kernels = ((rounds - 1) * span + min(span, inner.output.shape[0] - (rounds - 1) * span)) * passes
        if inner.flatten:
            kernels *= int(np.prod(inner.in_shape[1:]))
    taps = int(np.prod(inner.kernel))
    return -(-kernels * taps * inner.weight_bits // _SLOT_BITS)


def _same_weights(one: PlacedLayer, two: PlacedLayer) -> bool:
    a, b = one.layer.weight, two.layer.weight
    return (
        a is not None
        and b is not None
        and one.weight_slot == two.weight_slot
        and one.processors == two.processors
        and one.layer.weight_bits == two.layer.weight_bits
        and np.array_equal(a, b)
    )
