"""A run on emulated devices as terminal tables: results, accuracy, predicted against emulated."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.markup import escape
from rich.table import Table

from synergyc.report.accuracy import STAGE_TITLES
from synergyc.report.outcome import AppOutcome, DeviceOutcome, RunOutcome, UnitOutcome


def outcome_report(outcome: RunOutcome) -> RenderableType:
    """Return everything about a run that a terminal shows."""
    parts: list[RenderableType] = [results_table(outcome)]
    if any(app.latency for app in outcome.apps):
        parts.append(latency_table(outcome))
    if any(app.accuracy for app in outcome.apps):
        parts.append(accuracy_table(outcome))
    if outcome.changes:
        parts += [phases_table(outcome), changes_table(outcome)]
    if outcome.devices:
        parts.append(units_table(outcome))
    if any(map(_was_troubled, outcome.devices)):
        parts.append(trouble_table(outcome))
    if any(device.swap for device in outcome.devices):
        parts.append(swap_table(outcome))
    return Group(*parts, verdict(outcome))


def results_table(outcome: RunOutcome) -> Table:
    """Return each app's results against the integer reference, and its throughput."""
    table = Table("app", title="Results against the integer reference, bit by bit", title_justify="left")
    for column in ("sent", "right", "wrong", "dropped", "runs/s", "predicted", "difference"):
        table.add_column(column, justify="right", overflow="fold")
    for app in outcome.apps:
        table.add_row(
            escape(app.name),
            *(str(count) for count in (app.sent, app.right, app.wrong, app.dropped)),
            f"{app.throughput_hz:.1f}",
            f"{app.predicted_throughput_hz:.1f}",
            _difference(app.throughput_hz, app.predicted_throughput_hz),
        )
    return table


def latency_table(outcome: RunOutcome) -> Table:
    """Return the distribution of the time from sensing to the result, beside the predicted latency."""
    table = Table("app", title="Latency in ms, runs in flight included", title_justify="left")
    for column in ("p50", "p95", "max", "mean", "predicted"):
        table.add_column(column, justify="right", overflow="fold")
    for app in outcome.apps:
        if app.latency is not None:
            found = app.latency
            times = (found.p50_ms, found.p95_ms, found.max_ms, found.mean_ms, app.predicted_latency_ms)
            table.add_row(escape(app.name), *(f"{time:.2f}" for time in times))
    return table


def accuracy_table(outcome: RunOutcome) -> Table:
    """Return the accuracy of each stage, from the float model to the devices, on the same samples."""
    table = Table("app", title="Accuracy on the same samples", title_justify="left")
    for column in STAGE_TITLES.values():
        table.add_column(column, justify="right", overflow="fold")
    for app in outcome.apps:
        if app.accuracy is not None:
            table.add_row(escape(app.name), *(f"{app.accuracy[stage]:.2%}" for stage in STAGE_TITLES))
    return table


def phases_table(outcome: RunOutcome) -> Table:
    """Return what each app reached while a plan was in force."""
    table = Table("app", "on", title="Plans in force", title_justify="left")
    for column in ("plan", "from s", "to s", "results", "runs/s", "predicted"):
        table.add_column(column, justify="right", overflow="fold")
    for item in outcome.phases:
        table.add_row(
            escape(item.app),
            escape(item.device),
            str(item.plan),
            f"{item.begin_s:.3f}",
            f"{item.end_s:.3f}",
            str(item.results),
            f"{item.throughput_hz:.1f}",
            f"{item.predicted_hz:.1f}",
        )
    return table


def changes_table(outcome: RunOutcome) -> Table:
    """Return when devices went over to another plan, and how long that took."""
    table = Table("device", title="Changes of plan", title_justify="left")
    for column in ("plan", "at s", "dropped", "took ms", "weights predicted ms"):
        table.add_column(column, justify="right", overflow="fold")
    table.add_column("there")
    for item in outcome.changes:
        table.add_row(
            escape(item.device),
            str(item.plan),
            f"{item.at_s:.3f}",
            str(item.dropped),
            f"{item.took_ms:.2f}",
            f"{item.predicted_ms:.2f}",
            escape(", ".join(item.devices)),
        )
    return table


