"""Cross checks: what a schema cannot say about a system. They hold for systems made in Python too."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence

from synergyc.config.check_app import check_app
from synergyc.config.marks import place_in_file
from synergyc.config.plain import value_problems
from synergyc.config.system import App, Device, Link, System
from synergyc.diagnostics import Diagnostic, Location, SynergyError, did_you_mean
from synergyc.targets import Medium, assign_uarts, load_board, load_medium

_RESERVED = "all"
"""In ``between`` it stands for every device."""

_WRONG_ENDS = ("unknown-device", "link-ends", "reserved-name", "duplicate-name")
"""Rules of devices and links: where one is broken, what is joined to what is not known."""


def check(system: System) -> tuple[Diagnostic, ...]:
    """Return everything that is wrong with ``system``, in the order of the app file.

    Checked: names, boards, media, sensors, actuators, link ends, connectedness, what apps ask of devices,
    and that the files they name exist. Of a system made in Python first its names and values, by the schema
    of app files; further mistakes are told of when these are right.
    """
    if not system.marks.file and (problems := value_problems(system)):
        return problems
    found = [*_check_objective(system), *_check_names(system)]
    for device in system.devices:
        found += _check_device(system, device)
    for i, link in enumerate(system.links):
        found += _check_link(system, i, link)
    found += _check_ports(system)
    if not any(item.rule in _WRONG_ENDS for item in found):
        found += _check_connected(system)
    for app in system.apps:
        found += check_app(system, app)
    return tuple(sorted(found, key=place_in_file))


def _check_objective(system: System) -> Iterator[Diagnostic]:
    """Each goal is named once."""
    goals = () if isinstance(system.objective, str) else tuple(system.objective)
    for i, goal in enumerate(goals):
        if goal in goals[:i]:
            message = f"objective must name {goal} once"
            yield Diagnostic("objective", message, system.locate("objective"))


def _check_names(system: System) -> Iterator[Diagnostic]:
    named: dict[str, Sequence[Device] | Sequence[App]] = {"device": system.devices, "app": system.apps}
    for kind, items in named.items():
        seen: dict[str, str] = {}
        for item in items:
            place = system.marks.locate_key(f"{kind}s", item.name)
            key = item.name.lower()  # names become names of files, which some systems compare so
            if key in seen:
                message = f"{kind} must not be called {item.name!r} beside {seen[key]!r}"
                yield Diagnostic("duplicate-name", message, place)
            seen.setdefault(key, item.name)
            if kind == "device" and item.name == _RESERVED:
                message = f"device must not be called {_RESERVED!r}: that stands for every device"
                yield Diagnostic("reserved-name", message, place)


def _unknown(load: Callable[[str], object], name: str, place: Location | None) -> tuple[Diagnostic, ...]:
    """Return what is wrong with a target's name, placed in the app file."""
    try:
        load(name)
    except SynergyError as error:
        return tuple(Diagnostic(d.rule, d.message, place, hint=d.hint) for d in error.diagnostics)
    return ()


def _check_device(system: System, device: Device) -> Iterator[Diagnostic]:
    unknown = _unknown(load_board, device.board, system.locate("devices", device.name, "board"))
    if unknown:
        yield from unknown
        return
    board = device.board_data
    for key, names, known in (
        ("sensors", device.sensors, board.sensors),
        ("actuators", device.actuators, board.actuators),
    ):
        for i, name in enumerate(names):
            place = system.locate("devices", device.name, key, i)
            if name not in known:
                message = f"board {device.board} has no {key[:-1]} {name!r}"
                yield Diagnostic(f"unknown-{key[:-1]}", message, place, hint=did_you_mean(name, known))
            elif name in names[:i]:
                yield Diagnostic("duplicate-name", f"{key[:-1]} {name!r} stands twice", place)


def _check_link(system: System, i: int, link: Link) -> Iterator[Diagnostic]:
    unknown = _unknown(load_medium, link.medium, system.locate("links", i, "medium"))
    yield from unknown
    place = system.locate("links", i, "between")
    if isinstance(link.between, str):
        if not unknown and not link.medium_data.shared:
            message = f"medium {link.medium} joins two devices, not all"
            yield Diagnostic("link-ends", message, place, hint="between: [one, other]")
    elif link.between[0] == link.between[1]:
        yield Diagnostic("link-ends", f"link must join two devices, not {link.between[0]!r} to itself", place)
    known = [device.name for device in system.devices]
    for k, name in enumerate(() if isinstance(link.between, str) else link.between):
        if name not in known:
            end = system.locate("links", i, "between", k)
            yield Diagnostic("unknown-device", f"no device {name!r}", end, hint=did_you_mean(name, known))
    same = [k for k, other in enumerate(system.links[:i]) if set(other.ends) == set(link.ends)]
    if same:
        message = f"links {same[0]} and {i} join the same devices"
        yield Diagnostic("duplicate-link", message, system.locate("links", i))
    if link.rate_kbps is not None and not unknown:
        yield from _check_rate(system, i, link, link.rate_kbps)


