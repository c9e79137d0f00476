"""Small problems for the planner's tests: devices, links, and networks given by what crosses each cut."""

from __future__ import annotations

from itertools import pairwise

from synergyc.ir.network import LayerOp, Network, Tensor
from synergyc.plan.problem import PlanApp, PlanDevice, PlanLink, PlanProblem
from synergyc.targets import load_chip, load_medium
from tests.plan.networks import make_layer, make_network

CHIP = load_chip("max78000")
UART = load_medium("uart")


def chain(name: str, channels: tuple[int, ...], side: int = 8) -> Network:
    """Return 3x3 convolutions one after another: layer i makes ``channels[i + 1]`` maps of ``side``."""
    layers = []
    for i, (inputs, outputs) in enumerate(pairwise(channels)):
        shape, reads = (inputs, side, side), (f"l{i - 1}" if i else "x",)
        layers.append(make_layer(LayerOp.CONV2D, shape, outputs, 3, name=f"l{i}", inputs=reads, pad=1))
    return make_network(name, tuple(layers), (Tensor("x", (channels[0], side, side), 7),))


def residual(name: str) -> Network:
    """Return four layers where the second's input is added again before the fourth: cuts after 0 and 2."""
    shape = (8, 8, 8)
    layers = (
        make_layer(LayerOp.CONV2D, shape, 8, 3, name="l0", inputs=("x",), pad=1),
        make_layer(LayerOp.CONV2D, shape, 8, 3, name="l1", inputs=("l0",), pad=1),
        make_layer(LayerOp.CONV2D, shape, 8, 3, name="l2", inputs=("l1", "l0"), pad=1, operands=2),
        make_layer(LayerOp.CONV2D, shape, 8, 3, name="l3", inputs=("l2",), pad=1),
    )
    return make_network(name, layers, (Tensor("x", shape, 7),))


def device(name: str, sensors: tuple[str, ...] = (), actuators: tuple[str, ...] = ()) -> PlanDevice:
    return PlanDevice(name, CHIP, sensors, actuators)


def wire(one: str, other: str, rate_kbps: float = 921.6) -> PlanLink:
    return PlanLink(f"{one}-{other}", (one, other), UART, rate_kbps)


def pair(**app: object) -> PlanProblem:
    """Return two wired devices: ``wrist`` senses, ``chest`` interacts; ``app`` are fields of the app."""
    return PlanProblem(
        (device("wrist", ("imu",)), device("chest", (), ("led",))),
        (wire("wrist", "chest"),),
        (PlanApp("a", "imu", "led", **app),),  # type: ignore[arg-type]
    )
