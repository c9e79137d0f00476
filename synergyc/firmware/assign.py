"""Turn a plan into what each device has to do.

An app is a chain: sense, segments, interact. Wherever neighbours are on different devices the plan's
hand-offs lead from one to the other, over relays if need be. Every joint of the chain becomes a queue.
"""

from __future__ import annotations

import itertools
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from synergyc.diagnostics import fail
from synergyc.firmware.layout import pack_tensor, same_layout, word_layout
from synergyc.firmware.sizing import with_depths
from synergyc.firmware.spec import (
    FirmwareSpec,
    Infer,
    Interact,
    Link,
    Passed,
    Placed,
    Queue,
    Receive,
    Send,
    Sense,
    Storage,
    TailTask,
    Wire,
)
from synergyc.ir.network import Network
from synergyc.ir.tail import stages
from synergyc.ir.types import Array
from synergyc.plan.types import AppPlan, HandOff, Plan, Segment
from synergyc.synth.program import Program, TensorLayout
from synergyc.synth.switch import switch_steps
from synergyc.targets import Board, Chip, load_chip


@dataclass
class _Tasks:
    """The tasks of one device while they are collected."""

    queues: list[Queue] = field(default_factory=list)
    senses: list[Sense] = field(default_factory=list)
    infers: list[Infer] = field(default_factory=list)
    sends: list[Send] = field(default_factory=list)
    receives: list[Receive] = field(default_factory=list)
    tails: list[TailTask] = field(default_factory=list)
    interacts: list[Interact] = field(default_factory=list)


@dataclass(frozen=True)
class Policy:
    """How an app's runs come about: the sensor's rate (None: as fast as it goes) and driver, and priority.

    ``driver_text`` is the C source of a driver of the user's own.
    """

    rate_hz: float | None = None
    priority: int = 0
    driver: str = "replay"
    driver_text: str | None = None


@dataclass(frozen=True)
class _Joint:
    """Between two neighbours of the chain: the tensors that cross, in order, and the way between devices."""

    tensors: tuple[TensorLayout, ...]
    hops: tuple[HandOff, ...]

    @property
    def words(self) -> int:
        return sum(layout.words for layout in self.tensors)

    def first_words(self) -> dict[str, int]:
        """Return where each tensor begins in the stream, in words."""
        starts = itertools.accumulate((layout.words for layout in self.tensors), initial=0)
        return {layout.tensor.name: start for layout, start in zip(self.tensors, starts, strict=False)}


