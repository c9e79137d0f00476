"""Networks: text form, what is alive at a cut, segments."""

from __future__ import annotations

from dataclasses import replace

import pytest

from synergyc.ir.network import Layer, LayerOp, Network, Tensor
from synergyc.ir.types import Activation, EltwiseOp, Origin, Pool, PoolKind
from tests.ir.networks import conv2d


def residual() -> Network:
    """Return x -> a -> b, c = a + b, d = conv(c) of half the size."""

    def conv(name: str, source: str, **more: object) -> Layer:
        output = Tensor(name, (4, 6, 6), 5)
        fields = {"name": name, "inputs": (source,), "output": output, **more}
        return conv2d((4, 6, 6), 4, **fields)  # type: ignore[arg-type]

    add = Layer(
        "c", LayerOp.PASSTHROUGH, ("a", "b"), Tensor("c", (4, 6, 6), 5), (4, 6, 6), eltwise=EltwiseOp.ADD
    )
    pool = Pool(PoolKind.MAX, (2, 2), 2)
    last = conv(
        "d",
        "c",
        pool=pool,
        output=Tensor("d", (4, 3, 3), 4),
        activation=Activation.RELU,
        origins=(Origin("head.pool"), Origin("head.conv", "net.py", 12)),
    )
    layers = (conv("a", "x"), conv("b", "a"), add, last)
    return Network("residual", (Tensor("x", (4, 6, 6), 7),), layers, ("d",))


def test_text_form() -> None:
    values = "w8 i8[4,4,3,3]#b71b030a, bias i8[4]#10f38a16, shift -2"
    assert str(residual()) == (
        "network residual\n"
        "  %x: i8[4x6x6] q7\n"
        f"  %a: i8[4x6x6] q5 = conv2d 3x3 pad 1x1, {values} (%x)\n"
        f"  %b: i8[4x6x6] q5 = conv2d 3x3 pad 1x1, {values} (%a)\n"
        "  %c: i8[4x6x6] q5 = passthrough, eltwise add (%a, %b)\n"
        "  %d: i8[4x3x3] q4 = conv2d 3x3 pad 1x1, maxpool 2x2/2,"
        f" {values}, relu (%c)  # head.pool, head.conv\n"
        "  return %d\n"
    )


@pytest.mark.parametrize(
    ("index", "alive"), [(-1, ("x",)), (0, ("a",)), (1, ("a", "b")), (2, ("c",)), (3, ("d",))]
)
def test_tensors_alive_after_a_layer(index: int, alive: tuple[str, ...]) -> None:
    assert residual().live_after(index) == alive


def test_an_intermediate_output_stays_alive() -> None:
    network = residual()
    both = Network(network.name, network.inputs, network.layers, ("a", "d"))
    assert both.live_after(2) == ("a", "c")


def test_a_segment_takes_and_gives_what_crosses_the_cut() -> None:
    segment = residual().segment(1, 1)
    assert [tensor.name for tensor in segment.inputs] == ["a"]
    assert segment.outputs == ("b",)
    rest = residual().segment(2, 3)
    assert [tensor.name for tensor in rest.inputs] == ["a", "b"]
    assert rest.outputs == ("d",)
    assert rest.name == "residual_2_3"


def test_a_segment_shares_the_inputs_that_others_make_or_read() -> None:
    """The second layer of ``skip`` reads the network's input again."""
    network = residual()
    assert network.segment(0, 3).shared_inputs == network.segment(0, 0).shared_inputs == ()
    assert network.segment(2, 3).shared_inputs == ("a", "b")
    assert network.segment(2, 3).segment(1, 1).shared_inputs == ("c",)
    first, second, *_ = network.layers
    skip = Network("skip", network.inputs, (first, replace(second, inputs=("a", "x"))), ("b",))
    assert skip.segment(0, 0).shared_inputs == ("x",)
    assert skip.segment(1, 1).shared_inputs == ("x", "a")


@pytest.mark.parametrize(("first", "last"), [(-1, 0), (2, 1), (0, 4)])
def test_a_segment_must_lie_in_the_network(first: int, last: int) -> None:
    with pytest.raises(ValueError, match=r"segment must lie in 0\.\.3"):
        residual().segment(first, last)


def test_size_and_work() -> None:
    network = residual()
    assert network.tensor("d").size_bytes == 36
    assert Tensor("s", (10,), 7, 32).size_bytes == 40
    assert network.layers[0].macs == 4 * 4 * 9 * 36
    assert network.layers[2].macs == 0
    assert network.layers[3].macs == 4 * 4 * 9 * 9


def test_an_unknown_tensor_is_an_error() -> None:
    with pytest.raises(KeyError):
        residual().tensor("nothing")
