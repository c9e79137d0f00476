"""Turn a plan into what each device has to do.

An app is a chain: sense, segments, interact. Wherever neighbours are on different devices the plan's
hand-offs lead from one to the other, over relays if need be. Every joint of the chain becomes a queue. An app
with replicas is several such chains, its lanes, from one sensor to one merge of results.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from synergyc.diagnostics import fail
from synergyc.firmware.lanes import Joint, Lane, lanes_of
from synergyc.firmware.layout import pack_tensor, same_layout, word_layout
from synergyc.firmware.links import device_names, joined, link_ends
from synergyc.firmware.sizing import with_depths
from synergyc.firmware.spec import (
    FirmwareSpec,
    Group,
    Infer,
    Interact,
    Link,
    Merge,
    Passed,
    Placed,
    PlanCase,
    Queue,
    Receive,
    Send,
    Sense,
    Storage,
    TailTask,
    Wire,
)
from synergyc.ir.network import Network
from synergyc.ir.preparation import Preparation
from synergyc.ir.tail import stages
from synergyc.ir.types import Array
from synergyc.plan.types import AppPlan, Plan, Segment
from synergyc.synth.program import Program, TensorLayout
from synergyc.synth.switch import switch_steps
from synergyc.targets import Board, load_chip

MOST_HAND_OFFS = 256
"""Hand-offs of all plans of an image: frames have a byte for their numbers (docs/link-protocol.md)."""


@dataclass
class _Tasks:
    """The tasks of one device while they are collected."""

    queues: list[Queue] = field(default_factory=list)
    senses: list[Sense] = field(default_factory=list)
    infers: list[Infer] = field(default_factory=list)
    sends: list[Send] = field(default_factory=list)
    receives: list[Receive] = field(default_factory=list)
    merges: list[Merge] = field(default_factory=list)
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
class FallbackPlan:
    """A plan that comes into force when devices are away, and the programs of its segments by name.

    Its segments' residency sets are numbered over all plans of a device.
    """

    plan: Plan
    programs: Mapping[str, Program]


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
    fallbacks: Sequence[FallbackPlan] = (),
    cases: Sequence[PlanCase] = (),
) -> tuple[FirmwareSpec, ...]:
    """Return what each device of the plans does, in order of device name.

    ``programs`` by segment name, ``boards`` by device name, ``samples`` by app: integers (N, *input shape).
    ``run_limit`` is how many runs each replay sensor delivers, 0: without end. ``policies`` by app.
    ``networks`` by app, of those that may have a tail or prepared samples.
    ``cases`` say when each of the ``fallbacks`` (numbers from 1) is in force; the first that holds counts.

    Raises SynergyError: ``layout-mismatch``, ``hand-off-tensors``, ``hand-off-path`` (plan and programs do
    not fit together), ``link-medium``, ``link-uarts`` (not enough of them), ``sample-shape``,
    ``sample-range``, ``no-samples``, ``replica-layout`` (of samples or results), ``hand-off-count``,
    ``fallback-layout`` (another layout of samples than in the first plan).
    """
    images = (FallbackPlan(plan, programs), *fallbacks)
    plans = [image.plan for image in images]
    _check_count(plans)
    first_number = 0
    tasks: list[dict[str, _Tasks]] = []
    for image in images:
        tasks.append(_plan_tasks(image, samples, policies or {}, networks or {}, first_number))
        first_number += sum(len(app.hand_offs) for app in image.plan.apps)
    links = link_ends(plans, boards, wires)
    names = device_names(plans)
    plan_id = _plan_id(images, links)
    specs = []
    for name in names:
        group = _group(name, names, links, cases)
        used = tasks if group else tasks[:1]
        each = [
            with_depths(
                _device_spec(name, boards[name], plan_id, run_limit, links.get(name, ()), item),
                plans=len(used),
            )
            for item in _sharing([item.get(name, _Tasks()) for item in used], boards[name])
        ]
        others = tuple(other.tasks(number) for number, other in enumerate(each[1:], 1))
        specs.append(_checked(replace(each[0], fallbacks=others, group=group)))
    return tuple(specs)


def _check_count(plans: Sequence[Plan]) -> None:
    count = sum(len(app.hand_offs) for plan in plans for app in plan.apps)
    if count > MOST_HAND_OFFS:
        raise fail(
            "hand-off-count",
            "frames must be able to name every hand-off",
            need=f"{count} hand-offs",
            have=f"{MOST_HAND_OFFS} hand-offs",
            hint="fewer devices for an app (split, forbid), or fewer replicas",
        )


def _plan_tasks(
    image: FallbackPlan,
    samples: Mapping[str, Array],
    policies: Mapping[str, Policy],
    networks: Mapping[str, Network],
    first_number: int,
) -> dict[str, _Tasks]:
    """Return the tasks of each device under one plan; its hand-offs are numbered from ``first_number``."""
    devices: dict[str, _Tasks] = {}
    hand_offs = [hand_off for app in image.plan.apps for hand_off in app.hand_offs]
    numbers = {(item.app, item.index): number for number, item in enumerate(hand_offs, first_number)}
    for app in image.plan.apps:
        if len(samples.get(app.app, ())) == 0:
            raise fail("no-samples", f"app {app.app!r} has no samples for its replay sensor")
        policy = policies.get(app.app, Policy())
        network = networks.get(app.app)
        preparation = None if network is None else network.preparation
        queue, layouts = _assign_app(
            app, image.programs, samples[app.app], policy, preparation, numbers, devices
        )
        _assign_end(app, network, queue, layouts, devices[app.interact_device])
    return devices


def _group(
    device: str, names: tuple[str, ...], links: Mapping[str, Sequence[Link]], cases: Sequence[PlanCase]
) -> Group | None:
    """Return which plans a device follows; None if it stays with the first one, whoever is there.

    Devices that no way of links leads to are never heard of, and make no difference.
    """
    near = joined(device, links)
    found: list[PlanCase] = []
    for case in cases:
        devices = tuple(name for name in case.devices if name in near)
        if devices and not any(set(earlier.devices) <= set(devices) for earlier in found):
            found.append(PlanCase(devices, case.plan))
    return Group(names, tuple(found)) if any(case.plan for case in found) else None


def _checked(spec: FirmwareSpec) -> FirmwareSpec:
    """Return ``spec``; samples of an app are in flash once, so all its plans must read the same layout."""
    layouts = {sense.app: sense.layout for sense in spec.all_senses}
    for plan in spec.fallbacks:
        for sense in plan.senses:
            if not same_layout(sense.layout, layouts[sense.app]):
                raise fail(
                    "fallback-layout",
                    f"app {sense.app!r}: {spec.device!r} would need its samples in another memory layout",
                )
    return spec


def _device_spec(
    name: str, board: Board, plan_id: int, run_limit: int, links: tuple[Link, ...], tasks: _Tasks
) -> FirmwareSpec:
    return FirmwareSpec(
        device=name,
        board=board,
        chip=load_chip(board.chip),
        plan_id=plan_id,
        run_limit=run_limit,
        links=links,
        queues=tuple(tasks.queues),
        senses=tuple(tasks.senses),
        infers=tuple(tasks.infers),
        sends=tuple(tasks.sends),
        receives=tuple(tasks.receives),
        merges=tuple(tasks.merges),
        tails=tuple(tasks.tails),
        interacts=tuple(tasks.interacts),
    )


def _sharing(plans: Sequence[_Tasks], board: Board) -> list[_Tasks]:
    """Return the plans' tasks with what each segment needs after a run of another one, of any plan."""
    cnn = load_chip(board.chip).cnn
    programs = {infer.program.name: infer.program for tasks in plans for infer in tasks.infers}
    found = []
    for tasks in plans:
        infers = []
        for infer in tasks.infers:
            name = infer.program.name
            others = [program for other, program in programs.items() if other != name]
            select = switch_steps(infer.program, others, cnn) if others else ()
            infers.append(replace(infer, select=select))
        found.append(replace(tasks, infers=infers))
    return found