def _check_rate(system: System, i: int, link: Link, rate_kbps: float) -> Iterator[Diagnostic]:
    """The medium has limits; on a wire a UART at either end must come near enough to the rate."""
    have = _reachable(system, link, rate_kbps)
    if have is not None:
        medium = link.medium_data
        yield Diagnostic(
            "link-rate",
            f"links[{i}].rate_kbps must be one that {medium.name} can have",
            system.locate("links", i, "rate_kbps"),
            need=f"{rate_kbps:g} kbps",
            have=have,
            hint=f"the rate is in kbps: {medium.default_rate_kbps:g} where it is left out",
        )


def _reachable(system: System, link: Link, rate_kbps: float) -> str | None:
    """Return what a link can have in place of ``rate_kbps``; None: it can have that."""
    medium = link.medium_data
    if not rate_kbps >= medium.lowest_rate_kbps:
        return f"at least {medium.lowest_rate_kbps:g} kbps"
    if rate_kbps > (medium.highest_rate_kbps or math.inf):
        return f"at most {medium.highest_rate_kbps:g} kbps"
    for device in system.devices:
        if device.name not in link.ends or _unknown(load_board, device.board, None):
            continue
        uarts = device.board_data.link_uarts
        if not any(medium.reached_by(device.chip, uart, rate_kbps) for uart in uarts):
            rates_kbps = [device.chip.uart_rate_bd(uart, 1000 * rate_kbps) / 1000 for uart in uarts]
            nearest_kbps = min(rates_kbps, key=lambda rate: abs(rate - rate_kbps))
            return f"{nearest_kbps:.1f} kbps, the nearest of device {device.name!r}"
    return None


def _check_ports(system: System) -> Iterator[Diagnostic]:
    """Each wire takes a port of the board at either end, one that has its rate."""
    wires = [
        link
        for link in system.links
        if not _unknown(load_medium, link.medium, None) and link.medium_data.peripheral == "uart"
    ]
    for device in system.devices:
        if _unknown(load_board, device.board, None):
            continue
        mine, ports = [link for link in wires if device.name in link.ends], device.board_data.link_uarts
        place = system.marks.locate_key("devices", device.name)
        if len(mine) > len(ports):
            yield Diagnostic(
                "no-free-port",
                f"device {device.name!r} has more uart links than its board has ports",
                place,
                need=f"{len(mine)} ports",
                have=f"{len(ports)} ports ({', '.join(ports)})",
            )
        elif all(_reachable(system, link, _rate_kbps(link)) is None for link in mine):
            yield from _check_rates_together(device, mine, place)


def _check_rates_together(
    device: Device, links: Sequence[Link], place: Location | None
) -> Iterator[Diagnostic]:
    """There is a way to give each of a device's links, whose rates are possible alone, a port of its own."""
    ports = device.board_data.link_uarts
    rated = [(link.medium_data, _rate_kbps(link)) for link in links]
    if assign_uarts(device.chip, ports, rated) is None:
        yield Diagnostic(
            "link-rate",
            f"ports of device {device.name!r} cannot have the rates of its links all at once",
            place,
            need=", ".join(f"{rate_kbps:g} kbps" for _, rate_kbps in rated),
            have="; ".join(f"{port}: {_rates_of(device, port, rated)}" for port in ports),
            hint="state a rate that more of its ports have",
        )


def _rate_kbps(link: Link) -> float:
    return link.rate_kbps or link.medium_data.default_rate_kbps


def _rates_of(device: Device, port: str, rated: Sequence[tuple[Medium, float]]) -> str:
    """Return which of the rates of a device's links a port has, each once."""
    found = [f"{rate:g} kbps" for medium, rate in rated if medium.reached_by(device.chip, port, rate)]
    return " or ".join(dict.fromkeys(found)) or "none of them"


def _check_connected(system: System) -> Iterator[Diagnostic]:
    """Devices that no chain of links joins to the first one are reported."""
    names = [device.name for device in system.devices]
    if len(names) < 2 or any(link.between == _RESERVED for link in system.links):
        return
    reached = {names[0]}
    for _ in names:
        for link in system.links:
            if reached & set(link.ends):
                reached |= set(link.ends)
    for name in names:
        if name not in reached:
            message = f"device {name!r} has no link to {names[0]!r}, directly or over others"
            yield Diagnostic("disconnected-device", message, system.marks.locate_key("devices", name))
