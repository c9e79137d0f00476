"""Random systems over good and bad links: ``python -m benchmarks.systems --count 50``.

Networks, plans and devices are drawn (``tests/e2e/random_systems.py``); every result is compared with the
integer reference. ``--predict --runs 60`` compares rates and latencies with the planner's schedule.
``--replicas`` puts each network as a whole on two or three devices, which get its runs in turn.
``--fallback`` lets systems with plans for those who are left lose a device for a while, and get it back
(``tests/e2e/random_fallback.py``).
``--soak-s 3600`` runs the example for so much virtual time with random faults instead, in pieces of
``--piece-s`` with its link in the clear and secured in turn, and shows that the process does not grow.
A piece is right if every run that was sensed was delivered right or counted as dropped, and if in the end
every device that has power has drained its queues: it says so (``$E``) only then.
"""

from __future__ import annotations

import random
import resource
import tempfile
import time
from itertools import pairwise
from math import ceil
from pathlib import Path

import click

from synergyc.pipeline.build import BuildOptions, build
from synergyc.pipeline.run import RunOptions, run
from synergyc.pipeline.scenario import Incident, IncidentKind, Scenario
from tests.e2e.random_fallback import random_fallback, run_fallback
from tests.e2e.random_systems import compare_system, random_system, run_system

EXAMPLE = Path(__file__).parent.parent / "examples" / "digits.yaml"
_PROGRESS_RUNS = 500
_WANTED = 0.05
"""How far a prediction may be from emulation."""
_RATE_HZ = 5
_SENSES, _SHOWS = "wrist", "chest"
_FAULT_S = 15
"""A fault every so often: time to come back from any of them before the next one."""


@click.command()
@click.option("--count", default=50, show_default=True, help="Number of systems.")
@click.option("--first", default=0, show_default=True, help="Seed of the first one, or of the first piece.")
@click.option("--runs", default=6, show_default=True, help="Runs of each app.")
@click.option("--predict", is_flag=True, help="Compare rates and latencies with the schedule's instead.")
@click.option("--replicas", is_flag=True, help="Systems whose networks are on several devices each.")
@click.option("--fallback", is_flag=True, help="Systems that lose a device, and get it back.")
@click.option("--soak-s", default=0, help="Virtual seconds of a soak with random faults.")
@click.option(
    "--piece-s",
    default=100,
    show_default=True,
    help="Of one run of a soak; ticks of a device wrap after 86 s.",
)
def main(
    count: int,
    first: int,
    runs: int,
    predict: bool,
    replicas: bool,
    fallback: bool,
    soak_s: int,
    piece_s: int,
) -> None:
    """Exit 1 if any run was wrong or lost without a count."""
    seeds = range(first, first + count)
    if predict:
        compare(seeds, runs, replicas=replicas)
        return
    if soak_s:
        good = soak(soak_s, piece_s, first)
    else:
        verdicts = [_fallback(seed) if fallback else _one(seed, runs, replicas=replicas) for seed in seeds]
        good = all(verdicts)  # asked of all of them, also behind one that fails
    raise SystemExit(0 if good else 1)


def compare(seeds: range, runs: int, *, replicas: bool) -> None:
    """Print how far the schedule's rates and latencies are from what the devices do, by app and in all."""
    found: list[tuple[float, float]] = []
    for seed in seeds:
        with tempfile.TemporaryDirectory() as name:
            for app in compare_system(random_system(seed, replicated=replicas), Path(name), runs):
                found.append(app.errors)
                rate, latency = app.errors
                click.echo(
                    f"seed {seed} {app.app}: {app.predicted.throughput_hz:.1f} and {app.throughput_hz:.1f}"
                    f" runs/s ({rate:+.1%}), {app.predicted.latency_ms:.2f} and {app.latency_ms:.2f} ms"
                    f" ({latency:+.1%})"
                )
    for what, errors in zip(("throughput", "latency"), zip(*found, strict=True), strict=True):
        sizes = sorted(map(abs, errors))
        within = sum(size <= _WANTED for size in sizes)
        click.echo(
            f"{what}: {within} of {len(sizes)} within {_WANTED:.0%}; median {sizes[len(sizes) // 2]:.1%},"
            f" 9 of 10 below {sizes[int(0.9 * len(sizes))]:.1%}, largest {sizes[-1]:.1%}"
        )


def _one(seed: int, runs: int, *, replicas: bool) -> bool:
    system = random_system(seed, replicated=replicas)
    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as name:
        results = run_system(system, Path(name), runs)
        results += run_system(system, Path(name), runs, loss=0.1, corrupt=0.01)
    good = all(result.right == result.sent and not result.wrong for result in results)
    apps, devices = len(system.plan.apps), len(system.boards)
    verdict = "right" if good else f"WRONG: {results}\n{system}"
    click.echo(f"seed {seed}: {devices} devices, {apps} apps, {time.perf_counter() - began:.1f} s: {verdict}")
    return good


