"""The paper's evaluation: workloads x fleets x link rates x selectors (docs/selectors.md)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean, geometric_mean

from synergyc.diagnostics import Diagnostic, SynergyError
from synergyc.ir.network import Network
from synergyc.legalize import check_limits
from synergyc.legalize.memory import bias_bytes
from synergyc.plan.cycles import walk_of, weight_slots
from synergyc.plan.goals import Scorer
from synergyc.plan.instance import Instance, make_instance
from synergyc.plan.problem import Goal, PlanApp, PlanDevice, PlanLink, PlanProblem
from synergyc.plan.selectors import BASELINES, Budget, find_selector
from synergyc.plan.types import AppPlan
from synergyc.targets import Chip, Medium, load_chip, load_medium

WORKLOADS: Mapping[str, tuple[str, ...]] = {
    "ConvNet5, ResSimpleNet, UNet": ("convnet5", "ressimplenet", "unet"),
    "KWS, SimpleNet, WideNet": ("kws", "simplenet", "widenet"),
    "EfficientNetV2, MobileNetV2, KWS": ("efficientnetv2", "mobilenetv2", "kws"),
    "all eight": (
        "convnet5",
        "kws",
        "simplenet",
        "ressimplenet",
        "widenet",
        "unet",
        "efficientnetv2",
        "mobilenetv2",
    ),
}

_SMALL, _LARGE = "max78000", "max78002"

FLEETS: Mapping[str, tuple[str, ...]] = {
    "1 MAX78002": (_LARGE,),
    "2 MAX78000": (_SMALL, _SMALL),
    "1 MAX78000 + 1 MAX78002": (_SMALL, _LARGE),
    "3 MAX78000": (_SMALL, _SMALL, _SMALL),
    "4 MAX78000": (_SMALL, _SMALL, _SMALL, _SMALL),
    "2 MAX78000 + 2 MAX78002": (_SMALL, _LARGE, _SMALL, _LARGE),
    "4 MAX78002": (_LARGE, _LARGE, _LARGE, _LARGE),
}

RATES_KBYTE_S = (7.0, 19.2, 92.0, 1000.0)
"""From a Wi-Fi module behind a slow UART to a fast serial bus."""

GOALS: tuple[Goal, ...] = ("throughput", "latency", "energy")
"""Each figure is compared between plans that were chosen for it."""

SELECTORS = ("exact", "progressive", *BASELINES, "Neurosurgeon", "DADS")

_SEND_MW, _RECEIVE_MW = 478.5, 201.3
"""ESP8266 at 3.3 V: 145 mA sending (802.11g), 61 mA receiving (Espressif's datasheet)."""


@dataclass(frozen=True)
class Row:
    """What one selector gave for one case; ``apps`` is empty where it has no plan that fits."""

    workload: str
    fleet: str
    rate_kbyte_s: float
    objective: Goal
    selector: str
    apps: tuple[AppPlan, ...]
    reason: str
    optimal: bool

    @property
    def case(self) -> tuple[str, str, float, Goal]:
        """What is compared between selectors."""
        return self.workload, self.fleet, self.rate_kbyte_s, self.objective

    @property
    def throughput_hz(self) -> float:
        """Sum of the apps' rates."""
        return sum(app.predicted.throughput_hz for app in self.apps)

    @property
    def latency_ms(self) -> float:
        """Sum of the apps' latencies."""
        return sum(app.predicted.latency_ms for app in self.apps)

    @property
    def sequential_hz(self) -> float:
        """Sum of the apps' rates if nothing overlaps: one run at a time in the whole system, apps in turn."""
        return 1000 * len(self.apps) / self.latency_ms if self.apps else 0.0


@dataclass(frozen=True)
class Setting:
    """What is assumed of the runtime: segments that share an accelerator; weight swap and replicas."""

    name: str
    shared: bool = True
    wide: bool = False


SETTINGS: Mapping[str, Setting] = {
    "shared": Setting("shared"),
    "exclusive": Setting("exclusive", shared=False),
    "wide": Setting("wide", wide=True),
}
"""The first one is what builds do today. ``wide``: plans may also swap weights and replicate models."""

NetworkSource = Callable[[str, str], Network]
"""Gives the network of a name in its form for a chip."""


def evaluate(
    networks: NetworkSource, setting: Setting, *, budget_s: float, progress: Callable[[str], None]
) -> tuple[Row, ...]:
    """Return the results of the whole grid under one setting."""
    rows: list[Row] = []
    for workload, names in WORKLOADS.items():
        for fleet, chips in FLEETS.items():
            # One form of a network runs on all devices: that of the smaller chip where there is one.
            form = _SMALL if _SMALL in chips else _LARGE
            used = {name: networks(name, form) for name in names}
            for rate in RATES_KBYTE_S:
                progress(f"{setting.name}: {workload} on {fleet} at {rate:g} kB/s")
                problem = make_problem(names, chips, rate, setting)
                for goal, selector, apps, reason, optimal in _solve(problem, used, budget_s):
                    rows.append(Row(workload, fleet, rate, goal, selector, apps, reason, optimal))
    return tuple(rows)


def make_problem(
    names: Sequence[str], chips: Sequence[str], rate_kbyte_s: float, setting: Setting
) -> PlanProblem:
    """Return apps that sense and interact on neighbouring devices, all joined by one radio channel."""
    count = len(chips)
    devices = tuple(
        PlanDevice(
            f"d{i}",
            load_chip(chip),
            tuple(f"{name}_in" for k, name in enumerate(names) if k % count == i),
            tuple(f"{name}_out" for k, name in enumerate(names) if (k + 1) % count == i),
        )
        for i, chip in enumerate(chips)
    )
    link = PlanLink("all", tuple(device.name for device in devices), _radio(), 8 * rate_kbyte_s)
    apps = tuple(PlanApp(name, f"{name}_in", f"{name}_out") for name in names)
    return PlanProblem(
        devices,
        (link,) if count > 1 else (),
        apps,
        shared_accelerators=setting.shared,
        weight_swap=setting.wide,
        replicas=setting.wide,
    )


def _radio() -> Medium:
    """Return one half-duplex channel with the UART's framing and CPU costs, and an ESP8266's power."""
    change = {
        "name": "radio",
        "shared": True,
        "full_duplex": False,
        "bits_per_byte": 8,
        "send_mw": _SEND_MW,
        "receive_mw": _RECEIVE_MW,
    }
    return load_medium("uart").model_copy(update=change)


def resident(networks: Sequence[Network], chip: Chip) -> tuple[Diagnostic, ...]:
    """Return what stands against ``networks`` together on ``chip``: limits of each, and sums of all.

    Layers, weight slots of the fullest processor and bias bytes add up; memory is not placed, which takes
    too long for a whole grid.
    """
    found = [problem for network in networks for problem in check_limits(network, chip)]
    layers = [layer for network in networks for layer in network.layers]
    cnn = chip.cnn
    sums = {
        "layers": (len(layers), cnn.limits.layers),
        "weight slots": (sum(weight_slots(layer, walk_of(layer, cnn)) for layer in layers), cnn.weight_slots),
        "bias bytes": (sum(map(bias_bytes, layers)), cnn.quadrants * cnn.bias_bytes),
    }
    if len(networks) > 1:
        found += [
            Diagnostic("resident", f"too many {what}", need=str(need), have=str(have))
            for what, (need, have) in sums.items()
            if need > have
        ]
    return tuple(found)


def _solve(
    problem: PlanProblem, networks: Mapping[str, Network], budget_s: float
) -> Iterator[tuple[Goal, str, tuple[AppPlan, ...], str, bool]]:
    try:
        instance = make_instance(problem, networks, resident, "throughput")
    except SynergyError as error:
        for goal in GOALS:
            for name in SELECTORS:
                yield goal, name, (), error.diagnostics[0].message, False
        return
    for goal in GOALS:
        asked = replace(instance, scorer=Scorer(goal, instance.scorer.best))
        for name in SELECTORS:
            yield goal, name, *_select(asked, name, budget_s)


def _select(instance: Instance, name: str, budget_s: float) -> tuple[tuple[AppPlan, ...], str, bool]:
    try:
        selection = find_selector(name)(instance, Budget.of(budget_s))
    except SynergyError as error:
        return (), error.diagnostics[-1].message, False
    return instance.plans(selection.rows), "", selection.optimal


def power_mw(row: Row, rates_hz: Mapping[str, float]) -> float:
    """Return the mean power of all devices with the apps at ``rates_hz``: idle, and energy of each run."""
    chips = [load_chip(chip) for chip in FLEETS[row.fleet]]
    idle_mw = sum(chip.cnn.energy.idle_mw for chip in chips)
    return idle_mw + sum(rates_hz[app.app] * app.predicted.energy_uj / 1000 for app in row.apps)


@dataclass(frozen=True)
class Comparison:
    """``exact`` against one other selector where both have a plan.

    Ratios: exact / other for throughput, 1 - exact / other for the rest, power at the slower one's rates.
    ``sequential``: throughput against the other's plan without any overlap of runs.
    """

    selector: str
    throughput: tuple[float, ...]
    sequential: tuple[float, ...]
    latency: tuple[float, ...]
    power: tuple[float, ...]
    failed: int
    cases: int


def compare(rows: Sequence[Row], selector: str) -> Comparison:
    """Return how ``exact`` compares with ``selector``, case by case; cases that no plan fits do not count."""
    best = {row.case: row for row in rows if row.selector == "exact" and row.apps}
    others = [row for row in rows if row.selector == selector and row.case in best]
    pairs = [(best[row.case], row) for row in others if row.apps]
    return Comparison(
        selector,
        tuple(a.throughput_hz / b.throughput_hz for a, b in pairs if a.objective == "throughput"),
        tuple(a.throughput_hz / b.sequential_hz for a, b in pairs if a.objective == "throughput"),
        tuple(1 - a.latency_ms / b.latency_ms for a, b in pairs if a.objective == "latency"),
        tuple(_power_reduction(a, b) for a, b in pairs if a.objective == "energy"),
        sum(not row.apps for row in others),
        len(others),
    )


def ratios(rows: Sequence[Row]) -> dict[tuple[str, ...], dict[str, float]]:
    """Return for each row but ``exact``'s, by case and selector, how ``exact`` compares with it."""
    best = {row.case: row for row in rows if row.selector == "exact" and row.apps}
    found = {}
    for row in rows:
        if row.selector == "exact" or not row.apps or row.case not in best:
            continue
        exact = best[row.case]
        found[(*map(str, row.case), row.selector)] = {
            "throughput_x": exact.throughput_hz / row.throughput_hz,
            "latency_reduction": 1 - exact.latency_ms / row.latency_ms,
            "power_reduction": _power_reduction(exact, row),
        }
    return found


def _power_reduction(best: Row, other: Row) -> float:
    pairs = zip(best.apps, other.apps, strict=True)
    rates_hz = {a.app: min(a.predicted.throughput_hz, b.predicted.throughput_hz) for a, b in pairs}
    return 1 - power_mw(best, rates_hz) / power_mw(other, rates_hz)


def summary(rows: Sequence[Row]) -> dict[str, float]:
    """Return the averages over the seven baselines and what ``exact`` gains over ``progressive``."""
    found = [compare(rows, name) for name in BASELINES]
    throughput = [value for item in found for value in item.throughput]
    sequential = [value for item in found for value in item.sequential]
    gain = compare(rows, "progressive").throughput
    exact = [row for row in rows if row.selector == "exact"]
    return {
        "throughput_x": fmean(throughput),
        "throughput_x_geomean": geometric_mean(throughput),
        "latency_reduction": fmean(value for item in found for value in item.latency),
        "power_reduction": fmean(value for item in found for value in item.power),
        "exact_over_progressive": fmean(gain),
        "sequential_throughput_x": fmean(sequential),
        "sequential_throughput_x_geomean": geometric_mean(sequential),
        "failed_baseline_plans": sum(item.failed for item in found),
        "cases": len(exact),
        "cases_without_a_plan": sum(not row.apps for row in exact),
        "proven": sum(row.optimal for row in exact),
    }
