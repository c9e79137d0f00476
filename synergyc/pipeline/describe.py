"""A model as a table of layers: what each takes, and what would cross a link behind it."""

from __future__ import annotations

from dataclasses import dataclass

from synergyc.ir.network import Layer, Network
from synergyc.plan.cycles import layer_cycles
from synergyc.targets import Chip


@dataclass(frozen=True)
class LayerRow:
    """One layer; ``cut_bytes`` is the size of all tensors that are still needed after it.

    ``cut_tensors`` is their number: 1 where a cut meets no open residual or skip connection.
    """

    index: int
    name: str
    operator: str
    in_shape: tuple[int, ...]
    out_shape: tuple[int, ...]
    weight_bits: int
    weight_bytes: int
    bias_bytes: int
    macs: int
    cycles: int
    cut_bytes: int
    cut_tensors: int


def describe(network: Network, chip: Chip) -> tuple[LayerRow, ...]:
    """Return a row for each layer of ``network`` as it runs on ``chip``."""
    return tuple(_row(network, index, layer, chip) for index, layer in enumerate(network.layers))


def _row(network: Network, index: int, layer: Layer, chip: Chip) -> LayerRow:
    live = [network.tensor(name) for name in network.live_after(index)]
    weights = 0 if layer.weight is None else layer.weight.size
    return LayerRow(
        index=index,
        name=layer.name,
        operator=_operator(layer),
        in_shape=layer.in_shape,
        out_shape=layer.output.shape,
        weight_bits=layer.weight_bits if weights else 0,
        weight_bytes=-(-weights * layer.weight_bits // 8),
        bias_bytes=0 if layer.bias is None else layer.bias.size,
        macs=layer.macs,
        cycles=layer_cycles(layer, chip),
        cut_bytes=sum(tensor.size_bytes for tensor in live),
        cut_tensors=len(live),
    )


def _operator(layer: Layer) -> str:
    """Return the layer's parts in the order in which the hardware runs them."""
    kernel = "x".join(map(str, layer.kernel))
    weighted = f"{layer.op} {kernel}" if layer.weight is not None else ""
    combined = str(layer.eltwise) if layer.eltwise else ("concat" if len(layer.inputs) > 1 else "")
    pool = str(layer.pool or "")
    first, second = (pool, combined) if layer.pool_first else (combined, pool)
    activation = str(layer.activation) if layer.activation != "none" else ""
    return " + ".join(filter(None, (first, second, weighted, activation))) or str(layer.op)
