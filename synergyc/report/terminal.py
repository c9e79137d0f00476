"""Tables for the terminal: the chosen plan, what each unit does for it, the runners-up."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from itertools import pairwise

from rich.console import Group, RenderableType
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from synergyc.diagnostics import SynergyError
from synergyc.plan.availability import Alternative
from synergyc.plan.pareto import plan_figures
from synergyc.plan.power import DevicePower
from synergyc.plan.selector import PlanResult, Rejected
from synergyc.plan.types import AppPlan, Plan, Term
from synergyc.report.timeline import timeline

MAX_REJECTED = 5
"""Rejected plans that are shown; ``--json`` has them all."""


def plan_report(result: PlanResult, *, explain: bool = False) -> RenderableType:
    """Return a planner's result as a terminal shows it; ``explain``: with every term of the cost model."""
    apps = result.plan.apps
    parts: list[RenderableType] = [plan_table(result.plan), proof_line(result)]
    if result.resident_reasons:
        parts.append(swap_table(result))
    parts += [expected_table(apps), power_table(result.power)]
    if result.plan.schedule is not None:
        parts.append(timeline(result.plan.schedule))
    if explain:
        parts.append(unit_table(apps))
    if result.alternatives:
        parts.append(runners_up_table((result.plan, *result.alternatives)))
    if result.rejected:
        parts.append(rejected_table(result.rejected))
    return Group(*parts)


def proof_line(result: PlanResult) -> Text:
    """Return how good the plan is proven to be, and among which plans."""
    proof = "proven best" if result.optimal else "no bound proven"
    if not result.optimal and result.gap < 1:
        proof = f"at most {result.gap:.1%} from the best"
    limits = ", ".join(f"{app} on at most {count} devices" for app, count in result.longest_chain.items())
    return Text(f"{proof}{f' of plans with {limits}' if limits else ''}, {result.solve_s:.2f} s\n")


def swap_table(result: PlanResult) -> Table:
    """Return how often weights are loaded from flash, and why they cannot all stay in place."""
    why = "; ".join(reason.message.rstrip(":") for reason in result.resident_reasons)
    table = _table("Weights are loaded in turn", ("device", "set", "segments"), ("loads a run",))
    table.caption, table.caption_justify = escape(f"not all in place: {why}"), "left"
    plan = result.plan
    loads = plan.schedule.loads_per_run if plan.schedule else {}
    for (device, number), count in sorted(loads.items()):
        sets = plan.residency_sets(device)
        if len(sets) > 1:
            names = ", ".join(segment.name for segment in sets[number])
            table.add_row(escape(device), str(number), escape(names), f"{count:.2f}")
    return table


def outcomes_table(outcomes: Mapping[str, PlanResult | SynergyError]) -> Table:
    """Return what each selector gives, or why its plans do not fit."""
    numbers = ("runs/s", "latency ms", "uJ", "s")
    table = _table("Selectors, sums over apps", ("selector", "plans"), numbers)
    for name, outcome in outcomes.items():
        if isinstance(outcome, SynergyError):
            table.add_row(name, escape(outcome.diagnostics[-1].message), *["-"] * len(numbers))
        else:
            table.add_row(name, *_figures(outcome), f"{outcome.solve_s:.2f}")
    return table


def front_table(front: Sequence[PlanResult]) -> Table:
    """Return the plans of a Pareto front, fastest first."""
    table = _table("Pareto front, sums over apps", ("best for", "plans"), ("runs/s", "latency ms", "uJ"))
    for result in front:
        table.add_row(result.plan.objective, *_figures(result))
    return table


def alternatives_table(found: Sequence[Alternative]) -> Table:
    """Return the plans for absent devices, and what changing to them costs."""
    columns = ("away", "not served", "plans")
    table = _table(
        "When devices are away, sums over apps", columns, ("runs/s", "latency ms", "weights B", "switch ms")
    )
    for item in found:
        figures = plan_figures(item.plan.apps)
        size_bytes = sum(switch.weight_bytes for switch in item.switches)
        table.add_row(
            ", ".join(item.away),
            ", ".join(item.dropped) or "-",
            _places(item.plan.apps),
            f"{figures['throughput_hz']:,.1f}",
            f"{figures['latency_ms']:,.3f}",
            f"{size_bytes:,}",
            f"{item.switch_ms:,.2f}",
        )
    return table


def _figures(result: PlanResult) -> tuple[str, str, str, str]:
    figures = plan_figures(result.plan.apps)
    rate, latency, energy = (figures[key] for key in ("throughput_hz", "latency_ms", "energy_uj"))
    return _places(result.plan.apps), f"{rate:,.1f}", f"{latency:,.3f}", f"{energy:,.1f}"


def plan_table(plan: Plan) -> Table:
    """Return where each app senses, runs, hands over and interacts, in the order of a run."""
    title = f"Plan by {plan.selector}: best {plan.objective} among {plan.considered:,} candidates"
    table = _table(title, ("app", "task", "where", "what"), ("cycles", "bytes"))
    for app in plan.apps:
        table.add_row(app.app, "sense", app.sense_device)
        for turn, lane in enumerate(app.lanes, 1):
            if app.replicated:
                table.add_row(app.app, "replica", lane.segments[0].device, f"turn {turn} of {len(app.lanes)}")
            _add_lane(table, lane)
        table.add_row(app.app, "interact", app.interact_device)
    return table