def units_table(outcome: RunOutcome) -> Table:
    """Return the work of each unit for one run of every app, predicted and emulated."""
    table = Table(title="Work for each run, upkeep of links included", title_justify="left")
    for column in ("device", "unit"):
        table.add_column(column, overflow="fold")
    for column in ("predicted us", "emulated us", "predicted cycles", "emulated cycles", "busy"):
        table.add_column(column, justify="right", overflow="fold")
    for device in outcome.devices:
        for unit in device.units:
            table.add_row(escape(device.name), escape(unit.unit), *_unit_cells(unit))
    return table


def trouble_table(outcome: RunOutcome) -> Table:
    """Return what devices counted of links that lost or damaged frames, and of peers that went away."""
    table = Table("device", title="What devices counted since they last booted", title_justify="left")
    for column in ("frames sent", "sent again", "refused", "tensors dropped", "peers lost", "boots"):
        table.add_column(column, justify="right", overflow="fold")
    for device in outcome.devices:
        frames = (device.sent_frames, device.resent_frames, device.refused_frames)
        others = (device.dropped_tensors, device.lost_peers, device.boots)
        table.add_row(escape(device.name), *(f"{count:,}" for count in (*frames, *others)))
    return table


def _was_troubled(device: DeviceOutcome) -> bool:
    counts = (device.resent_frames, device.refused_frames, device.dropped_tensors, device.lost_peers)
    return any(counts) or device.boots > 1


def swap_table(outcome: RunOutcome) -> Table:
    """Return the loads of weights from flash for all runs, and the time of one."""
    table = Table("device", title="Weights loaded from flash", title_justify="left")
    for column in ("predicted loads", "emulated loads", "predicted ms", "emulated ms"):
        table.add_column(column, justify="right", overflow="fold")
    for device in outcome.devices:
        if (swap := device.swap) is not None:
            counts = (f"{swap.predicted_loads:.1f}", str(swap.loads))
            table.add_row(
                escape(device.name), *counts, f"{swap.predicted_load_ms:.2f}", f"{swap.load_ms:.2f}"
            )
    return table


def verdict(outcome: RunOutcome) -> str:
    """Return one line: all right, or what was not."""
    total = sum(app.sent for app in outcome.apps)
    if outcome.ok:
        dropped = sum(app.dropped for app in outcome.apps)
        refused = sum(device.refused_frames for device in outcome.devices)
        apart = f", {refused} forged or replayed frames were refused" if refused else ""
        apart += f", {dropped} of {total} runs were dropped and counted" if dropped else ""
        if outcome.on_boards:
            return f"all {total} results of the boards agree bit for bit ({outcome.virtual_s:.1f} s)"
        predicted_uj = sum(app.predicted_energy_uj for app in outcome.apps)
        limit = (
            f"the busiest unit allows {outcome.bound_hz:.1f} runs/s;"
            f" {outcome.energy_uj:.1f} uJ a run above idle, {predicted_uj:.1f} predicted"
        )
        return (
            f"all {total - dropped} results agree bit for bit{apart}"
            f" ({outcome.virtual_s:.3f} s of virtual time; {limit})"
        )
    bad = [app for app in outcome.apps if not app.ok(disturbed=outcome.disturbed)]
    return "NOT RIGHT: " + "; ".join(_complaint(app) for app in bad)


def _complaint(app: AppOutcome) -> str:
    counts = f"{app.name}: {app.wrong} wrong, {app.dropped} dropped of {app.sent}"
    return counts if app.first_difference is None else f"{counts}; {app.first_difference}"


def _unit_cells(unit: UnitOutcome) -> tuple[str, ...]:
    cycles = (unit.predicted_cycles, unit.emulated_cycles)
    return (
        "-" if unit.predicted_us is None else f"{unit.predicted_us:,.1f}",
        f"{unit.emulated_us:,.1f}",
        *("-" if count is None else f"{count:,}" for count in cycles),
        f"{unit.busy:.1%}",
    )


def _difference(emulated: float, predicted: float) -> str:
    return f"{emulated / predicted - 1:+.1%}" if predicted else "-"
