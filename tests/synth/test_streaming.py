"""Placements whose input streams, and outputs that lie over their input: they run bit-exactly.

Truth: the integer reference, against the emulated accelerator.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from synergyc.diagnostics import SynergyError
from synergyc.ir.network import LayerOp, Network
from synergyc.ir.types import Activation, EltwiseOp
from synergyc.synth.placed import PlacedLayer, PlacedNetwork
from synergyc.synth.placement import place
from synergyc.synth.verify import verify
from synergyc.targets import load_chip
from tests.synth.machine import wrong_outputs
from tests.synth.networks import AVERAGE_2X2, MAX_2X2, Spec, copy, linear, network, point

SMALL = load_chip("max78000")
LARGE = load_chip("max78002")


def streams(placed: PlacedNetwork) -> list[bool]:
    return [layer.streaming for layer in placed]


def large_input(channels: int = 3, rows: int = 128, columns: int = 128) -> Network:
    specs = [Spec(16), Spec(32, pool=MAX_2X2), Spec(20, pool=MAX_2X2)]
    return network((channels, rows, columns), specs)


def test_an_input_larger_than_the_memory_streams() -> None:
    placed = place(large_input(), SMALL)
    # 128 x 128 pixels are twice an instance; so are the 16 channels that the first layer makes of them.
    assert placed.fifo
    assert streams(placed) == [True, True, False]
    assert wrong_outputs(large_input(), placed, SMALL) == []


def test_point_kernels_stream_as_3x3() -> None:
    specs = [
        point(16, activation=Activation.RELU),
        Spec(20, pool=AVERAGE_2X2, bits=4),
        point(70, pool=MAX_2X2),
    ]
    net = network((3, 200, 120), [*specs, Spec(8)])
    for chip in (SMALL, LARGE):
        placed = place(net, chip)
        assert [layer.stream_kernel for layer in placed] == [True, True, True, False]
        assert wrong_outputs(net, placed, chip) == []


def test_many_channels_come_through_several_fifos() -> None:
    net = large_input(12, 256, 64)
    placed = place(net, SMALL)
    assert placed.layers[0].processors == 0x0000000F000F000F
    assert wrong_outputs(net, placed, SMALL) == []


def test_an_input_that_fits_does_not_stream() -> None:
    assert not place(large_input(), LARGE).fifo
    assert not place(large_input(3, 64, 64), SMALL).fifo


def test_an_input_that_others_read_too_cannot_stream() -> None:
    net = network((3, 200, 200), [Spec(3, pool=MAX_2X2), Spec(3, inputs=("input",), pool=MAX_2X2)])
    with pytest.raises(SynergyError) as error:
        place(net, SMALL)
    assert error.value.diagnostics[0].rule == "data-memory"
    assert "no arrangement exists" in error.value.diagnostics[0].message


U_NET = [
    point(64),
    point(32),
    Spec(8),
    Spec(28, pool=MAX_2X2),
    Spec(56, pool=MAX_2X2),
    Spec(28, LayerOp.CONV_TRANSPOSE2D),
    Spec(28, inputs=("l5", "l3")),
    Spec(8, LayerOp.CONV_TRANSPOSE2D),
    Spec(48, inputs=("l7", "l2")),
    point(64),
    point(64, bias=False),
]


def test_outputs_over_inputs_make_a_large_u_net_fit() -> None:
    # 88 x 88 pixels of 64 channels leave 1792 of 32768 bytes: the vendor's UNet for 352 x 352 images.
    net = network((48, 88, 88), U_NET)
    placed = place(net, SMALL)
    assert any(
        layer.processors & layer.output_processors
        and 0 < layer.in_offset_bytes - layer.out_offset_bytes < 1792
        for layer in placed
    )
    assert wrong_outputs(net, placed, SMALL) == []


def changed(placed: PlacedNetwork, index: int, **fields: object) -> PlacedNetwork:
    layers = list(placed.layers)
    layers[index] = replace(layers[index], **fields)  # type: ignore[arg-type]
    return replace(placed, layers=tuple(layers))


def overlaid(lead_bytes: int, *specs: Spec) -> PlacedNetwork:
    """Return a placement of one layer whose output begins ``lead_bytes`` before its input."""
    placed = place(network((4, 16, 16), specs), SMALL)
    first = changed(placed, 0, in_offset_bytes=4096, out_offset_bytes=4096 - lead_bytes)
    return replace(
        first,
        inputs=(replace(placed.inputs[0], offset_bytes=4096),),
        outputs=(replace(placed.outputs[0], offset_bytes=4096 - lead_bytes),),
    )


@pytest.mark.parametrize(
    ("spec", "least"),
    [
        (point(4), 4),  # a pixel is written at the time when it is read: one pixel earlier is later
        (Spec(4), 4),  # the last pixel completes its own window
        (Spec(4, pad=0), -4 * (2 * 16 + 2 - 1)),  # two rows and two pixels are read before the first write
        (copy(pool=MAX_2X2), 4),  # the first pixel is written at once
        (Spec(8, LayerOp.CONV_TRANSPOSE2D), 4 * (3 * 256 + 1)),
    ],
)
def test_the_verifier_knows_how_far_reads_are_ahead(spec: Spec, least: int) -> None:
    assert "data-overlap" not in {item.rule for item in verify(overlaid(least, spec), SMALL)}
    assert "data-overlap" in {item.rule for item in verify(overlaid(least - 4, spec), SMALL)}


def test_flattening_layers_are_kept_apart() -> None:
    placed = overlaid(0, linear(4))
    assert "data-overlap" in {item.rule for item in verify(placed, SMALL)}


def test_sums_of_several_passes_are_kept_apart_where_passes_run_as_rows() -> None:
    specs = [Spec(70), Spec(70), copy(inputs=("l0", "l1"), eltwise=EltwiseOp.ADD), point(4)]
    net = network((4, 12, 12), specs)
    assert wrong_outputs(net, place(net, SMALL), SMALL) == []


def first_two(placed: PlacedNetwork) -> tuple[PlacedLayer, PlacedLayer]:
    return placed.layers[0], placed.layers[1]


CASES: list[tuple[str, Callable[[PlacedNetwork], PlacedNetwork], str]] = [
    ("a buffer over another", lambda p: moved(p, first_two(p)[0].in_offset_bytes + 4), "stream-overlap"),
    ("a buffer beyond the instance", lambda p: moved(p, 32768 - 8), "stream-memory"),
    ("reads elsewhere", lambda p: changed(p, 1, in_offset_bytes=4096), "stream-chain"),
    ("not 3x3", lambda p: changed(p, 0, stream_kernel=False), "stream-kernel"),
    ("streams late", lambda p: changed(changed(p, 1, streaming=False), 2, streaming=True), "stream"),
    ("input elsewhere", lambda p: changed(p, 0, in_offset_bytes=8192), "stream-fifo"),
    ("no FIFO there", lambda p: changed(p, 0, processors=0xE), "stream-fifo"),
    ("starts at a later layer", lambda p: changed(p, 0, hardware_layer=1), "layer-order"),
]


def moved(placed: PlacedNetwork, offset_bytes: int) -> PlacedNetwork:
    """Move the buffer between the first two layers into the instance of the first one's."""
    first = changed(placed, 0, out_offset_bytes=offset_bytes, output_processors=0xFFFF)
    return changed(first, 1, in_offset_bytes=offset_bytes, processors=0xFFFF)


@pytest.mark.parametrize(("change", "rule"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_broken_streams_are_found(change: Callable[[PlacedNetwork], PlacedNetwork], rule: str) -> None:
    placed = place(large_input(), SMALL)
    assert verify(placed, SMALL) == ()
    rules = {item.rule for item in verify(change(placed), SMALL)}
    assert any(found.startswith(rule) for found in rules), rules