def assign(
    plan: Plan,
    programs: Mapping[str, Program],
    boards: Mapping[str, Board],
    wires: Sequence[Wire],
    samples: Mapping[str, Array],
    *,
    run_limit: int = 0,
    policies: Mapping[str, Policy] | None = None,
    networks: Mapping[str, Network] | None = None,
) -> tuple[FirmwareSpec, ...]:
    """Return what each device of the plan does, in order of device name.

    ``programs`` by segment name, ``boards`` by device name, ``samples`` by app: integers (N, *input shape).
    ``run_limit`` is how many runs each replay sensor delivers, 0: without end. ``policies`` by app.
    ``networks`` by app, of those that may have a tail.

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
        policy = (policies or {}).get(app.app, Policy())
        queue, layouts = _assign_app(app, programs, samples[app.app], policy, numbers, devices)
        _assign_end(app, (networks or {}).get(app.app), queue, layouts, devices[app.interact_device])
    links = link_ends(plan, boards, wires)
    plan_id = _plan_id(plan, programs, links)
    return tuple(
        with_depths(_device_spec(name, boards[name], plan_id, run_limit, links.get(name, ()), tasks))
        for name, tasks in sorted(devices.items())
    )


def _device_spec(
    name: str, board: Board, plan_id: int, run_limit: int, links: tuple[Link, ...], tasks: _Tasks
) -> FirmwareSpec:
    chip = load_chip(board.chip)
    return FirmwareSpec(
        device=name,
        board=board,
        chip=chip,
        plan_id=plan_id,
        run_limit=run_limit,
        links=links,
        queues=tuple(tasks.queues),
        senses=tuple(tasks.senses),
        infers=_sharing(tasks.infers, chip),
        sends=tuple(tasks.sends),
        receives=tuple(tasks.receives),
        tails=tuple(tasks.tails),
        interacts=tuple(tasks.interacts),
    )


def link_ends(plan: Plan, boards: Mapping[str, Board], wires: Sequence[Wire]) -> dict[str, tuple[Link, ...]]:
    """Return each device's links to its peers in the plan: the board's UARTs in their order.

    Raises SynergyError: ``link-medium``, ``link-uarts``, ``hand-off-path``.
    """
    hand_offs = [hand_off for app in plan.apps for hand_off in app.hand_offs]
    used: dict[str, set[tuple[str, str]]] = {}
    for hand_off in hand_offs:
        used.setdefault(hand_off.link, set()).add((hand_off.source, hand_off.target))
    unknown = used.keys() - {wire.name for wire in wires}
    if unknown:
        raise fail("hand-off-path", f"the plan uses a link that is not there: {', '.join(sorted(unknown))}")
    names = {name for app in plan.apps for name in _devices(app)}
    numbers = {name: number for number, name in enumerate(sorted(names))}
    ends: dict[str, list[Link]] = {}
    for wire in wires:
        if wire.name not in used:
            continue
        if wire.medium.peripheral != "uart":
            raise fail(
                "link-medium",
                f"link {wire.name!r} must be of a medium that a UART drives, not {wire.medium.name!r}",
            )
        for device, peers in _peers(used[wire.name]).items():
            mine = ends.setdefault(device, [])
            uart = _next_uart(device, boards[device], len({link.uart for link in mine}))
            mine += [_link_end(wire, device, peer, uart, numbers) for peer in peers]
    return {device: tuple(links) for device, links in ends.items()}


def _devices(app: AppPlan) -> set[str]:
    ends = {end for hand_off in app.hand_offs for end in (hand_off.source, hand_off.target)}
    return ends | {app.sense_device, app.interact_device, *(segment.device for segment in app.segments)}


def _peers(pairs: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    """Return, for each device of ``pairs``, those that it exchanges frames with, in order of name."""
    peers: dict[str, set[str]] = {}
    for one, two in pairs:
        peers.setdefault(one, set()).add(two)
        peers.setdefault(two, set()).add(one)
    return {device: sorted(peers[device]) for device in sorted(peers)}


def _next_uart(device: str, board: Board, index: int) -> str:
    if index >= len(board.link_uarts):
        raise fail(
            "link-uarts",
            f"device {device!r} has more links than its board {board.name} has UARTs for them",
            need=f"{index + 1} UARTs",
            have=f"{len(board.link_uarts)} UARTs",
            hint="use fewer wires, or forbid the device in the app file so that the plan avoids one",
        )
    return board.link_uarts[index]


def _link_end(wire: Wire, device: str, peer: str, uart: str, numbers: Mapping[str, int]) -> Link:
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
        key=_key_name(wire, device, peer) if wire.secure else None,
    )


def _key_name(wire: Wire, device: str, peer: str) -> str:
    """Return the name of the key that two devices share: of a channel each pair has its own."""
    return f"{wire.name}:{'+'.join(sorted((device, peer)))}" if wire.medium.shared else wire.name


def _sharing(infers: Sequence[Infer], chip: Chip) -> tuple[Infer, ...]:
    """Return the segments of one accelerator with what each needs after a run of another one."""
    programs = [infer.program for infer in infers]
    if len(programs) < 2:
        return tuple(infers)
    found = []
    for infer in infers:
        others = [program for program in programs if program is not infer.program]
        found.append(replace(infer, select=switch_steps(infer.program, others, chip.cnn)))
    return tuple(found)


def _assign_app(
    app: AppPlan,
    programs: Mapping[str, Program],
    samples: Array,
    policy: Policy,
    numbers: Mapping[tuple[str, int], int],
    devices: dict[str, _Tasks],
) -> tuple[str, tuple[TensorLayout, ...]]:
    """Add an app's tasks but its last ones; return the queue of the network's outputs, and how they lie."""
    chain = [programs[segment.name] for segment in app.segments]
    joints = list(_joints(app, chain))
    first = joints[0].tensors
    if len(first) != 1:
        raise fail("hand-off-tensors", f"app {app.app!r} must have one input tensor, not {len(first)}")
    in_flash = policy.driver == "replay"
    queue = _queue(devices, app, 0, app.sense_device, joints[0], Storage.FLASH if in_flash else Storage.RAM)
    packed = tuple(pack_tensor(first[0], sample) for sample in samples) if in_flash else ()
    sense = Sense(app.app, queue, first[0], packed, policy.rate_hz, policy.driver, policy.driver_text)
    devices[app.sense_device].senses.append(sense)
    for index, (segment, program) in enumerate(zip(app.segments, chain, strict=True)):
        source = _carry(devices, app, index, joints[index], queue, numbers)
        queue = _queue(devices, app, index + 1, segment.device, joints[index + 1])
        devices[segment.device].infers.append(
            _infer(app, segment, program, source, queue, (joints[index], joints[index + 1]), policy)
        )
    last = len(chain)
    return _carry(devices, app, last, joints[last], queue, numbers), joints[last].tensors


def _assign_end(
    app: AppPlan, network: Network | None, queue: str, layouts: tuple[TensorLayout, ...], tasks: _Tasks
) -> None:
    """Add the tail of an app, if there is one, and the report of its results."""
    if network is not None and network.tail:
        result = word_layout(network.result)
        comment = f"app {app.app}: {result.tensor.name}"
        target = f"{app.app}_result"
        tasks.queues.append(Queue(target, result.words, 2, Storage.RAM, comment))
        source = layouts[0].tensor
        work = stages(network.tail, source.shape, source.fraction_bits, source.width_bits)
        tasks.tails.append(TailTask(app.app, queue, target, layouts[0], work, result.tensor))
        queue, layouts = target, (result,)
    tasks.interacts.append(Interact(app.app, queue, layouts))


def _infer(
    app: AppPlan,
    segment: Segment,
    program: Program,
    source: str,
    target: str,
    joints: tuple[_Joint, _Joint],
    policy: Policy,
) -> Infer:
    """Return the task of a segment between two joints; what it does not read is passed on."""
    before, after = joints
    taken, given = before.first_words(), after.first_words()
    made = {layout.tensor.name for layout in program.outputs}
    return Infer(
        app.app,
        program,
        source,
        target,
        tuple(Placed(layout, taken[layout.tensor.name]) for layout in program.inputs),
        tuple(Placed(item, given[item.tensor.name]) for item in program.outputs if item.tensor.name in given),
        passed=tuple(
            Passed(taken[layout.tensor.name], given[layout.tensor.name], layout.words)
            for layout in after.tensors
            if layout.tensor.name not in made
        ),
        priority=policy.priority,
        residency=segment.residency,
    )


def _queue(
    devices: dict[str, _Tasks],
    app: AppPlan,
    index: int,
    device: str,
    joint: _Joint,
    storage: Storage = Storage.RAM,
) -> str:
    tensors = ", ".join(layout.tensor.name for layout in joint.tensors)
    name = f"{app.app}_q{index}"
    queues = devices.setdefault(device, _Tasks()).queues
    while name in {queue.name for queue in queues}:  # the chain comes back to this device
        name += "b"
    queues.append(Queue(name, joint.words, 2, storage, f"app {app.app}: {tensors}"))
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
        devices[hop.source].sends.append(Send(app.app, number, hop.link, hop.target, queue))
        queue = _queue(devices, app, index, hop.target, joint)
        devices[hop.target].receives.append(Receive(app.app, number, hop.link, hop.source, queue))
    return queue


def _joints(app: AppPlan, chain: Sequence[Program]) -> Iterator[_Joint]:
    """Yield the joints of an app's chain in order; checks that tensors and layouts agree on both sides.

    A tensor that a later segment reads crosses every joint on its way, also past segments that do not.
    """
    places = [app.sense_device, *(segment.device for segment in app.segments), app.interact_device]
    hand_offs = list(app.hand_offs)
    known = {layout.tensor.name: layout for layout in chain[0].inputs}
    crossing = list(_crossing(app, chain))
    for index, (here, there) in enumerate(itertools.pairwise(places)):
        hops: list[HandOff] = []
        while here != there:
            if not hand_offs or hand_offs[0].source != here:
                raise fail("hand-off-path", f"app {app.app!r}: no hand-off leads from {here!r} to {there!r}")
            hops.append(hand_offs.pop(0))
            here = hops[-1].target
        known |= {layout.tensor.name: layout for layout in (chain[index - 1].outputs if index else ())}
        yield _Joint(tuple(known[name] for name in crossing[index]), tuple(hops))
        for layout in chain[index].inputs if index < len(chain) else ():
            _check_layout(app, known[layout.tensor.name], layout)
    if hand_offs:
        raise fail("hand-off-path", f"app {app.app!r}: hand-off without use: {hand_offs[0]}")


def _crossing(app: AppPlan, chain: Sequence[Program]) -> tuple[tuple[str, ...], ...]:
    """Return the tensors that cross each joint: what the next segment reads, then what later ones need."""
    needed = [layout.tensor.name for layout in chain[-1].outputs]
    found = [tuple(needed)]
    for program in reversed(chain):
        made = {layout.tensor.name for layout in program.outputs}
        read = [layout.tensor.name for layout in program.inputs]
        needed = list(dict.fromkeys([*read, *(name for name in needed if name not in made)]))
        found.append(tuple(needed))
    unmade = set(needed) - {layout.tensor.name for layout in chain[0].inputs}
    if unmade:
        raise fail("hand-off-tensors", f"app {app.app!r}: no segment makes {', '.join(sorted(unmade))}")
    return tuple(reversed(found))


def _check_layout(app: AppPlan, made: TensorLayout, read: TensorLayout) -> None:
    if not same_layout(made, read):
        raise fail(
            "layout-mismatch",
            f"app {app.app!r}: tensor {made.tensor.name!r} is written and read in different memory layouts",
            need=f"{read.words} words",
            have=f"{made.words} words",
        )


def _plan_id(plan: Plan, programs: Mapping[str, Program], links: Mapping[str, tuple[Link, ...]]) -> int:
    """Return a number that devices of the same build share: CRC-32 of what they have to agree on."""
    keys = sorted({link.key for ends in links.values() for link in ends if link.key})
    text = "\n".join([str(plan), *(str(programs[name]) for name in sorted(programs)), *keys])
    return zlib.crc32(text.encode())
