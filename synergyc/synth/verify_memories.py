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
        if not layer.stores_weights:
            continue
        first = layer.weight_slot + _dummy_slots(layer, cnn)
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
            others = set(owner[processor, first:end].tolist()) - {-1}
            if any(not _same_weights(layer, layers[other]) for other in others):
                names = ", ".join(layers[other].layer.name for other in sorted(others))
                yield Diagnostic(
                    "weight-overlap",
                    f"weights overlap those of {names} in processor {processor}",
                    layer=layer.layer.name,
                )
                break
            owner[processor, first:end] = index


def bias_problems(placed: PlacedNetwork, cnn: Cnn) -> Iterator[Diagnostic]:
    """Yield biases that are missing, beyond the memory, in an unused quadrant or on another layer's."""
    memory: dict[tuple[int, int], PlacedLayer] = {}
    for layer in placed:
        bias = layer.layer.bias
        if bias is None or not bias.any():
            if layer.bias:
                yield Diagnostic(
                    "bias-place", "a layer without biases must have no place for them", layer=layer.layer.name
                )
            continue
        name = layer.layer.name
        used = {place.quadrant for place in layer.bias}
        if not used or not used <= set(placed.quadrants):
            yield Diagnostic(
                "bias-place", f"biases must lie in quadrants in use, not {sorted(used)}", layer=name
            )
        for place in layer.bias:
            places = [
                (place.quadrant, place.start + byte) for byte in _bias_bytes(layer, place.quadrant, cnn)
            ]
            owners = [memory.setdefault(key, layer) for key in places]
            other = next((owner for owner in owners if not _same_biases(owner, layer)), None)
            if other is not None:
                yield Diagnostic("bias-overlap", f"biases overlap those of {other.layer.name}", layer=name)
            end = max(places)[1] + 1
            if end > cnn.bias_bytes:
                yield Diagnostic(
                    "bias-memory",
                    f"biases reach beyond the memory of quadrant {place.quadrant}",
                    layer=name,
                    need=f"{end} bytes",
                    have=f"{cnn.bias_bytes} bytes",
                )


def _bias_bytes(layer: PlacedLayer, quadrant: int, cnn: Cnn) -> list[int]:
    """Return the bytes that a layer reads in a quadrant, relative to its start (section 4.5)."""
    inner = layer.layer
    channels = inner.output.shape[0]
    if inner.groups == 1:
        lowest = (layer.output_processors & -layer.output_processors).bit_length() - 1
        lead = lowest % cnn.processors_per_instance * -(-channels // cnn.processors)
        return list(range(lead, lead + channels))
    size = cnn.processors_per_quadrant
    first = quadrant * size
    ranks = [rank for rank in range(size) if layer.processors >> first + rank & 1]
    passes = -(-channels // cnn.processors)
    if layer.processors != layer.output_processors:
        return list(range(passes * len(ranks)))
    width = layer.processors.bit_count()
    before = (layer.processors & ((1 << first) - 1)).bit_count()
    return [
        size * index + 4 * (rank % 4) + rank // 4
        for index in range(passes)
        for number, rank in enumerate(ranks)
        if index * width + before + number < channels
    ]


def _same_biases(one: PlacedLayer, two: PlacedLayer) -> bool:
    """Tell whether two layers may share their bytes: same values, same order, same place."""
    a, b = one.layer.bias, two.layer.bias
    same_order = one.processors == two.processors if max(one.layer.groups, two.layer.groups) > 1 else True
    return one.bias == two.bias and same_order and np.array_equal(np.asarray(a), np.asarray(b))


def _dummy_slots(layer: PlacedLayer, cnn: Cnn) -> int:
    """Return the whole slots of outputs before the first one; others may use them (section 4.3)."""
    inner = layer.form.layer
    lowest = (layer.output_processors & -layer.output_processors).bit_length() - 1
    passes = 1 if inner.flatten else -(-inner.in_shape[0] // cnn.processors)
    lead = lowest % cnn.processors_per_instance * passes * int(np.prod(inner.kernel))
    return lead * 8 // _SLOT_BITS


def _slots(layer: PlacedLayer, cnn: Cnn) -> int:
    """Return the slots from the first to the last one of a layer: all positions, all passes (section 4.1)."""
    inner = layer.form.layer
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