def _fallback(seed: int) -> bool:
    """Let a random system lose a device over good links or bad ones, by turns."""
    system = random_fallback(seed)
    faults = {"loss": 0.1, "corrupt": 0.01} if seed % 2 else {}
    began = time.process_time()
    with tempfile.TemporaryDirectory() as name:
        found = run_fallback(system, Path(name), **faults)
    verdict = "right" if found.good(system) else f"WRONG: {found}\n{system}"
    click.echo(
        f"seed {seed}: {len(system.system.boards)} devices, {len(system.plans)} plans, lost {system.lost}:"
        f" sent {found.sent}, right {found.right}, wrong {found.wrong},"
        f" {found.sent - found.right} of {found.counted} counted as dropped,"
        f" {time.process_time() - began:.1f} CPU s: {verdict}"
    )
    return found.good(system)


def soak(seconds: int, piece_s: int, first: int) -> bool:
    """Run the example with a rate-limited sensor in pieces, each with faults of its own."""
    with tempfile.TemporaryDirectory() as name:
        folders = [_build(Path(name), secure=secure) for secure in (False, True)]
        pieces = range(first, first + -(-seconds // piece_s))
        verdicts = [_piece(folders[piece % len(folders)], piece, piece_s) for piece in pieces]
    return all(verdicts)


def _build(folder: Path, *, secure: bool) -> Path:
    text = EXAMPLE.read_text().replace("../models", str(EXAMPLE.parent.parent / "models"))
    text = text.replace("{sensor: replay,", f"{{sensor: replay, rate_hz: {_RATE_HZ},")
    if secure:
        text = text.replace("rate_kbps: 921.6}", "rate_kbps: 921.6, secure: true}")
    app_file, output = folder / "soak.yaml", folder / ("secured" if secure else "clear")
    app_file.write_text(text)
    build(app_file, output, BuildOptions(), lambda _: None)
    return output


def _piece(folder: Path, seed: int, piece_s: int) -> bool:
    began = time.perf_counter()

    def progress(results: int) -> None:
        if results > told[-1] + _PROGRESS_RUNS:
            told.append(results)
            spent_s = time.perf_counter() - began
            click.echo(f"piece {seed}: {results} results, {spent_s:.0f} s, {_memory_mb()} MB", err=True)

    told = [0]
    scenario = _faults(seed, piece_s)
    runs = _sensed_s(scenario, piece_s) * _RATE_HZ
    outcome = run(folder, RunOptions(runs=runs, scenario=scenario), progress=progress)
    (app,) = outcome.apps
    click.echo(
        f"piece {seed} ({folder.name}): {outcome.virtual_s:.1f} s of virtual time,"
        f" sent {app.sent}, right {app.right}, wrong {app.wrong}, dropped {app.dropped}:"
        f" {'right' if outcome.ok else 'WRONG'};"
        f" memory {_memory_mb()} MB"
    )
    return outcome.ok


def _memory_mb() -> int:
    """Return the resident memory of this process now (Linux): its peak is that of the build before."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() // 10**6


def _sensed_s(scenario: Scenario, piece_s: int) -> int:
    """Return how long the sensor goes on after a boot, so that it never ends before the next one."""
    ends = [item.until_ns or item.at_ns for item in scenario.incidents if _boots(item)]
    boots_s = [0, *(end_ns / 1e9 for end_ns in ends), piece_s]
    return ceil(max(end - begin for begin, end in pairwise(boots_s)))


def _boots(incident: Incident) -> bool:
    return incident.device == _SENSES and incident.kind != "stuck"


def _faults(seed: int, piece_s: int) -> Scenario:
    chance = random.Random(seed)  # noqa: S311 - repeatable on purpose
    kinds: tuple[IncidentKind, ...] = ("drop", "stuck", "reset", "brown-out")
    incidents = []
    for second in range(5, piece_s - 10, _FAULT_S):
        kind = chance.choice(kinds)
        at_ns = second * 10**9 + chance.randrange(10**9)
        lasting = {"drop": chance.randrange(10**8, 4 * 10**9), "stuck": chance.randrange(10**8, 10**9)}
        after_ns = 50_000_000 if kind == "brown-out" else lasting.get(kind)
        until_ns = None if after_ns is None else at_ns + after_ns
        incidents.append(Incident(kind, chance.choice([_SENSES, _SHOWS]), at_ns, until_ns))
    return Scenario(chance.choice([0.0, 0.05, 0.1]), 0.01, 0.0, seed, tuple(incidents))


if __name__ == "__main__":
    main()