def _assign_app(
    app: AppPlan,
    programs: Mapping[str, Program],
    samples: Array,
    policy: Policy,
    preparation: Preparation | None,
    numbers: Mapping[tuple[str, int], int],
    devices: dict[str, _Tasks],
) -> tuple[str, tuple[TensorLayout, ...]]:
    """Add an app's tasks but its last ones; return the queue of the network's outputs, and how they lie."""
    lanes = lanes_of(app, programs)
    first, last = lanes[0].joints[0].tensors, lanes[0].joints[-1].tensors
    if len(first) != 1:
        raise fail("hand-off-tensors", f"app {app.app!r} must have one input tensor, not {len(first)}")
    in_flash = policy.driver == "replay"
    storage = Storage.FLASH if in_flash else Storage.RAM
    heads = tuple(_queue(devices, lane, 0, app.sense_device, storage) for lane in lanes)
    packed = tuple(pack_tensor(first[0], sample) for sample in samples) if in_flash else ()
    driver = (policy.driver, policy.driver_text)
    sense = Sense(app.app, heads, first[0], packed, policy.rate_hz, *driver, preparation)
    devices[app.sense_device].senses.append(sense)
    ends = [
        _assign_lane(lane, head, policy, numbers, devices) for lane, head in zip(lanes, heads, strict=True)
    ]
    if len(ends) == 1:
        return ends[0], last
    return _merge(app, ends, lanes[0].joints[-1], devices[app.interact_device]), last


