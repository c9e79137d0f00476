"""Run a build on emulated devices and compare every result with the integer reference, bit by bit."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from math import prod
from pathlib import Path

from synergyc.diagnostics import did_you_mean, fail
from synergyc.emulate.accelerator_port import AcceleratorModel
from synergyc.emulate.board import UnitStatistics
from synergyc.emulate.simulation import Ending
from synergyc.emulate.trace import Tracer
from synergyc.firmware.keys import emulation_keys
from synergyc.manifest import (
    AppRecord,
    Manifest,
    device_keys,
    read_manifest,
    secured_pairs,
)
from synergyc.pipeline import scenario as scenarios
from synergyc.pipeline.consoles import AppSenses, ConsoleReader, SenseReader, obstacle, poll_all
from synergyc.pipeline.emulated import simulation
from synergyc.pipeline.expectation import Expected, expectation
from synergyc.pipeline.feed import feed, is_fed, packed_samples, parse_request
from synergyc.pipeline.outcome import Moment, Window, run_outcome
from synergyc.pipeline.plan_changes import plan_changes
from synergyc.pipeline.scenario import Change, Scenario
from synergyc.report.outcome import RunOutcome
from synergyc.targets import load_medium

RUN_LIMIT_SYMBOL = "synergy_run_limit"
_GRACE_S = 3.0
"""Virtual time for loading weights and for links to come up, beyond the time that the runs take.

