"""Tensors as words: against the layouts' definition, value by value."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from synergyc.diagnostics import SynergyError
from synergyc.firmware.layout import pack_tensor, same_layout, unpack_tensor
from synergyc.ir.network import Tensor
from synergyc.synth.program import Region, TensorLayout
from tests.firmware.samples import layout


@st.composite
def layouts(draw: st.DrawFn) -> TensorLayout:
    """Values at any positions of a stream with some bytes to spare."""
    width_bytes = draw(st.sampled_from([1, 4]))
    count = draw(st.integers(1, 24))
    words = -(-count * width_bytes // 4) + draw(st.integers(0, 4))
    places = draw(st.permutations(range(words * 4 // width_bytes)))[:count]
    tensor = Tensor("t", (count, 1, 1), 0, 8 * width_bytes)
    return TensorLayout(tensor, (Region(0, words),), tuple(place * width_bytes for place in places))


@given(layouts(), st.data())
def test_values_come_back_from_their_places(where: TensorLayout, data: st.DataObject) -> None:
    limit = 1 << (where.tensor.width_bits - 1)
    values = data.draw(
        st.lists(
            st.integers(-limit, limit - 1),
            min_size=where.tensor.shape[0],
            max_size=where.tensor.shape[0],
        )
    )
    array = np.array(values).reshape(where.tensor.shape)
    words = pack_tensor(where, array)
    stream = b"".join(word.to_bytes(4, "little") for word in words)
    width = where.tensor.width_bits // 8
    for value, position in zip(values, where.elements, strict=True):
        assert int.from_bytes(stream[position : position + width], "little", signed=True) == value
    np.testing.assert_array_equal(unpack_tensor(where, stream), array)


def test_bytes_without_a_value_are_zero() -> None:
    where = TensorLayout(Tensor("t", (1, 1, 1), 0), (Region(0, 2),), (5,))
    assert pack_tensor(where, np.array([[[-1]]])) == (0, 0xFF00)


def test_a_sample_of_another_shape_is_refused() -> None:
    with pytest.raises(SynergyError, match=r"must have shape 4x2x3, not 4x3x2 \[sample-shape\]"):
        pack_tensor(layout("x", "max78000", 0), np.zeros((4, 3, 2), np.int8))


@pytest.mark.parametrize("value", [-129, 128])
def test_a_sample_out_of_range_is_refused(value: int) -> None:
    with pytest.raises(SynergyError, match="sample-range"):
        pack_tensor(layout("x", "max78000", 0), np.full((4, 2, 3), value))


@pytest.mark.parametrize("length", [0, 23, 25])
def test_a_stream_of_another_length_is_refused(length: int) -> None:
    with pytest.raises(SynergyError, match=rf"as 24 bytes, not {length} \[result-length\]"):
        unpack_tensor(layout("x", "max78000", 0), bytes(length))


def test_layouts_agree_wherever_they_start() -> None:
    here = layout("x", "max78000", 0)
    assert same_layout(here, layout("x", "max78002", 0x400))
    assert not same_layout(here, layout("x", "max78000", 0, instances=2))
    assert not same_layout(here, TensorLayout(here.tensor, here.regions, here.elements[::-1]))
