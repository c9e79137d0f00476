"""Random systems over good and bad links: ``python -m benchmarks.systems --count 50``.

Networks, plans and devices are drawn (``tests/e2e/random_systems.py``); every result is compared with the
integer reference. ``--predict --runs 60`` compares rates and latencies with the planner's schedule.
``--soak-s 3600`` runs the example for so much virtual time with random faults instead, its
link in the clear and secured in turn, and shows that the process does not grow. A piece is right if every run
that was sensed was delivered right or counted as dropped, and if in the end every device that has power has
drained its queues: it says so (``$E``) only then.
"""

from __future__ import annotations

import random
import resource
import tempfile
import time
from pathlib import Path

import click

from synergyc.pipeline.build import BuildOptions, build
from synergyc.pipeline.run import RunOptions, run
from synergyc.pipeline.scenario import Incident, IncidentKind, Scenario
from tests.e2e.random_systems import compare_system, random_system, run_system

EXAMPLE = Path(__file__).parent.parent / "examples" / "digits.yaml"
_SLICE_S = 100
"""Virtual time of one piece of a soak, more if a sensor is reset. The devices' ticks wrap after 86 s."""
_PROGRESS_RUNS = 500
_WANTED = 0.05
"""How far a prediction may be from emulation."""
_RATE_HZ = 5


@click.command()
@click.option("--count", default=50, show_default=True, help="Number of systems.")
@click.option("--first", default=0, show_default=True, help="Seed of the first one, or of the first piece.")
@click.option("--runs", default=6, show_default=True, help="Runs of each app.")
@click.option("--predict", is_flag=True, help="Compare rates and latencies with the schedule's instead.")
@click.option("--soak-s", default=0, help="Virtual seconds of a soak with random faults.")
def main(count: int, first: int, runs: int, predict: bool, soak_s: int) -> None:
    """Exit 1 if any run was wrong or lost without a count."""
    seeds = range(first, first + count)
    if predict:
        compare(seeds, runs)
        return
    good = soak(soak_s, first) if soak_s else _all(seeds, runs)
    raise SystemExit(0 if good else 1)


def compare(seeds: range, runs: int) -> None:
    """Print how far the schedule's rates and latencies are from what the devices do, by app and in all."""
    found: list[tuple[float, float]] = []
    for seed in seeds:
        with tempfile.TemporaryDirectory() as name:
            for app in compare_system(random_system(seed), Path(name), runs):
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


def _all(seeds: range, runs: int) -> bool:
    verdicts = [_one(seed, runs) for seed in seeds]  # all of them, also behind one that fails
    return all(verdicts)


def _one(seed: int, runs: int) -> bool:
    system = random_system(seed)
    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as name:
        results = run_system(system, Path(name), runs)
        results += run_system(system, Path(name), runs, loss=0.1, corrupt=0.01)
    good = all(result.right == result.sent and not result.wrong for result in results)
    apps, devices = len(system.plan.apps), len(system.boards)
    verdict = "right" if good else f"WRONG: {results}\n{system}"
    click.echo(f"seed {seed}: {devices} devices, {apps} apps, {time.perf_counter() - began:.1f} s: {verdict}")
    return good


def soak(seconds: int, first: int) -> bool:
    """Run the example with a rate-limited sensor in pieces, each with faults of its own."""
    with tempfile.TemporaryDirectory() as name:
        folders = [_build(Path(name), secure=secure) for secure in (False, True)]
        pieces = range(first, first + -(-seconds // _SLICE_S))
        verdicts = [_piece(folders[piece % len(folders)], piece) for piece in pieces]
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


def _piece(folder: Path, seed: int) -> bool:
    began = time.perf_counter()

    def progress(results: int) -> None:
        if results > told[-1] + _PROGRESS_RUNS:
            told.append(results)
            click.echo(f"piece {seed}: {results} results, {time.perf_counter() - began:.0f} s", err=True)

    told = [0]
    outcome = run(folder, RunOptions(runs=_SLICE_S * _RATE_HZ, scenario=_faults(seed)), progress=progress)
    (app,) = outcome.apps
    memory_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    click.echo(
        f"piece {seed} ({folder.name}): {outcome.virtual_s:.1f} s of virtual time,"
        f" sent {app.sent}, right {app.right}, wrong {app.wrong}, dropped {app.dropped}:"
        f" {'right' if outcome.ok else 'WRONG'};"
        f" peak memory {memory_mb} MB"
    )
    return outcome.ok


def _faults(seed: int) -> Scenario:
    chance = random.Random(seed)  # noqa: S311 - repeatable on purpose
    kinds: tuple[IncidentKind, ...] = ("drop", "stuck", "reset", "brown-out")
    incidents = []
    for second in range(5, _SLICE_S - 10, 15):
        kind = chance.choice(kinds)
        at_ns = second * 10**9 + chance.randrange(10**9)
        lasting = {"drop": chance.randrange(10**8, 4 * 10**9), "stuck": chance.randrange(10**8, 10**9)}
        after_ns = 50_000_000 if kind == "brown-out" else lasting.get(kind)
        until_ns = None if after_ns is None else at_ns + after_ns
        incidents.append(Incident(kind, chance.choice(["wrist", "chest"]), at_ns, until_ns))
    return Scenario(chance.choice([0.0, 0.05, 0.1]), 0.01, 0.0, seed, tuple(incidents))


if __name__ == "__main__":
    main()
