"""Turn a plan into what each device has to do.

An app is a chain: sense, segments, interact. Wherever neighbours are on different devices the plan's
hand-offs lead from one to the other, over relays if need be. Every joint of the chain becomes a queue.
"""

from __future__ import annotations

import itertools
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from synergyc.diagnostics import fail
from synergyc.firmware.layout import pack_tensor, same_layout
from synergyc.firmware.sizing import with_depths
from synergyc.firmware.spec import FirmwareSpec, Infer, Interact, Link, Queue, Receive, Send, Sense, Wire
from synergyc.ir.types import Array
from synergyc.plan.types import AppPlan, HandOff, Plan
from synergyc.synth.program import Program, TensorLayout
from synergyc.targets import Board, load_chip


@dataclass
class _Tasks:
    """The tasks of one device while they are collected."""

    queues: list[Queue] = field(default_factory=list)
    senses: list[Sense] = field(default_factory=list)
    infers: list[Infer] = field(default_factory=list)
    sends: list[Send] = field(default_factory=list)
    receives: list[Receive] = field(default_factory=list)
    interacts: list[Interact] = field(default_factory=list)


@dataclass(frozen=True)
class _Joint:
    """Between two neighbours of the chain: tensors as made and as read, and the way between the devices."""

    made: tuple[TensorLayout, ...]
    read: tuple[TensorLayout, ...]
    hops: tuple[HandOff, ...]

    @property
    def words(self) -> int:
        return sum(layout.words for layout in self.read)


def assign(
    plan: Plan,
    programs: Mapping[str, Program],
    boards: Mapping[str, Board],
    wires: Sequence[Wire],
    samples: Mapping[str, Array],
    *,
    run_limit: int = 0,
) -> tuple[FirmwareSpec, ...]:
    """Return what each device of the plan does, in order of device name.

    ``programs`` by segment name, ``boards`` by device name, ``samples`` by app: integers (N, *input shape).
    ``run_limit`` is how many runs each replay sensor delivers, 0: without end.

    Raises SynergyError: ``layout-mismatch``, ``hand-off-tensors``, ``hand-off-path`` (plan and programs do
    not fit together), ``link-medium``, ``link-uarts`` (not enough of them), ``sample-shape``,
    ``sample-range``, ``no-samples``.
    """
    devices: dict[str, _Tasks] = {}
    hand_offs = [hand_off for app in plan.apps for hand_off in app.hand_offs]
    numbers = {(hand_off.app, hand_off.index): number for number, hand_off in enumerate(hand_offs)}
    for app in plan.apps:
        if len(samples.get(app.app, ())) == 0:
            raise fail("no-samples", f"app {app.app!r} has no samples for its replay sensor")
        _assign_app(app, programs, samples[app.app], numbers, devices)
    links = link_ends(plan, boards, wires)
    plan_id = _plan_id(plan, programs)
    return tuple(
        with_depths(
            FirmwareSpec(
                device=name,
                board=boards[name],
                chip=load_chip(boards[name].chip),
                plan_id=plan_id,
                run_limit=run_limit,
                links=links.get(name, ()),
                queues=tuple(tasks.queues),
                senses=tuple(tasks.senses),
                infers=tuple(tasks.infers),
                sends=tuple(tasks.sends),
                receives=tuple(tasks.receives),
                interacts=tuple(tasks.interacts),
            )
        )
        for name, tasks in sorted(devices.items())
    )


def link_ends(plan: Plan, boards: Mapping[str, Board], wires: Sequence[Wire]) -> dict[str, tuple[Link, ...]]:
    """Return each device's ends of the links that the plan uses: the board's UARTs in their order.

    Raises SynergyError: ``link-medium``, ``link-uarts``, ``hand-off-path``.
    """
    used = {hand_off.link for app in plan.apps for hand_off in app.hand_offs}
    unknown = used - {wire.name for wire in wires}
    if unknown:
        raise fail("hand-off-path", f"the plan uses a link that is not there: {', '.join(sorted(unknown))}")
    ends: dict[str, list[Link]] = {}
    for wire in wires:
        if wire.name not in used:
            continue
        if wire.medium.peripheral != "uart":
            raise fail(
                "link-medium",
                f"link {wire.name!r} must be of a medium that a UART drives, not {wire.medium.name!r}",
            )
        for device, peer in (wire.ends, wire.ends[::-1]):
            mine = ends.setdefault(device, [])
            mine.append(_link_end(wire, device, peer, boards[device], len(mine)))
    return {device: tuple(links) for device, links in ends.items()}


def _link_end(wire: Wire, device: str, peer: str, board: Board, index: int) -> Link:
    if index >= len(board.link_uarts):
        raise fail(
            "link-uarts",
            f"device {device!r} has more links than its board {board.name} has UARTs for them",
            need=f"{index + 1} UARTs",
            have=f"{len(board.link_uarts)} UARTs",
            hint="use fewer wires, or forbid the device in the app file so that the plan avoids one",
        )
    return Link(
        name=wire.name,
        peer=peer,
        uart=board.link_uarts[index],
        rate_bd=round(wire.rate_kbps * 1000),
        payload_bytes=wire.medium.mtu_bytes,
        bits_per_byte=wire.medium.bits_per_byte,
    )


