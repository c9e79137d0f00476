"""The links of each device: which of its UARTs leads to which peers."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence

from synergyc.diagnostics import fail
from synergyc.firmware.spec import Link, Wire
from synergyc.plan.types import Plan
from synergyc.targets import Board, assign_uarts, load_chip


def link_ends(
    plans: Sequence[Plan], boards: Mapping[str, Board], wires: Sequence[Wire]
) -> dict[str, tuple[Link, ...]]:
    """Return each device's links to its peers in any of the plans: the board's UARTs in their order.

    With several plans devices must hear of each other: links that no hand-off needs are added where no other
    way leads, as far as UARTs allow.

    Raises SynergyError: ``link-medium``, ``link-uarts``, ``link-rate``, ``hand-off-path``.
    """
    apps = [app for plan in plans for app in plan.apps]
    used: dict[str, set[tuple[str, str]]] = {}
    for hand_off in (hand_off for app in apps for hand_off in app.hand_offs):
        used.setdefault(hand_off.link, set()).add((hand_off.source, hand_off.target))
    unknown = used.keys() - {wire.name for wire in wires}
    if unknown:
        raise fail("hand-off-path", f"the plan uses a link that is not there: {', '.join(sorted(unknown))}")
    names = device_names(plans)
    if len(plans) > 1:
        _add_hearing(used, names, boards, wires)
    numbers = {name: number for number, name in enumerate(names)}
    peers = {wire.name: _peers(used[wire.name]) for wire in wires if wire.name in used}
    ends: dict[str, tuple[Link, ...]] = {}
    for device in sorted({device for found in peers.values() for device in found}):
        mine = [wire for wire in wires if device in peers.get(wire.name, ())]
        uarts = _uarts_of(device, boards[device], mine)
        ends[device] = tuple(
            _link_end(wire, device, peer, uart, numbers, _streams(wire, plans))
            for wire, uart in zip(mine, uarts, strict=True)
            for peer in peers[wire.name][device]
        )
    return ends


def _add_hearing(
    used: dict[str, set[tuple[str, str]]],
    names: Sequence[str],
    boards: Mapping[str, Board],
    wires: Sequence[Wire],
) -> None:
    """Add pairs of devices to the links in ``used`` until every device is joined to all that it can be."""
    for wire in wires:
        ends = [name for name in wire.ends if name in names]
        for one, other in itertools.combinations(ends, 2):
            pairs = [pair for found in used.values() for pair in found]
            free = all(_has_uart(name, wire.name, used, boards) for name in (one, other))
            if free and wire.medium.peripheral == "uart" and not _is_way(one, other, pairs):
                used.setdefault(wire.name, set()).add((one, other))


def _has_uart(
    device: str, wire: str, used: Mapping[str, set[tuple[str, str]]], boards: Mapping[str, Board]
) -> bool:
    mine = {name for name, pairs in used.items() if any(device in pair for pair in pairs)} | {wire}
    return len(mine) <= len(boards[device].link_uarts)


def _is_way(one: str, other: str, pairs: Sequence[tuple[str, str]]) -> bool:
    reached, before = {one}, set[str]()
    while reached != before:
        before = set(reached)
        reached |= {name for pair in pairs if reached.intersection(pair) for name in pair}
    return other in reached


def device_names(plans: Sequence[Plan]) -> tuple[str, ...]:
    """Return the devices of the plans in the order of their numbers in frames."""
    return tuple(sorted({name for plan in plans for app in plan.apps for name in app.devices}))


def joined(device: str, links: Mapping[str, Sequence[Link]]) -> frozenset[str]:
    """Return the devices that a way of links leads to from ``device``, itself included."""
    reached, new = {device}, {device}
    while new:
        new = {link.peer for name in new for link in links.get(name, ())} - reached
        reached |= new
    return frozenset(reached)


def _peers(pairs: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    """Return, for each device of ``pairs``, those that it exchanges frames with, in order of name."""
    peers: dict[str, set[str]] = {}
    for one, two in pairs:
        peers.setdefault(one, set()).add(two)
        peers.setdefault(two, set()).add(one)
    return {device: sorted(peers[device]) for device in sorted(peers)}


def _uarts_of(device: str, board: Board, wires: Sequence[Wire]) -> tuple[str, ...]:
    """Return the UART of each of a device's wires; the app file was checked for them (``config.check``)."""
    for wire in wires:
        if wire.medium.peripheral != "uart":
            raise fail(
                "link-medium",
                f"link {wire.name!r} must be of a medium that a UART drives, not {wire.medium.name!r}",
            )
    if len(wires) > len(board.link_uarts):
        raise fail(
            "link-uarts",
            f"device {device!r} has more links than its board {board.name} has UARTs for them",
            need=f"{len(wires)} UARTs",
            have=f"{len(board.link_uarts)} UARTs",
            hint="use fewer wires, or forbid the device in the app file so that the plan avoids one",
        )
    chip = load_chip(board.chip)
    found = assign_uarts(chip, board.link_uarts, [(wire.medium, wire.rate_kbps) for wire in wires])
    if found is None:
        raise fail(
            "link-rate",
            f"UARTs of device {device!r} must have the rates of links"
            f" {', '.join(repr(wire.name) for wire in wires)} at once",
            need=", ".join(f"{wire.rate_kbps:g} kbps" for wire in wires),
            have=f"{board.name}: {', '.join(board.link_uarts)}",
            hint="state a rate that more of its UARTs have: 921.6 is one of all boards",
        )
    return found


def _streams(wire: Wire, plans: Sequence[Plan]) -> int:
    """Return how many hand-offs of one plan a wire or channel carries, of that which has the most."""
    over = [[item for app in plan.apps for item in app.hand_offs if item.link == wire.name] for plan in plans]
    return max(map(len, over))


def _link_end(
    wire: Wire, device: str, peer: str, uart: str, numbers: Mapping[str, int], streams: int
) -> Link:
    return Link(
        name=f"{wire.name}_{peer}" if wire.medium.shared else wire.name,
        channel=wire.name,
        peer=peer,
        own_number=numbers[device],
        peer_number=numbers[peer],
        uart=uart,
        rate_bd=round(wire.medium.uart_rate_kbps(wire.rate_kbps) * 1000),
        payload_bytes=wire.medium.mtu_bytes,
        bits_per_byte=wire.medium.bits_per_byte,
        shared=wire.medium.shared,
        streams=streams,
        key=_key_name(wire, device, peer) if wire.secure else None,
    )


def _key_name(wire: Wire, device: str, peer: str) -> str:
    """Return the name of the key that two devices share: of a channel each pair has its own."""
    return f"{wire.name}:{'+'.join(sorted((device, peer)))}" if wire.medium.shared else wire.name
