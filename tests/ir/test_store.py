"""Saving and loading: equal values, equal bytes, and refusal of damaged files."""

from __future__ import annotations

from dataclasses import fields, is_dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from safetensors.numpy import save

from synergyc.diagnostics import SynergyError
from synergyc.ir import store
from synergyc.ir.graph import Abs, BatchNorm, Concatenation, Elementwise, Graph, Node, Operator, Pooling
from synergyc.ir.network import Layer, Network
from synergyc.ir.types import EltwiseOp, Origin, Pool, PoolKind, frozen_array
from tests.ir.networks import conv2d_layers, single
from tests.ir.test_graph import small
from tests.ir.test_network import residual


def assert_same(first: object, second: object) -> None:
    """Compare dataclasses field by field, arrays by type and content."""
    assert type(first) is type(second)
    if isinstance(first, np.ndarray) and isinstance(second, np.ndarray):
        assert first.dtype == second.dtype
        np.testing.assert_array_equal(first, second)
        assert not second.flags.writeable
    elif is_dataclass(first):
        for field in fields(first):
            assert_same(getattr(first, field.name), getattr(second, field.name))
    elif isinstance(first, tuple) and isinstance(second, tuple):
        assert len(first) == len(second)
        for one, other in zip(first, second, strict=True):
            assert_same(one, other)
    else:
        assert first == second


def stored(value: Graph | Network, folder: Path) -> Graph | Network:
    path = folder / "stored.safetensors"
    path.write_bytes(store.dump(value))
    if isinstance(value, Graph):
        return store.load(path, Graph)
    return store.load(path, Network)


def every_operator() -> Graph:
    """Return a graph with an instance of each operator (not one that makes sense)."""
    norm = BatchNorm(frozen_array([0.5]), frozen_array([1.0]), None, frozen_array([0.0]), 1e-5)
    operators: list[Operator] = [
        norm,
        Pooling(Pool(PoolKind.AVERAGE, (2, 3), 2)),
        Abs(),
        Elementwise(EltwiseOp.SUB),
        Concatenation(),
    ]
    nodes = [Node(f"n{i}", operator, ("input",), (1,), Origin("m")) for i, operator in enumerate(operators)]
    graph = small()
    return replace(graph, nodes=(*graph.nodes, *nodes))


@pytest.mark.parametrize("value", [small(), every_operator(), residual()], ids=["small", "all", "network"])
def test_round_trip(value: Graph | Network, tmp_path: Path) -> None:
    assert_same(value, stored(value, tmp_path))


@given(layer=conv2d_layers())
def test_round_trip_of_any_layer(layer: Layer, tmp_path_factory: pytest.TempPathFactory) -> None:
    network = single(layer, layer.in_shape)
    assert_same(network, stored(network, tmp_path_factory.mktemp("store")))


def test_equal_values_give_equal_bytes() -> None:
    assert store.dump(residual()) == store.dump(residual())
    assert store.dump(small()) == store.dump(small())


def test_the_wrong_kind_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "graph.safetensors"
    path.write_bytes(store.dump(small()))
    with pytest.raises(SynergyError) as caught:
        store.load(path, Network)
    assert caught.value.diagnostics[0].rule == "stored-kind"


@pytest.mark.parametrize("damage", ["missing", "empty", "cut", "other", "deep", "bare"])
def test_a_damaged_file_is_refused(damage: str, tmp_path: Path) -> None:
    path = tmp_path / "damaged.safetensors"
    content = store.dump(residual())
    if damage != "missing":
        damaged = {
            "empty": b"",
            "cut": content[: len(content) // 2],
            "other": b"\x80" * 64,
            "deep": save({}, metadata={"synergyc": "[" * 100_000}),
            "bare": save({}),
        }
        path.write_bytes(damaged[damage])
    with pytest.raises(SynergyError) as caught:
        store.load(path, Network)
    (diagnostic,) = caught.value.diagnostics
    assert diagnostic.rule == "stored-damaged"
    assert diagnostic.location is not None
    assert diagnostic.location.file == str(path)