def _assign_app(
    app: AppPlan,
    programs: Mapping[str, Program],
    samples: Array,
    numbers: Mapping[tuple[str, int], int],
    devices: dict[str, _Tasks],
) -> None:
    chain = [programs[segment.name] for segment in app.segments]
    joints = list(_joints(app, chain))
    first = joints[0].read
    if len(first) != 1:
        raise fail("hand-off-tensors", f"app {app.app!r} must have one input tensor, not {len(first)}")
    queue = _queue(devices, app, 0, app.sense_device, joints[0], in_flash=True)
    packed = tuple(pack_tensor(first[0], sample) for sample in samples)
    devices[app.sense_device].senses.append(Sense(app.app, queue, first[0], packed))
    for index, (segment, program) in enumerate(zip(app.segments, chain, strict=True)):
        source = _carry(devices, app, index, joints[index], queue, numbers)
        queue = _queue(devices, app, index + 1, segment.device, joints[index + 1])
        devices[segment.device].infers.append(
            Infer(app.app, program, source, queue, joints[index].read, joints[index + 1].made)
        )
    last = len(chain)
    queue = _carry(devices, app, last, joints[last], queue, numbers)
    devices[app.interact_device].interacts.append(Interact(app.app, queue, joints[last].made))


def _queue(
    devices: dict[str, _Tasks],
    app: AppPlan,
    index: int,
    device: str,
    joint: _Joint,
    *,
    in_flash: bool = False,
) -> str:
    tensors = ", ".join(layout.tensor.name for layout in joint.read)
    name = f"{app.app}_q{index}"
    queues = devices.setdefault(device, _Tasks()).queues
    while name in {queue.name for queue in queues}:  # the chain comes back to this device
        name += "b"
    queues.append(Queue(name, joint.words, 2, in_flash, f"app {app.app}: {tensors}"))
    return name


def _carry(
    devices: dict[str, _Tasks],
    app: AppPlan,
    index: int,
    joint: _Joint,
    queue: str,
    numbers: Mapping[tuple[str, int], int],
) -> str:
    """Send what is in ``queue`` over the joint's hops; return the queue at the far end."""
    for hop in joint.hops:
        number = numbers[hop.app, hop.index]
        devices[hop.source].sends.append(Send(app.app, number, hop.link, queue))
        queue = _queue(devices, app, index, hop.target, joint)
        devices[hop.target].receives.append(Receive(app.app, number, hop.link, queue))
    return queue


def _joints(app: AppPlan, chain: Sequence[Program]) -> Iterator[_Joint]:
    """Yield the joints of an app's chain in order; checks that tensors and layouts agree on both sides."""
    places = [app.sense_device, *(segment.device for segment in app.segments), app.interact_device]
    hand_offs = list(app.hand_offs)
    for index, (here, there) in enumerate(itertools.pairwise(places)):
        hops: list[HandOff] = []
        while here != there:
            if not hand_offs or hand_offs[0].source != here:
                raise fail("hand-off-path", f"app {app.app!r}: no hand-off leads from {here!r} to {there!r}")
            hops.append(hand_offs.pop(0))
            here = hops[-1].target
        made = chain[index - 1].outputs if index else chain[0].inputs
        read = chain[index].inputs if index < len(chain) else made
        yield _Joint(_matching(app, made, read), read, tuple(hops))
    if hand_offs:
        raise fail("hand-off-path", f"app {app.app!r}: hand-off without use: {hand_offs[0]}")


def _matching(
    app: AppPlan, made: Sequence[TensorLayout], read: Sequence[TensorLayout]
) -> tuple[TensorLayout, ...]:
    """Return the layouts of ``made`` in the order of ``read``."""
    known = {layout.tensor.name: layout for layout in made}
    for layout in read:
        name = layout.tensor.name
        if name not in known:
            raise fail(
                "hand-off-tensors",
                f"app {app.app!r}: tensor {name!r} is read by a segment that does not follow its maker",
                hint="cut the network where a single tensor crosses",
            )
        if not same_layout(known[name], layout):
            raise fail(
                "layout-mismatch",
                f"app {app.app!r}: tensor {name!r} is written and read in different memory layouts",
                need=f"{layout.words} words",
                have=f"{known[name].words} words",
            )
    return tuple(known[layout.tensor.name] for layout in read)


def _plan_id(plan: Plan, programs: Mapping[str, Program]) -> int:
    """Return a number that devices of the same build share: CRC-32 of what they have to agree on."""
    text = "\n".join([str(plan), *(str(programs[name]) for name in sorted(programs))])
    return zlib.crc32(text.encode())
