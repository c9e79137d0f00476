"""A device's spec as what its templates show: queues, tasks, links and sensors of each plan, by C names."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

from synergyc.diagnostics import fail
from synergyc.firmware import sizing
from synergyc.firmware.chip_view import chip_values
from synergyc.firmware.names import c_name, key_symbol
from synergyc.firmware.segment_view import SegmentView, segment_view
from synergyc.firmware.spec import (
    FirmwareSpec,
    Infer,
    Link,
    Merge,
    PlanTasks,
    Queue,
    Sense,
    Storage,
    TailTask,
)
from synergyc.firmware.tail_view import tail_view
from synergyc.ir import fixed_point
from synergyc.ir.tail import MOST_AXES
from synergyc.targets import load_runtime


def device_values(spec: FirmwareSpec) -> dict[str, Any]:
    """Return the values of all templates but those of single segments, tails and sensors.

    Raises SynergyError (``c-name``) if names of two apps or links cannot be told apart in C.
    """
    segments = {
        infer.program.name: segment_view(infer, c_name(infer.program.name), spec.chip.cnn)
        for plan in spec.plans
        for infer in plan.infers
    }
    plans = [_plan_values(spec, plan, segments) for plan in spec.plans]
    queues = {use["app"]: use["queue"] for use in plans[0]["senses"]}
    sensors = {sense.app: index for index, sense in enumerate(spec.all_senses)}
    for view in plans:
        for use in (*view["senses"], *view["deals"]):
            use["index"] = sensors[use["app"]]
    values = {
        "plans": plans,
        "fallback": _fallback_values(spec, plans),
        "replicas": any(plan["deals"] or plan["merges"] for plan in plans),
        "segments": list(segments.values()),
        "sets": _sets(spec, segments),
        "wires": _wire_values(spec, plans),
        "senses": [
            {
                "app": sense.app,
                "c_name": c_name(sense.app),
                "driver": sense.driver,
                "tensor": sense.layout.tensor,
                "words": sense.layout.words,
                "queue": queues.get(sense.app),
                "samples": sense.samples,
                "period_ticks": _ticks(spec, 1e6 / sense.rate_hz) if sense.rate_hz else 0,
            }
            for sense in spec.all_senses
        ],
        "tails": [_tail_values(item) for item in spec.all_tails],
        "self_test": any(infer.known for plan in spec.plans for infer in plan.infers),
        "fixed": fixed_point,
        "most_axes": MOST_AXES,
        "own_drivers": sorted({sense.driver for sense in spec.all_senses if sense.driver_text is not None}),
        "console_uart": 0,
        "frame_payload_bytes": sizing.frame_payload_bytes(spec),
        "host_payload_bytes": sizing.host_payload_bytes(spec),
        "set_runs": load_runtime().set_runs,
        "frame_seal_bytes": sizing.seal_bytes(spec),
        "stack_bytes": load_runtime().stack_bytes,
    }
    for plan in spec.plans:
        _check_names("queue", [queue.name for queue in plan.queues])
    _check_names("link", [link.name for link in spec.links])
    _check_names("segment", list(segments))
    return values | chip_values(spec.chip, sizing.uarts(spec), sizing.rings(spec))


def _sets(spec: FirmwareSpec, segments: Mapping[str, SegmentView]) -> list[dict[str, Any]]:
    """Return the residency sets of all plans: the segments of each, ``first`` is the place of the first."""
    sets: dict[int, dict[str, SegmentView]] = {}
    for plan in spec.plans:
        for infer in plan.infers:
            sets.setdefault(infer.residency, {})[infer.program.name] = segments[infer.program.name]
    members = [list(sets[number].values()) for number in sorted(sets)]
    firsts = itertools.accumulate(map(len, members), initial=0)
    return [
        {"number": number, "first": first, "segments": listed}
        for number, (first, listed) in enumerate(zip(firsts, members, strict=False))
    ]


def _plan_values(spec: FirmwareSpec, plan: PlanTasks, segments: Mapping[str, SegmentView]) -> dict[str, Any]:
    """Return the tasks of one plan; what belongs to a plan but the first one has a ``suffix`` in C."""
    suffix = f"_plan{plan.number}" if plan.number else ""
    queues = {queue.name: _queue_values(queue, suffix) for queue in plan.queues}
    return {
        "number": plan.number,
        "suffix": suffix,
        "title": f" of plan {plan.number}" if plan.number else "",
        "queues": list(queues.values()),
        "queue_names": queues,
        "senses": [{"app": sense.app, "queue": queues[sense.queues[0]]} for sense in plan.senses],
        "deals": [_lane_values(item, queues) for item in plan.senses if len(item.queues) > 1],
        "merges": [_merge_values(spec, item, queues) for item in plan.merges],
        "infers": [_infer_values(infer, queues, segments) for infer in plan.infers],
        "tails": [
            _tail_values(item) | {"queues": (queues[item.source], queues[item.target])} for item in plan.tails
        ],
        "interacts": [
            {"app": item.app, "queue": queues[item.queue], "held": _held(plan, item.queue, segments)}
            for item in plan.interacts
        ],
    }


def _lane_values(task: Sense | Merge, queues: Mapping[str, Any]) -> dict[str, Any]:
    """Return where the lanes of an app with replicas begin, or end, on this device."""
    return {
        "app": task.app,
        "c_name": c_name(task.app),
        "queues": [queues[name] for name in task.queues],
    }


def _merge_values(spec: FirmwareSpec, merge: Merge, queues: Mapping[str, Any]) -> dict[str, Any]:
    return _lane_values(merge, queues) | {
        "target": queues[merge.target],
        "wait_ticks": _ticks(spec, merge.wait_us),
        "wait_comment": f"{merge.wait_us / 1000:.1f} ms",
    }


def _tail_values(task: TailTask) -> dict[str, Any]:
    return {"app": task.app, "c_name": c_name(task.app), "view": tail_view(task, c_name(task.app))}


def _fallback_values(spec: FirmwareSpec, plans: Sequence[dict[str, Any]]) -> dict[str, Any] | None:
    """Return what an image with several plans needs; None if it has one."""
    if spec.group is None:
        return None
    numbers = {name: number for number, name in enumerate(spec.group.devices)}
    purposes = {case.plan: case.devices for case in reversed(spec.group.cases)}
    for plan in plans:
        plan["purpose"] = f"plan {plan['number']}, for {', '.join(purposes.get(plan['number'], ()))}"
    return {
        "devices": spec.group.devices,
        "own": numbers[spec.device],
        "storage": [plan for plan in plans if any(q["storage"] is Storage.RAM for q in plan["queues"])],
        "cases": [
            {
                "devices": case.devices,
                "mask": sum(1 << numbers[name] for name in case.devices),
                "plan": case.plan,
            }
            for case in spec.group.cases
        ],
        "settle_ticks": _ticks(spec, sizing.SETTLE_US),
        "settle_comment": f"{sizing.SETTLE_US / 1000:.1f} ms",
        "return_ticks": _ticks(spec, sizing.RETURN_US),
        "return_comment": f"{sizing.RETURN_US / 1000:.1f} ms",
    }


def _queue_values(queue: Queue, suffix: str) -> dict[str, Any]:
    return {
        "c_name": c_name(queue.name) + suffix,
        "comment": queue.comment,
        "words": queue.words,
        "depth": queue.depth,
        "storage": queue.storage,
    }


def _held(plan: PlanTasks, queue: str, segments: Mapping[str, SegmentView]) -> SegmentView | None:
    """Return the segment whose results stay in the accelerator until they are read from ``queue``."""
    if plan.queue(queue).storage is not Storage.ACCELERATOR:
        return None
    return next(segments[infer.program.name] for infer in plan.infers if infer.target == queue)


def _infer_values(
    infer: Infer, queues: Mapping[str, Any], segments: Mapping[str, SegmentView]
) -> dict[str, Any]:
    return {
        "app": infer.app,
        "segment": segments[infer.program.name],
        "source": queues[infer.source],
        "target": queues[infer.target],
        "priority": infer.priority,
        "residency": infer.residency,
        "passed": infer.passed,
        "known_input": infer.known.input if infer.known else (),
        "known_crc": infer.known.output_crc if infer.known else None,
    }


def _wire_values(spec: FirmwareSpec, plans: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return the UARTs that links use, each with its links."""
    wires = []
    for index, uart in enumerate(sizing.uarts(spec)[1:]):
        links = [link for link in spec.links if link.uart == uart]
        wires.append(
            {
                "index": index,
                "uart": index + 1,
                "uart_name": uart,
                "rate_bd": links[0].rate_bd,
                "links": [_link_values(spec, link, plans) for link in links],
            }
        )
    return wires