def _assign_lane(
    lane: Lane,
    queue: str,
    policy: Policy,
    numbers: Mapping[tuple[str, int], int],
    devices: dict[str, _Tasks],
) -> str:
    """Add the tasks between the queue of samples and that of results; return the latter."""
    for index, (segment, program) in enumerate(zip(lane.app.segments, lane.programs, strict=True)):
        source = _carry(devices, lane, index, queue, numbers)
        queue = _queue(devices, lane, index + 1, segment.device)
        joints = (lane.joints[index], lane.joints[index + 1])
        devices[segment.device].infers.append(
            _infer(lane.app, segment, program, source, queue, joints, policy)
        )
    return _carry(devices, lane, len(lane.programs), queue, numbers)


_AWAITED_LATENCIES = 2
_AWAITED_US = 100_000
"""A run that is missing among those of replicas is waited for as many of the schedule's longest latencies,
and this time, in which a link sends again what was lost. A lost replica holds up the others no longer."""


def _merge(app: AppPlan, queues: Sequence[str], joint: Joint, tasks: _Tasks) -> str:
    """Add the merge of an app's replicas; return the queue of its results."""
    target = f"{app.app}_merged"
    tensors = ", ".join(layout.tensor.name for layout in joint.tensors)
    tasks.queues.append(Queue(target, joint.words, 1, Storage.LANES, f"app {app.app}: {tensors}"))
    predicted = app.predicted
    latency_ms = predicted.latency_ms
    if predicted.scheduled is not None:
        latency_ms = predicted.scheduled.largest_latency_ms
    wait_us = _AWAITED_US + _AWAITED_LATENCIES * 1000 * latency_ms
    tasks.merges.append(Merge(app.app, tuple(queues), target, wait_us))
    return target


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
    joints: tuple[Joint, Joint],
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
    devices: dict[str, _Tasks], lane: Lane, index: int, device: str, storage: Storage = Storage.RAM
) -> str:
    """Add the queue of a joint on a device; return its name."""
    joint = lane.joints[index]
    tensors = ", ".join(layout.tensor.name for layout in joint.tensors)
    name = f"{lane.name}_q{index}"
    queues = devices.setdefault(device, _Tasks()).queues
    while name in {queue.name for queue in queues}:  # the chain comes back to this device
        name += "b"
    queues.append(Queue(name, joint.words, 2, storage, f"{lane.title}: {tensors}"))
    return name


def _carry(
    devices: dict[str, _Tasks],
    lane: Lane,
    index: int,
    queue: str,
    numbers: Mapping[tuple[str, int], int],
) -> str:
    """Send what is in ``queue`` over the joint's hops; return the queue at the far end."""
    app = lane.app.app
    for hop in lane.joints[index].hops:
        number = numbers[hop.app, hop.index]
        devices[hop.source].sends.append(Send(app, number, hop.link, hop.target, queue))
        queue = _queue(devices, lane, index, hop.target)
        devices[hop.target].receives.append(Receive(app, number, hop.link, hop.source, queue))
    return queue


def _plan_id(images: Sequence[FallbackPlan], links: Mapping[str, tuple[Link, ...]]) -> int:
    """Return a number that devices of the same build share: CRC-32 of what they have to agree on."""
    texts = sorted({link.key for ends in links.values() for link in ends if link.key})
    for image in images:
        texts += [str(image.plan), *(str(image.programs[name]) for name in sorted(image.programs))]
    return zlib.crc32("\n".join(texts).encode())