Devices wait two seconds for links before they sense without them, and say why.
"""
_SLACK = 20
"""How many times longer than predicted the runs may take before the emulation is given up."""
_POLL_NS = 10**6
"""How often the consoles and the logs of sensed runs are read; a log holds 32 of them."""
_SLOWEST_FEED_BD = 20_000
"""Rate at which samples come over the console at least, requests included, with room for repeated ones."""
_CHANGE_NS = 1_200_000_000
"""A lost device is noticed, or one that is back is up, and its plan is in force: sizing.py has the times."""
_QUIET_NS = 2 * 10**9
"""After incidents: so long after the last result no more are expected, the runs that are missing are lost."""


@dataclass(frozen=True)
class RunOptions:
    """What a run may be told: ``inputs`` are sample files by app, ``trace`` is where to write a timeline.

    ``sequential``: one run at a time, the apps in turn; each begins when the one before has been delivered.
    """

    runs: int = 100
    inputs: Mapping[str, Path] = field(default_factory=dict)
    scenario: Scenario = field(default_factory=Scenario)
    sequential: bool = False
    limit_s: float | None = None
    trace: Path | None = None
    keys: Mapping[str, bytes] | None = None
    """Of secured links, by name; None: keys that are known to everybody."""


def run(folder: Path, options: RunOptions, *, progress: Callable[[int], None] = lambda _: None) -> RunOutcome:
    """Run the build in ``folder``; ``progress`` gets the number of results so far.

    Raises SynergyError if the build is damaged, or the devices fault, hang or exceed the limit of virtual
    time. Wrong or missing results are no error: they are counted in the outcome.
    """
    if options.runs < 1:
        raise fail("runs", f"number of runs must be at least 1, not {options.runs}", hint="--runs 100")
    manifest = read_manifest(folder)
    scenarios.check_scenario(options.scenario, manifest)
    check_inputs(options.inputs, manifest)
    expected = {
        app.name: expectation(folder, app, options.runs, options.inputs.get(app.name))
        for app in manifest.apps
    }
    session = Session(folder, manifest, options, expected, progress)
    session.run()
    if options.trace is not None and session.tracer is not None:
        session.mark_changes()
        options.trace.write_text(session.tracer.to_text(), encoding="utf-8")
    outcome = session.outcome()
    if any(app.wrong_run is not None for app in outcome.apps):
        # places the networks again: only where something is wrong
        from synergyc.pipeline.locate import located

        outcome = located(folder, manifest, options, expected, outcome)
    return outcome


def check_inputs(inputs: Mapping[str, Path], manifest: Manifest) -> None:
    """Raise SynergyError (``unknown-app``) for samples of an app that the build does not have."""
    names = [app.name for app in manifest.apps]
    for name in inputs:
        if name not in names:
            raise fail("unknown-app", f"the build has no app {name!r}", hint=did_you_mean(name, names))


class Session:
    """Emulated devices while they run, and what was seen of them."""

    def __init__(
        self,
        folder: Path,
        manifest: Manifest,
        options: RunOptions,
        expected: Mapping[str, Expected],
        progress: Callable[[int], None],
        accelerators: Mapping[str, AcceleratorModel] | None = None,
    ) -> None:
        self._manifest, self._options, self._expected = manifest, options, expected
        self._progress = progress
        self._simulation = simulation(folder, manifest, options.scenario, accelerators)
        boards = self._simulation.boards
        self._set_keys(options.keys)
        self._consoles = {name: ConsoleReader(board) for name, board in boards.items()}
        self._senses = {
            app.name: AppSenses(
                tuple(
                    SenseReader(app.name, boards[name], self._consoles[name])
                    for name in dict.fromkeys(sense for sense, _ in manifest.places(app.name))
                )
            )
            for app in manifest.apps
        }
        self._feed = feed(manifest, expected)
        self._heard: Counter[str] = Counter()
        """Console lines that were looked at for requests, by device."""
        self._gates: Counter[str] = Counter()
        self._begun: dict[str, UnitStatistics] = {}
        """What each device had done when it began to sense."""
        self._steady: Moment | None = None
        self._done: Moment | None = None
        self.tracer = None if options.trace is None else Tracer(self._simulation)
        for board in boards.values():
            board.poke(RUN_LIMIT_SYMBOL, options.runs.to_bytes(4, "little"))
        for app in manifest.apps:
            self._prepare_app(app, folder)

    def run(self) -> None:
        """Run to the end; raises SynergyError if there is none.

        Each device begins to sense when its own links are up, as without an observer.
        """
        pending = list(scenarios.changes(self._options.scenario.incidents))
        self._run_until(pending, self._has_begun, ask_every_ns=0)
        self._run_until(pending, self._has_ended, ask_every_ns=_POLL_NS)
        self._done = self._done or self._moment()

    def outcome(self) -> RunOutcome:
        """Return what was seen."""
        begun = Moment(self._begun, {})
        return run_outcome(
            self._manifest,
            self._expected,
            self._consoles,
            self._senses,
            Window(begun, self._steady or begun, self._done or self._moment()),
            self._options.scenario,
            virtual_s=self._simulation.now_ns / 1e9,
            sequential=self._options.sequential,
        )

    def _set_keys(self, keys: Mapping[str, bytes] | None) -> None:
        if keys is None:
            keys = emulation_keys(pair.key for pair in secured_pairs(self._manifest))
        for name, board in self._simulation.boards.items():
            for symbol, key in device_keys(self._manifest, name, keys).items():
                board.poke(symbol, key)

    def mark_changes(self) -> None:
        """Show in the timeline when devices went over to another plan."""
        for change in plan_changes(self._manifest, self._consoles):
            if self.tracer is not None:
                self.tracer.mark(change.device, f"plan {change.plan}", round(change.at_s * 1e9))

    def _prepare_app(self, app: AppRecord, folder: Path) -> None:
        if self._options.sequential:
            self._open(app.name, 0)
        expected = self._expected[app.name]
        if expected.own_input and not is_fed(app):
            words = packed_samples(folder, app, expected)
            for reader in self._senses[app.name].readers:
                reader.board.poke(f"synergy_samples_{app.name}", b"".join(words))
                reader.board.poke(f"synergy_sample_count_{app.name}", len(words).to_bytes(4, "little"))

    def _run_until(self, pending: list[Change], done: Callable[[], bool], *, ask_every_ns: int) -> None:
        """Run until ``done``, asked every so often, and carry out the changes that come before."""
        limit_ns = _limit_ns(self._manifest, self._options)
        while True:
            until_ns = min(limit_ns, pending[0].at_ns if pending else limit_ns)
            outcome = self._simulation.run(until_ns, done, ask_every_ns=ask_every_ns)
            if outcome.ending is Ending.STOPPED:
                return
            if not pending or until_ns == limit_ns or outcome.ending is Ending.HALT:
                outcome.raise_unless(Ending.STOPPED)
            self._poll()
            change = pending.pop(0)
            scenarios.apply(change, self._simulation, self._options.scenario.seed)
            self._expect_boot(change)
            if self.tracer is not None:
                self.tracer.mark(change.device, change.action, change.at_ns)

    def _expect_boot(self, change: Change) -> None:
        for reader in (reader for sense in self._senses.values() for reader in sense.readers):
            if reader.board.name == change.device and change.action in ("restore", "reset"):
                reader.expect_boot()

    def _poll(self) -> None:
        poll_all(self._consoles.values(), self._senses.values())
        for name, console in self._consoles.items():
            if console.counts["F"]:
                line = next(item.line for item in console.lines if item.line.kind == "F")
                raise fail("device-fault", f"device {name!r} reports a fault: {', '.join(line.fields)}")
            if console.counts["K"] and not self._options.scenario.incidents:  # else a peer may be away
                line = next(item.line for item in console.lines if item.line.kind == "K")
                raise obstacle(name, line)
        if self._feed.samples:
            self._answer()

    def _answer(self) -> None:
        """Give the samples that devices have asked for since the last call."""
        for name, console in self._consoles.items():
            for item in console.lines[self._heard[name] :]:
                request = parse_request(item.line)
                if request is not None:
                    self._simulation.boards[name].feed(self._feed.answer(request))
            self._heard[name] = len(console.lines)

    def _has_begun(self) -> bool:
        self._poll()
        for name, console in self._consoles.items():
            if not console.counts["L"] and console.saying != "L":
                self._begun[name] = self._simulation.boards[name].statistics()
        powered = self._simulation.powered
        return bool(powered) and all(self._consoles[name].counts["L"] for name in powered)

    def _has_ended(self) -> bool:
        self._poll()
        results = sum(console.counts["R"] for console in self._consoles.values())
        self._progress(results)
        self._note_steady_state(results)
        if self._options.sequential:
            self._open_next()
        if all(self._consoles[name].since_boot["E"] for name in self._simulation.powered):
            return self._simulation.now_ns >= self._settled_ns()
        return bool(self._options.scenario.incidents) and self._is_quiet()

    def _settled_ns(self) -> int:
        """Return when devices have changed their plans, if they hold several, after the last incident."""
        scenario = self._options.scenario
        change_ns = _CHANGE_NS if scenario.incidents and self._manifest.image_plans else 0
        return scenario.ends_ns + change_ns

    def _note_steady_state(self, results: int) -> None:
        """Take statistics at the first and at the last result: between them all units are at work."""
        if results and self._steady is None:
            self._steady = self._moment()
        if self._done is None and results == self._options.runs * len(self._manifest.apps):
            self._done = self._moment()

    def _moment(self) -> Moment:
        shared = [link.name for link in self._manifest.links if load_medium(link.medium).shared]
        air_ps = {
            (name, device): busy_ps
            for name, channel in zip(shared, self._simulation.channels, strict=True)
            for device, busy_ps in channel.busy_ps.items()
        }
        return Moment(self._simulation.statistics(), air_ps)

    def _is_quiet(self) -> bool:
        """Whether every sensor is done and nothing has come for long: devices that were lost say no end."""
        last_ns = max(
            (item.at_ns for console in self._consoles.values() for item in console.lines[-1:]), default=0
        )
        last_ns = max(last_ns, self._options.scenario.ends_ns)
        powered = self._simulation.powered
        done = all(sense.has_sensed(self._options.runs, powered) for sense in self._senses.values())
        return done and self._simulation.now_ns - last_ns > _QUIET_NS

    def _open(self, app: str, runs: int) -> None:
        for reader in self._senses[app].readers:
            reader.board.poke(f"synergy_open_runs_{app}", runs.to_bytes(4, "little"))

    def _open_next(self) -> None:
        """Let the next run begin when all that were begun are delivered."""
        results = sum(console.counts["R"] for console in self._consoles.values())
        apps = [app.name for app in self._manifest.apps]
        if results >= self._options.runs * len(apps):
            for app in apps:  # the end mark is behind the last run
                self._open(app, self._options.runs + 1)
        elif results == sum(self._gates.values()):
            app = apps[results % len(apps)]
            self._gates[app] += 1
            self._open(app, self._gates[app])


def _limit_ns(manifest: Manifest, options: RunOptions) -> int:
    if options.limit_s is not None:
        return int(options.limit_s * 1e9)
    rates_hz = [app.predicted.throughput_hz for app in manifest.apps]
    rates_hz += [app.throughput_hz for plan in manifest.image_plans for app in plan.apps]
    slowest_hz = min(rates_hz, default=1.0)
    rounds = options.runs * (len(manifest.apps) if options.sequential else 1)
    slack = _SLACK * (5 if options.scenario.disturbs else 1)
    fed_s = sum(10 * prod(app.sensor_shape) / _SLOWEST_FEED_BD for app in manifest.apps if is_fed(app))
    limit_s = (
        _GRACE_S
        + options.runs * fed_s
        + (slack * rounds * (1 / slowest_hz + options.scenario.delay_ms / 1000))
    )
    incidents_s = sum((item.until_ns or item.at_ns) / 1e9 + 10 for item in options.scenario.incidents)
    return int((limit_s + incidents_s + (options.runs if options.scenario.incidents else 0)) * 1e9)
