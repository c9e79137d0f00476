"""In which order the layers of a network description run."""

from __future__ import annotations

from dataclasses import dataclass

from synergyc.diagnostics import fail
from synergyc.synth.vendor.config import NetworkConfig
from synergyc.synth.vendor.entry import STOP
from synergyc.synth.vendor.options import VendorOptions


@dataclass(frozen=True)
class Order:
    """Numbers of layers.

    Attributes:
        path: the layers that run, in their order, when no snoop unit takes another way.
        simulated: the layers that make the known answer, in their order.
    """

    path: tuple[int, ...]
    simulated: tuple[int, ...]

    @property
    def configured(self) -> tuple[int, ...]:
        """The layers whose registers are written, ascending."""
        return tuple(sorted(self.path))

    @property
    def final(self) -> int:
        """The layer behind which execution ends."""
        return self.path[-1]

    def before(self, number: int) -> int | None:
        """Return the layer that runs before ``number``, None for the first."""
        position = self.path.index(number)
        return self.path[position - 1] if position else None

    def after(self, number: int) -> int:
        """Return the layer that runs after ``number``, STOP for the last."""
        position = self.path.index(number) + 1
        return self.path[position] if position < len(self.path) else STOP


def order_of(config: NetworkConfig, options: VendorOptions, *, links: bool) -> Order:
    """Return the order; raises SynergyError for a layer that is missing, reached twice or never.

    ``links``: the chip can run another layer than the next one.
    """
    path = _path(config, options, links=links)
    missing = sorted(set(range(min(path), max(path))) - set(path))
    if missing:
        raise fail(
            "vendor-value",
            f"layer {missing[0]} lies between layers that run, but is never reached",
            location=config.layers[missing[0]].location,
        )
    simulated = [path[0]]
    while (follower := _simulated_after(config, path, simulated[-1])) != STOP:
        if follower not in path or follower in simulated:
            raise _wrong_follower(config, simulated[-1], "simulated_sequence", follower)
        simulated.append(follower)
    return Order(path, tuple(simulated))


def _path(config: NetworkConfig, options: VendorOptions, *, links: bool) -> tuple[int, ...]:
    count = len(config.layers)
    stop = None if options.stop_after is None else options.stop_after - options.skip_yaml_layers
    number = options.start_layer
    if not 0 <= number < count:
        raise fail("vendor-option", f"there is no layer {number} to start at")
    path: list[int] = []
    while 0 <= number < count:
        path.append(number)
        follower = config.layers[number].next_sequence
        if number == stop or follower == STOP:
            break
        if follower not in {None, number + 1} and (not links or follower in path):
            raise _wrong_follower(config, number, "next_sequence", follower)
        number = number + 1 if follower is None else follower
    if stop is not None and stop not in path:
        raise fail("vendor-option", f"there is no layer {options.stop_after} to stop after")
    return tuple(path)


def _simulated_after(config: NetworkConfig, path: tuple[int, ...], number: int) -> int:
    simulated = config.layers[number].simulated_sequence
    if simulated is not None:
        return simulated
    position = path.index(number) + 1
    return path[position] if position < len(path) else STOP


def _wrong_follower(config: NetworkConfig, number: int, key: str, follower: object) -> Exception:
    return fail(
        "vendor-value",
        f"{key} of layer {number} cannot be {follower}",
        location=config.layers[number].location,
        hint="a layer runs once; on the MAX78000 layers run in the order of their numbers",
    )
