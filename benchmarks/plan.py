"""Planning speed: plans costed a second, and time to the proven best: ``python benchmarks/plan.py``.

Chains of random convolutions on random devices, all joined by one radio channel. Timings depend on the
machine and its load: compare them only within one run. ``cpu_s`` is less disturbed by others' work than
``solve_s``. Both are of costing and search, without playing the schedule of the plan that is found.
"""

from __future__ import annotations

import json
import random
import resource
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from itertools import product
from multiprocessing import get_context
from typing import Any

import click
import numpy as np

from synergyc.diagnostics import Diagnostic
from synergyc.ir.network import Layer, LayerOp, Network, Tensor
from synergyc.plan.cost import CostModel
from synergyc.plan.cycles import walk_of, weight_slots
from synergyc.plan.instance import make_instance
from synergyc.plan.problem import Objective, PlanApp, PlanDevice, PlanLink, PlanProblem
from synergyc.plan.selectors import Budget, find_selector
from synergyc.targets import Chip, load_chip, load_medium

SIZES = ((3, 4), (5, 6), (8, 8), (12, 10), (16, 12), (20, 12))
"""Apps and devices: 3 x 4, 8 x 8 and 20 x 12 have bars of their own."""

GOALS: tuple[Objective, ...] = ("latency", "energy", "ratio", "throughput")


def additive_fits(networks: Sequence[Network], chip: Chip) -> tuple[Diagnostic, ...]:
    """Return whether layers and weight slots of ``networks`` add up to what ``chip`` has."""
    layers = [layer for network in networks for layer in network.layers]
    slots = sum(weight_slots(layer, walk_of(layer, chip.cnn)) for layer in layers)
    found = []
    for rule, need, have in (
        ("layers", len(layers), chip.cnn.limits.layers),
        ("weights", slots, chip.cnn.weight_slots),
    ):
        if need > have:
            found.append(Diagnostic(rule, f"too many {rule}", need=str(need), have=str(have)))
    return tuple(found)


def random_network(name: str, draw: random.Random) -> Network:
    """Return 6 to 12 convolutions of 3x3 with 8 to 64 channels."""
    side = draw.choice((16, 32))
    channels = [3, *(draw.choice((8, 16, 24, 32, 48, 64)) for _ in range(draw.randint(6, 12)))]
    layers = tuple(
        Layer(
            name=f"l{i}",
            op=LayerOp.CONV2D,
            inputs=(f"l{i - 1}" if i else "x",),
            output=Tensor(f"l{i}", (channels[i + 1], side, side), 7),
            in_shape=(channels[i], side, side),
            kernel=(3, 3),
            padding=(1, 1),
            weight=np.zeros((channels[i + 1], channels[i], 3, 3), np.int8),
        )
        for i in range(len(channels) - 1)
    )
    return Network(name, (Tensor("x", (3, side, side), 7),), layers, (layers[-1].name,))


def random_problem(apps: int, devices: int, seed: int) -> tuple[PlanProblem, dict[str, Network]]:
    """Return a problem of so many apps and devices, with several segments on one accelerator allowed."""
    draw = random.Random(seed)  # noqa: S311 - not for secrets
    chips = [load_chip(draw.choice(("max78000", "max78000", "max78002"))) for _ in range(devices)]
    things = [f"thing{i}" for i in range(apps)]
    homes = [(draw.randrange(devices), draw.randrange(devices)) for _ in things]
    boards = tuple(
        PlanDevice(
            f"d{i}",
            chip,
            tuple(thing for thing, (sense, _) in zip(things, homes, strict=True) if sense == i),
            tuple(thing for thing, (_, show) in zip(things, homes, strict=True) if show == i),
        )
        for i, chip in enumerate(chips)
    )
    radio = load_medium("uart").model_copy(update={"shared": True, "full_duplex": False, "name": "radio"})
    link = PlanLink("all", tuple(board.name for board in boards), radio, 8_000.0)
    asked = tuple(PlanApp(f"app{i}", thing, thing) for i, thing in enumerate(things))
    networks = {app.name: random_network(app.name, draw) for app in asked}
    return PlanProblem(boards, (link,), asked, shared_accelerators=True), networks