def _link_values(spec: FirmwareSpec, link: Link, plans: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    times_us = {
        "call": load_runtime().call_us,
        "answer": sizing.answer_us(link),
        "beat": sizing.beat_us(link),
        "lost": sizing.lost_us(link),
    }
    values: dict[str, Any] = {
        "name": link.name,
        "c_name": c_name(link.name),
        "peer": link.peer,
        "key_symbol": key_symbol(link.name) if link.key else None,
        "own_number": link.own_number,
        "peer_number": link.peer_number,
        "payload_bytes": link.payload_bytes,
        "window": load_runtime().window_frames,
        "answer_every": sizing.answer_every(link),
        "low_credit": sizing.low_credit(link),
    }
    for name, time_us in times_us.items():
        values[f"{name}_ticks"] = _ticks(spec, time_us)
        values[f"{name}_comment"] = f"{time_us / 1000:.1f} ms"
    values["streams"] = [_streams(tasks, link, plan) for tasks, plan in zip(spec.plans, plans, strict=True)]
    return values


def _streams(tasks: PlanTasks, link: Link, plan: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a link carries under one plan."""
    values: dict[str, Any] = {"suffix": plan["suffix"]}
    for role, ends in (("senders", tasks.sends), ("receivers", tasks.receives)):
        values[role] = [
            {"number": end.number, "queue": plan["queue_names"][end.queue], "comment": f"app {end.app}"}
            for end in ends
            if (end.link, end.peer) == (link.channel, link.peer)
        ]
    return values


def _ticks(spec: FirmwareSpec, time_us: float) -> int:
    return round(time_us * spec.chip.clocks.peripheral_hz / 1_000_000)


def _check_names(what: str, names: list[str]) -> None:
    seen: dict[str, str] = {}
    for name in names:
        other = seen.setdefault(c_name(name), name)
        if other != name:
            raise fail(
                "c-name",
                f"{what} names must differ in letters and digits, not as {other!r} and {name!r}",
                hint="rename one of the apps or devices",
            )
