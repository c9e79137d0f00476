"""Each rule: just inside its limit, just outside, and what it says then (limits: the target files)."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from torch import nn

from synergyc.diagnostics import SynergyError
from synergyc.ir.network import Layer, LayerOp, Network, Tensor
from synergyc.ir.types import Activation, EltwiseOp, Pool, PoolKind, Shape
from synergyc.legalize import check_limits, legalize
from synergyc.legalize.page import rules_page
from synergyc.legalize.rules import ALL_RULES, LAYER_RULES
from synergyc.targets import load_chip
from tests.ir.networks import conv2d, random_int8, single
from tests.legalize.graphs import integer_graph

SMALL, LARGE = "max78000", "max78002"


def rules_broken(layer: Layer, chip: str = SMALL) -> list[str]:
    return [item.rule for item in check_limits(single(layer, layer.in_shape), load_chip(chip))]


def conv1d(
    shape: Shape = (3, 50), outputs: int = 4, kernel: int = 3, padding: int = 1, dilation: int = 1
) -> Layer:
    length = shape[1] + 2 * padding - (kernel - 1) * dilation
    return Layer(
        name="y",
        op=LayerOp.CONV1D,
        inputs=("x",),
        output=Tensor("y", (outputs, length), 7),
        in_shape=shape,
        kernel=(kernel,),
        padding=(padding,),
        dilation=(dilation,),
        weight=random_int8((outputs, shape[0], kernel)),
    )


def linear(shape: Shape, outputs: int = 2, **more: object) -> Layer:
    fields: dict[str, object] = {
        "name": "y",
        "op": LayerOp.LINEAR,
        "inputs": ("x",),
        "output": Tensor("y", (outputs,), 7),
        "in_shape": shape,
        "weight": random_int8((outputs, int(np.prod(shape)))),
        "flatten": True,
        **more,
    }
    return Layer(**fields)  # type: ignore[arg-type]


def alone(shape: Shape = (4, 8, 8), **more: object) -> Layer:
    """Return a layer without weights."""
    fields: dict[str, object] = {
        "name": "y",
        "op": LayerOp.PASSTHROUGH,
        "inputs": ("x",),
        "output": Tensor("y", shape, 7),
        "in_shape": shape,
        **more,
    }
    return Layer(**fields)  # type: ignore[arg-type]


def pooling(window: tuple[int, int], stride: int = 1, dilation: tuple[int, int] = (1, 1)) -> Pool:
    return Pool(PoolKind.MAX, window, stride, dilation)


WITHIN: list[tuple[str, Layer, str]] = [
    ("most channels", conv2d((1024, 2, 2), 4, 1, 0), SMALL),
    ("most outputs", conv2d((1, 2, 2), 1024, 1, 0, bias=False), SMALL),
    ("longest map", conv2d((1, 1022, 2), 1, 3, 1, bias=False), SMALL),
    ("padding of 2", conv2d((1, 4, 4), 2, 3, 2), SMALL),
    ("longest kernel", conv1d(kernel=9, padding=2), SMALL),
    ("dilated as a map", conv1d(kernel=3, dilation=5, padding=0), SMALL),
    ("dilated as long", conv1d(kernel=5, dilation=2), SMALL),
    ("padded conv1d of many channels", conv1d((65, 20)), SMALL),
    ("padded conv1d of one pass", conv1d((64, 20)), LARGE),
    ("largest window", conv2d((1, 16, 16), 2, 1, 0, pool=pooling((16, 16), 16)), SMALL),
    ("dilated pooling", conv2d((1, 9, 9), 2, 1, 0, pool=pooling((2, 2), 1, (8, 8))), LARGE),
    (
        "pooling 64 channels",
        alone((64, 4, 4), pool=pooling((2, 2)), output=Tensor("y", (64, 3, 3), 7)),
        SMALL,
    ),
    ("pooling 65 to one", alone((65, 4, 4), pool=pooling((4, 4)), output=Tensor("y", (65, 1, 1), 7)), SMALL),
    ("pooling 65", alone((65, 4, 4), pool=pooling((2, 2)), output=Tensor("y", (65, 3, 3), 7)), LARGE),
    ("16 operands", alone(inputs=tuple("abcdefghijklmnop"), eltwise=EltwiseOp.ADD), SMALL),
    ("256 pixels", linear((1, 16, 16)), SMALL),
    ("16384 values", linear((64, 16, 16), 1), SMALL),
    ("largest shift", conv2d(output_shift=15), SMALL),
    ("smallest shift", conv2d(output_shift=-15), SMALL),
    ("narrow shift", conv2d(bits=2, output_shift=9), SMALL),
    ("wide output", conv2d(wide=True), SMALL),
    ("512 biases", conv2d((1, 2, 2), 512, 1, 0), SMALL),
    ("depthwise", conv2d((8, 4, 4), 8, groups=8), LARGE),
    ("768 slots", conv2d((1, 4, 4), 768, 3, 1, bias=False), SMALL),
    ("a full instance", conv2d((1, 64, 128), 1, 1, 0), SMALL),
]

BEYOND: list[tuple[str, Layer, str, str]] = [
    ("channels", conv2d((1025, 2, 2), 4, 1, 0), SMALL, "1025|at most 1024"),
    ("channels", conv2d((1, 2, 2), 1025, 1, 0, bias=False), LARGE, "1025|at most 1024"),
    ("map-size", conv2d((1, 1024, 2), 1, 3, 1, bias=False), SMALL, "1025|at most 1023"),
    ("map-size", conv1d((1, 1023), 1, 3, 2), SMALL, "1026|at most 1023"),
    ("conv2d-kernel", conv2d(kernel=5, padding=2), SMALL, "5x5|1x1 or 3x3"),
    ("conv2d-kernel", conv2d(kernel=2, padding=0), LARGE, "2x2|1x1 or 3x3"),
    ("conv2d-dilation", conv2d(dilation=(2, 2)), LARGE, "2x2|1"),
    ("conv1d-kernel", conv1d(kernel=10), SMALL, "10|at most 9"),
    ("conv1d-kernel", conv1d(kernel=3, dilation=5), LARGE, "11|at most 9"),  # it pads
    ("conv1d-kernel", conv1d(kernel=4, dilation=4, padding=0), LARGE, "13|at most 9"),
    ("padding-size", conv2d(kernel=1, padding=1), SMALL, "1x1|at most 0"),
    ("padding-size", conv1d(kernel=5, padding=3), SMALL, "3|at most 2"),
    ("conv1d-padding", conv1d((65, 20)), LARGE, "65|at most 64"),
    ("groups", conv2d((8, 4, 4), 8, groups=8), SMALL, "8|1"),
    ("groups", conv2d((8, 4, 4), 8, groups=2), LARGE, "2|1"),
    ("groups", conv2d((8, 4, 4), 16, groups=8), LARGE, "8|1"),
    ("pool-window", conv2d((1, 20, 20), 2, 1, 0, pool=pooling((17, 1))), LARGE, "17|at most 16"),
    ("pool-window", conv2d((1, 20, 20), 2, 1, 0, pool=pooling((2, 2), 1, (16, 16))), LARGE, "17|at most 16"),
    ("pool-window", alone((1, 3, 9), pool=pooling((4, 4))), SMALL, "4x4|3x9"),
    ("pool-stride", conv2d((1, 20, 20), 2, 1, 0, pool=pooling((2, 2), 17)), SMALL, "17|at most 16"),
    ("pool-dilation", conv2d((1, 9, 9), 2, 1, 0, pool=pooling((2, 2), 1, (2, 2))), SMALL, "2x2|1x1"),
    ("pool-dilation", conv2d((1, 9, 9), 2, 1, 0, pool=pooling((3, 3), 1, (2, 2))), LARGE, "2x2|1x1"),
    ("pool-alone", alone((65, 4, 4), pool=pooling((2, 2))), SMALL, "65|at most 64"),
    (
        "eltwise-operands",
        alone(inputs=tuple("abcdefghijklmnopq"), eltwise=EltwiseOp.ADD),
        SMALL,
        "17|at most 16",
    ),
    (
        "eltwise-operands",
        alone(inputs=tuple("abc"), eltwise=EltwiseOp.ADD, pool=pooling((1, 1)), pool_first=False),
        LARGE,
        "3|at most 2",
    ),
    ("eltwise-operands", replace(conv1d(), inputs=("a", "b"), eltwise=EltwiseOp.ADD), LARGE, "2|1"),
    ("distinct-inputs", alone(inputs=("x", "x"), eltwise=EltwiseOp.ADD), LARGE, "2 operands|1 tensors"),
    ("flatten-size", linear((1, 257)), SMALL, "257|at most 256"),
    ("flatten-size", linear((65, 16, 16), 1), LARGE, "16640|at most 16384"),
    ("flatten-alone", linear((2, 4, 4), pool=pooling((2, 2), 2)), SMALL, "linear|linear"),
    ("weight-bits", conv2d(weight_bits=3), LARGE, "3 bit|1, 2, 4, 8"),
    ("output-shift", conv2d(output_shift=16), SMALL, "16|-15 to 15"),
    ("output-shift", conv2d(output_shift=-16), SMALL, "-16|-15 to 15"),
    ("output-shift", conv2d(bits=2, output_shift=10), SMALL, "16|-15 to 15"),
    ("output-width", conv2d(wide=True, activation=Activation.RELU), SMALL, "32 bit|8 bit"),
    ("output-width", alone(output=Tensor("y", (4, 8, 8), 7, 32)), SMALL, "32 bit|8 bit"),
    ("activation-place", alone(activation=Activation.ABS), SMALL, "abs|none"),
    ("layer-weights", conv2d((1, 4, 4), 769, 3, 1, bias=False), SMALL, "780|at most 768"),
    ("layer-bias", conv2d((1, 2, 2), 513, 1, 0), SMALL, "513|at most 512"),
    ("layer-data", alone((1, 64, 129)), SMALL, "33024|at most 32768"),
    (
        "eltwise-passes",
        alone((65, 4, 4), inputs=("a", "b", "c"), eltwise=EltwiseOp.ADD, pool=pooling((4, 4))),
        SMALL,
        "3 operands in 2 passes|2 operands in 2 passes",
    ),
    ("eltwise-bias", conv2d(inputs=("a", "b"), eltwise=EltwiseOp.ADD), LARGE, "a bias|none"),
]


@pytest.mark.parametrize(("layer", "chip"), [pytest.param(*row[1:], id=row[0]) for row in WITHIN])
def test_layers_at_their_limits_pass(layer: Layer, chip: str) -> None:
    assert rules_broken(layer, chip) == []


@pytest.mark.parametrize(
    ("rule", "layer", "chip", "numbers"),
    [pytest.param(*row, id=f"{row[0]}-{i}") for i, row in enumerate(BEYOND)],
)
def test_layers_beyond_a_limit_are_reported(rule: str, layer: Layer, chip: str, numbers: str) -> None:
    found = {item.rule: item for item in check_limits(single(layer, layer.in_shape), load_chip(chip))}
    assert rule in found
    assert f"{found[rule].need}|{found[rule].have}" == numbers
    assert found[rule].layer == "y"


def test_every_rule_of_a_layer_is_tested_and_stated() -> None:
    assert set(LAYER_RULES) == {row[0] for row in BEYOND}
    for rule in ALL_RULES:
        assert rule.statement.endswith(".")
        assert rule.formula
        assert 2 <= len(rule.ways) <= 3, rule.name


def test_diagnostics_say_how_it_is_counted_and_what_to_do() -> None:
    item = check_limits(single(conv2d(kernel=5, padding=2), (3, 8, 8)), load_chip(SMALL))[0]
    assert "rows x columns of the kernel" in item.message
    assert item.hint == "; or ".join(LAYER_RULES["conv2d-kernel"].ways)


def test_data_that_streams_may_be_larger_than_the_memory() -> None:
    first, second = conv2d((3, 128, 128), 16), conv2d((16, 128, 128), 16, pool=pooling((2, 2), 2))
    net = replace(chain(first, replace(second, inputs=("l0",))), inputs=(Tensor("x", (3, 128, 128), 7),))
    assert network_rules(net) == {}
    # One that keeps the size, or an input with more channels than FIFOs have, is too large.
    large = {"network-data": ("65536", "at most 32768")}
    assert network_rules(replace(net, layers=net.layers[:1], outputs=("l0",))) == large
    wide = replace(chain(conv2d((17, 128, 128), 16)), inputs=(Tensor("x", (17, 128, 128), 7),))
    assert network_rules(wide) == large


def chain(*layers: Layer) -> Network:
    """Return the layers with weights and biases that differ: equal ones are shared."""
    named = [
        replace(
            made,
            name=f"l{i}",
            output=replace(made.output, name=f"l{i}"),
            weight=None
            if made.weight is None
            else np.roll(made.weight.reshape(-1), i).reshape(made.weight.shape),
            bias=None if made.bias is None else np.roll(made.bias, i),
        )
        for i, made in enumerate(layers)
    ]
    return Network("net", (), tuple(named), (named[-1].name,))


def network_rules(network: Network, chip: str = SMALL) -> dict[str, tuple[str | None, str | None]]:
    return {item.rule: (item.need, item.have) for item in check_limits(network, load_chip(chip))}


def test_the_number_of_layers() -> None:
    layer = conv2d((1, 4, 4), 1)
    assert network_rules(chain(*[layer] * 32)) == {}
    assert network_rules(chain(*[layer] * 33)) == {"layer-count": ("33", "at most 32")}
    assert network_rules(chain(*[layer] * 33), LARGE) == {}


def test_weights_of_all_layers() -> None:
    """Layers of 384 slots each on all processors fill them; 388 more slots lie behind the first 384."""
    half, more = conv2d((64, 2, 2), 384, bias=False), conv2d((64, 2, 2), 388, bias=False)
    assert network_rules(chain(half, half)) == {}
    # 388 outputs take 7 passes of 56 processors: 392 kernels
    assert network_rules(chain(half, more)) == {"weight-memory": ("776", "at most 768")}
    assert network_rules(chain(half, more), LARGE) == {}


def test_biases_of_all_layers() -> None:
    layer = conv2d((1, 2, 2), 512, 1, 0)
    assert network_rules(chain(*[layer] * 4)) == {}
    assert network_rules(chain(*[layer] * 4, conv2d((1, 2, 2), 1, 1, 0))) == {
        "bias-memory": ("2049", "at most 2048")
    }


def test_a_network_for_several_chips_is_legal_but_too_big_for_one() -> None:
    """40 layers of a few weights: each can run, all of them together only on the larger chip."""
    module = nn.Sequential(*[nn.Conv2d(1, 1, 1) for _ in range(40)])
    network = legalize(integer_graph(module, (1, 4, 4)), load_chip(SMALL))
    assert network_rules(network) == {"layer-count": ("40", "at most 32")}
    assert network_rules(network.segment(0, 31)) == network_rules(network.segment(32, 39)) == {}


def test_all_violations_are_raised_at_once_with_the_models_own_names() -> None:
    body = nn.Sequential(nn.Conv2d(1, 4, 5, stride=2, padding=2), nn.ReLU(), nn.MaxPool2d(2, stride=20))
    module = nn.Sequential()
    module.add_module("stem", body)
    module.add_module("head", nn.Conv2d(4, 8, 3, padding=2, dilation=2, groups=2))
    with pytest.raises(SynergyError) as caught:
        legalize(integer_graph(module, (1, 40, 40)), load_chip(SMALL))
    assert [(item.rule, item.layer, item.need) for item in caught.value.diagnostics] == [
        ("convolution-stride", "stem.0", "2x2"),
        ("conv2d-kernel", "stem.0", "5x5"),
        ("conv2d-dilation", "head", "2x2"),
        ("pool-stride", "stem.2", "20"),
    ]


@pytest.mark.parametrize(
    ("module", "need"),
    [
        (nn.Conv2d(1, 2, 3, stride=2), "2x2"),
        (nn.Conv1d(1, 2, 3, stride=3), "3"),
        (nn.ConvTranspose2d(1, 2, 3, stride=1), "1x1"),
        (nn.ConvTranspose2d(1, 2, 3, stride=2), "0x0"),
    ],
)
def test_strides_are_checked_on_the_graph(module: nn.Module, need: str) -> None:
    shape = (1, 9) if isinstance(module, nn.Conv1d) else (1, 9, 9)
    with pytest.raises(SynergyError) as caught:
        legalize(integer_graph(nn.Sequential(module), shape), load_chip(LARGE))
    assert ("convolution-stride", need) in [(item.rule, item.need) for item in caught.value.diagnostics]


def test_the_page_of_rules_is_up_to_date() -> None:
    page = Path(__file__).parents[2] / "docs" / "rules.md"
    assert page.read_text() == rules_page(), "run python scripts/rules_page.py"