def speed() -> dict[str, float]:
    """Return how many plans a second the table and the single-plan cost model cost."""
    problem, networks = random_problem(1, 6, 0)
    app = problem.apps[0]
    began = time.perf_counter()
    table = make_instance(problem, networks, additive_fits, "throughput").tables[0]
    table_s = time.perf_counter() - began
    model = CostModel(problem, app, networks[app.name])
    model.cost(table.candidate(0))
    sample = range(0, len(table), max(1, len(table) // 500))
    began = time.perf_counter()
    for row in sample:
        model.cost(table.candidate(row))
    return {
        "candidates": len(table),
        "table_plans_per_s": len(table) / table_s,
        "single_plans_per_s": len(sample) / (time.perf_counter() - began),
    }


def measure(apps: int, devices: int, goal: Objective, seed: int, budget_s: float) -> dict[str, Any]:
    """Return what costing and searching one random problem takes; memory is that of this process so far."""
    problem, networks = random_problem(apps, devices, seed)
    began_s, began_cpu_s = time.perf_counter(), time.process_time()
    instance = make_instance(problem, networks, additive_fits, goal)
    selection = find_selector("exact")(instance, Budget.of(budget_s))
    solve_s, cpu_s = time.perf_counter() - began_s, time.process_time() - began_cpu_s
    found = selection.grown or instance
    score = found.score(selection.rows)[0]
    return {
        "apps": apps,
        "devices": devices,
        "objective": goal,
        "seed": seed,
        "plans": float(found.size),
        "longest_chain": min([devices, *(t.unlisted[0] - 1 for t in found.tables if t.unlisted)]),
        "solve_s": round(solve_s, 3),
        "cpu_s": round(cpu_s, 3),
        "value": found.scorer.value(score),
        "optimal": selection.optimal,
        "gap": round(selection.gap(score), 4),
        "peak_memory_mib": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
    }


def measured_apart(*question: Any) -> dict[str, Any]:
    """Return what ``measure`` does, in a process of its own: peak memory is of this question then."""
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        return pool.submit(measure, *question).result()


def growth_table(rows: Sequence[dict[str, Any]]) -> str:
    """Return CPU seconds by size and goal as Markdown: of several seeds the smallest and the largest.

    Of gaps it is the largest; memory is that of the goal that takes most.
    """
    lines = [
        f"| apps x devices | {' | '.join(map(str, GOALS))} | peak memory |",
        "|" + "---|" * (len(GOALS) + 2),
    ]
    for apps, devices in dict.fromkeys((row["apps"], row["devices"]) for row in rows):
        here = [row for row in rows if (row["apps"], row["devices"]) == (apps, devices)]
        cells = [_cell([row for row in here if row["objective"] == goal]) for goal in GOALS]
        memory_mib = max(row["peak_memory_mib"] for row in here)
        lines.append(f"| {apps} x {devices} | {' | '.join(cells)} | {memory_mib} MiB |")
    return "\n".join(lines)


def _cell(rows: Sequence[dict[str, Any]]) -> str:
    if not rows:
        return ""
    cpu_s, gaps = [row["cpu_s"] for row in rows], [row["gap"] for row in rows if not row["optimal"]]
    spread = " - ".join(dict.fromkeys(f"{value:.1f}" for value in (min(cpu_s), max(cpu_s))))
    if not gaps:
        return spread
    several = f"{len(gaps)} of {len(rows)} with a " if len(rows) > 1 else ""
    return f"{spread}, {several}gap of {100 * max(gaps):.1f} %"


@click.command()
@click.option("--budget", default=50.0, show_default=True, help="CPU seconds that a search may take.")
@click.option("--largest", default=20, show_default=True, help="Number of apps up to which is measured.")
@click.option("--smallest", default=1, show_default=True, help="Number of apps from which is measured.")
@click.option("--goal", "goals", type=click.Choice(GOALS), multiple=True, help="Default: all of them.")
@click.option("--seeds", default=1, show_default=True, help="Random problems of each size.")
@click.option("--first-seed", default=0, show_default=True)
@click.option("--json", "as_json", is_flag=True)
def main(
    budget: float,
    largest: int,
    smallest: int,
    goals: tuple[Objective, ...],
    seeds: int,
    first_seed: int,
    as_json: bool,
) -> None:
    """Measure planning; print a line for each search, then a table of all."""
    rows = []
    for apps, devices in SIZES:
        if not smallest <= apps <= largest:
            continue
        for seed, goal in product(range(first_seed, first_seed + seeds), goals or GOALS):
            row = measured_apart(apps, devices, goal, apps + 1000 * seed, budget)
            rows.append(row)
            if not as_json:
                click.echo("  ".join(f"{key} {value}" for key, value in row.items()))
    if as_json:
        click.echo(json.dumps({"speed": speed(), "solve": rows}))
    else:
        click.echo(growth_table(rows))
        click.echo(json.dumps(speed()))


if __name__ == "__main__":
    main()