def _add_lane(table: Table, app: AppPlan) -> None:
    """Add what a run passes between sensor and result."""
    stations = [app.sense_device, *(part.device for part in app.segments), app.interact_device]
    hand_offs = iter(app.hand_offs)
    for i, (source, target) in enumerate(pairwise(stations)):
        if source != target:
            hand_off = next(hand_offs)
            what, size = escape(", ".join(hand_off.tensors)), f"{hand_off.size_bytes:,}"
            table.add_row(app.app, "hand off", f"{source} -> {target}", what, "", size)
        if i < len(app.segments):
            part = app.segments[i]
            cycles = f"{app.predicted.cycles[part.name]:,}"
            held = f", weights in set {part.residency}" if part.swapped else ""
            table.add_row(app.app, "infer", part.device, f"layers {part.first}-{part.last}{held}", cycles)


def expected_table(apps: Sequence[AppPlan]) -> Table:
    """Return what the cost model expects of each app, and what the schedule gives with all units busy.

    The first figures are what the app is sure to get: each unit serves all apps in turn, and a run waits for
    no other. Objectives compare them.
    """
    numbers = ("guaranteed runs/s", "unloaded ms", "uJ", "scheduled runs/s", "scheduled ms")
    table = _table("Expected", ("app", "busiest unit"), numbers)
    for app in apps:
        predicted = app.predicted
        rate, latency = f"{predicted.throughput_hz:,.1f}", f"{predicted.latency_ms:,.3f}"
        scheduled = ("-", "-")
        if predicted.scheduled is not None:
            played = predicted.scheduled
            scheduled = (f"{played.throughput_hz:,.1f}", f"{played.latency_ms:,.3f}")
        energy = f"{predicted.energy_uj:,.1f}"
        table.add_row(app.app, escape(predicted.bottleneck), rate, latency, energy, *scheduled)
    return table


def power_table(powers: Sequence[DevicePower]) -> Table:
    """Return what each device takes on average, and how long its battery lasts."""
    numbers = ("idle mW", "runs mW", "links mW", "mean mW", "battery h")
    table = _table("Power, with apps at the rates they want", ("device",), numbers)
    for item in powers:
        battery = "-" if item.battery_h is None else f"{item.battery_h:,.1f}"
        figures = (item.idle_mw, item.runs_mw, item.links_mw, item.mean_mw)
        table.add_row(escape(item.device), *(f"{figure:,.2f}" for figure in figures), battery)
    return table


def unit_table(apps: Sequence[AppPlan]) -> Table:
    """Return what each unit does for one run of every app, busiest unit first.

    ``basis`` is what a figure stands on, ``error`` its largest known distance from published measurements.
    """
    columns = ("unit", "task", "basis", "error", "source of the figure")
    table = _table("Units, for one run of each app", columns, ("us",))
    by_unit: defaultdict[str, list[Term]] = defaultdict(list)
    for app in apps:
        for term in app.predicted.terms:
            by_unit[term.unit].append(term)
    totals_us = {unit: sum(term.duration_us for term in terms) for unit, terms in by_unit.items()}
    for unit in sorted(by_unit, key=lambda unit: -totals_us[unit]):
        table.add_row(escape(unit), "all", "", "", "", f"{totals_us[unit]:,.1f}", style="bold")
        for term in by_unit[unit]:
            error = "?" if term.error is None else f"{term.error:.1%}"
            table.add_row("", term.task, term.basis, error, escape(term.source), f"{term.duration_us:,.1f}")
    return table


def runners_up_table(plans: Sequence[Plan]) -> Table:
    """Return the plans that fit, best first."""
    table = _table("Plans that fit, best first", ("rank", "plan"), ("runs/s", "latency ms"))
    for rank, plan in enumerate(plans, 1):
        rates = [f"{app.predicted.throughput_hz:,.1f}" for app in plan.apps]
        latencies = [f"{app.predicted.latency_ms:,.3f}" for app in plan.apps]
        table.add_row(str(rank), _places(plan.apps), "\n".join(rates), "\n".join(latencies))
    return table


def rejected_table(rejected: Sequence[Rejected]) -> Table:
    """Return plans that would have been better and do not fit, with the reasons."""
    more = len(rejected) - MAX_REJECTED
    title = "Better, but do not fit" + (f" ({MAX_REJECTED} of {len(rejected)})" if more > 0 else "")
    table = _table(title, ("plan", "reason", "need", "have"))
    for item in rejected[:MAX_REJECTED]:
        for i, reason in enumerate(item.reasons):
            layer = f"{reason.layer}: " if reason.layer else ""
            place = "" if i else _places(item.apps)
            table.add_row(place, escape(f"{layer}{reason.message}"), reason.need or "", reason.have or "")
    return table


def _places(apps: Sequence[AppPlan]) -> str:
    lines = []
    for app in apps:
        joint = " or " if app.replicated else ", "
        parts = joint.join(f"{part.device} {part.first}-{part.last}" for part in app.segments)
        lines.append(f"{app.app}: {app.sense_device} | {parts} | {app.interact_device}")
    return escape("\n".join(lines))


def _table(title: str, columns: Sequence[str], numbers: Sequence[str] = ()) -> Table:
    table = Table(title=title, title_justify="left", header_style="bold", title_style="bold")
    for column in columns:
        table.add_column(column, overflow="fold")
    for column in numbers:
        table.add_column(column, justify="right", no_wrap=True)
    return table
