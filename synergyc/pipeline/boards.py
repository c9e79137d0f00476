"""Run a build on boards on a desk: feed samples over their consoles, compare every result bit by bit."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from synergyc.diagnostics import fail
from synergyc.firmware.framing import ConsoleLine
from synergyc.manifest import AppRecord, Manifest, find_device, read_manifest
from synergyc.pipeline.consoles import obstacle
from synergyc.pipeline.expectation import Expected, accuracies, answer_of, expectation, is_right
from synergyc.pipeline.feed import Feed, Request, feed, is_fed, parse_request
from synergyc.pipeline.outcome import latency
from synergyc.pipeline.run import check_inputs
from synergyc.pipeline.serial_console import SerialConsole
from synergyc.report.outcome import AppOutcome, RunOutcome

_POLL_S = 0.001


@dataclass(frozen=True)
class BoardOptions:
    """``ports`` by device; ``inputs`` are sample files by app, for those that a host feeds.

    ``silence_s``: after so long without a result no more are expected. ``limit_s``: of the whole run.
    """

    ports: Mapping[str, str]
    runs: int = 100
    inputs: Mapping[str, Path] = field(default_factory=dict)
    silence_s: float = 5.0
    limit_s: float | None = None


def run_on_boards(
    folder: Path, options: BoardOptions, *, progress: Callable[[int], None] = lambda _: None
) -> RunOutcome:
    """Run the build in ``folder`` on boards that hold its images; ``progress`` gets the number of results.

    Times are the host's. Raises SynergyError: ``board-missing``, ``board-input``, those of ``SerialConsole``,
    and ``board-timeout`` if no result comes at all. Wrong and missing results are counted in the outcome.
    """
    manifest = read_manifest(folder)
    check_inputs(options.inputs, manifest)
    _check_boards(manifest, options)
    expected = {
        app.name: expectation(
            folder, app, options.runs if is_fed(app) else app.replay_samples, options.inputs.get(app.name)
        )
        for app in manifest.apps
    }
    watches = {app.name: _Watch(app, expected[app.name], options.runs) for app in manifest.apps}
    with ExitStack() as stack:
        consoles = [
            stack.enter_context(SerialConsole(find_device(manifest, name), port))
            for name, port in options.ports.items()
        ]
        for console in consoles:
            console.identify(manifest.plan_id, options.silence_s)
        listener = _Listener(watches, feed(manifest, expected), _Sensors(manifest))
        elapsed_s = _converse(consoles, listener, options, progress)
    silent = [name for name, watch in watches.items() if not watch.results]
    if silent:
        raise fail(
            "board-timeout",
            f"no result of app {', '.join(map(repr, silent))} came within {elapsed_s:.1f} s",
            hint="are all devices of the plan powered and joined?",
        )
    return RunOutcome(tuple(watch.outcome() for watch in watches.values()), (), elapsed_s, on_boards=True)


def _check_boards(manifest: Manifest, options: BoardOptions) -> None:
    """All consoles that are needed must be there, and only samples that are fed can be chosen."""
    for name in options.ports:
        find_device(manifest, name)
    for app in manifest.apps:
        needed = {}
        for sense, interact in manifest.places(app.name):  # under any plan of the images
            needed[interact] = "shows its results"
            if is_fed(app):
                needed[sense] = "asks for its samples"
        for name, reason in needed.items():
            if name not in options.ports:
                message = f"app {app.name!r} needs the console of device {name!r}, which {reason}"
                raise fail("board-missing", message, hint=f"--board {name}=PORT")
        if app.name in options.inputs and not is_fed(app):
            raise fail(
                "board-input",
                f"app {app.name!r} replays the samples in its image: others cannot be chosen",
                hint="build with sense: {driver: host}",
            )


def _converse(
    consoles: list[SerialConsole],
    listener: _Listener,
    options: BoardOptions,
    progress: Callable[[int], None],
) -> float:
    """Answer and listen until all runs are delivered or nothing comes any more; return the time in s."""
    began_s = heard_s = time.monotonic()
    watches = listener.watches
    while not all(watch.is_done for watch in watches.values()):
        before = sum(watch.results for watch in watches.values())
        for console in consoles:
            for line in console.lines():
                listener.take(line, console)
        results = sum(watch.results for watch in watches.values())
        now_s = time.monotonic()
        if results != before:
            progress(results)
            heard_s = now_s
        over = options.limit_s is not None and now_s - began_s > options.limit_s
        if over or now_s - heard_s > options.silence_s:
            break
        time.sleep(_POLL_S)
    return time.monotonic() - began_s


class _Sensors:
    """Which device senses an app: that of the plan in force, as a console has told it last."""

    def __init__(self, manifest: Manifest) -> None:
        self._chosen = {app.name: app.sense["on"] for app in manifest.apps}
        self._planned = {
            (plan.number, item.app): item.sense for plan in manifest.image_plans for item in plan.apps
        }
        self._plans: dict[str, int] = {}

    def note(self, device: str, line: ConsoleLine) -> None:
        """Take a line that says which plan is in force on ``device``: that for all devices after a boot."""
        if line.kind in ("B", "V"):
            self._plans[device] = int(line.fields[0]) if line.kind == "V" else 0

    def of(self, app: str, device: str) -> str:
        """Return who senses what ``device`` shows of ``app``."""
        return self._planned.get((self._plans.get(device, 0), app), self._chosen[app])


@dataclass(frozen=True)
class _Listener:
    """What is done with the lines of all consoles: samples are given, results are judged."""

    watches: Mapping[str, _Watch]
    samples: Feed
    sensors: _Sensors

    def take(self, line: ConsoleLine, console: SerialConsole) -> None:
        """Take one line; raises SynergyError (``link-key``) if it says that a link cannot come up."""
        device = console.device.name
        self.sensors.note(device, line)
        if line.kind == "B":
            for watch in self.watches.values():
                watch.restart(device)
        elif line.kind == "K":
            raise obstacle(device, line)
        elif line.kind == "R" and line.fields[0] in self.watches:
            watch = self.watches[line.fields[0]]
            watch.take_result(int(line.fields[1]), line.fields[2], self.sensors.of(watch.app.name, device))
        request = parse_request(line)
        if request is None or request.app not in self.watches:
            return
        if self.watches[request.app].may_feed(request, device):
            console.write(self.samples.answer(request))


_Run = tuple[str, int]
"""The device that senses, and its number of the run: each device counts its own."""


class _Watch:
    """What was fed to one app and what came back.

    Runs that the boards had begun before are not judged: their samples may be another host's.
    """

    def __init__(self, app: AppRecord, expected: Expected, runs: int) -> None:
        self.app = app
        self._expected, self._runs = expected, runs
        self._fed = is_fed(app)
        self._sent = 0
        self._delivered = self._right = self._wrong = 0
        self._pending_s: dict[_Run, float] = {}
        """Runs without a result, and when they were fed."""
        self._done: set[_Run] = set()
        self._last: dict[str, int] = {}
        """The last run of each device that senses, where it replays."""
        self._latencies_s: list[float] = []
        self._times_s: list[float] = []
        self._answers: list[tuple[int, int]] = []

    @property
    def results(self) -> int:
        """Results that were judged."""
        return self._right + self._wrong

    @property
    def is_done(self) -> bool:
        """Whether nothing more is expected."""
        return self.results >= self._runs or (self._sent >= self._runs and not self._pending_s)

    def restart(self, device: str) -> None:
        """A device has booted: it counts the runs that it senses from 0; those under way are dropped."""
        self._pending_s = {key: time_s for key, time_s in self._pending_s.items() if key[0] != device}
        self._done = {key for key in self._done if key[0] != device}
        self._last.pop(device, None)

    def may_feed(self, request: Request, device: str) -> bool:
        """Return whether a request of ``device`` is to be answered, and note it."""
        key = (device, request.run)
        if request.piece == 0 and key not in self._pending_s:
            if self._sent >= self._runs:
                return False
            self._sent += 1
            self._done.discard(key)
        elif key not in self._pending_s:
            return True  # the rest of a sample that another host began
        self._pending_s[key] = time.monotonic()
        return True

    def take_result(self, run: int, content: str, sensor: str) -> None:
        """Judge a result of what ``sensor`` has sensed: wrong is also one that comes a second time."""
        key = self._key(sensor, run)
        if self.results >= self._runs or not self._is_ours(key):
            return
        good, values = is_right(content, run, self._expected)
        fresh = key not in self._done
        self._done.add(key)
        self._delivered += fresh
        self._right += good and fresh
        self._wrong += not (good and fresh)
        now_s = time.monotonic()
        self._times_s.append(now_s)
        if key in self._pending_s:
            self._latencies_s.append(now_s - self._pending_s.pop(key))
        if self._expected.labels is not None and values is not None:
            self._answers.append((self._expected.index(run), answer_of(values, self._expected.network)))

    def _key(self, sensor: str, run: int) -> _Run:
        """Return whose run it is: a board may have changed its plan before anybody listened."""
        told = (sensor, run)
        if told in self._pending_s or told in self._done:
            return told
        return next((key for key in self._pending_s if key[1] == run), told)

    def _is_ours(self, key: _Run) -> bool:
        if self._fed:
            return key in self._pending_s or key in self._done
        sensor, run = key
        last = self._last.get(sensor)
        if last is not None and run < last:
            self.restart(sensor)  # it has booted where nobody listens
            last = None
        self._sent += 1 if last is None else run - last
        self._last[sensor] = run
        return True

    def outcome(self) -> AppOutcome:
        """Return what was seen; latencies are the host's, from the last piece of a sample to its result."""
        span_s = self._times_s[-1] - self._times_s[0] if self._times_s else 0.0
        return AppOutcome(
            name=self.app.name,
            sent=self._sent,
            right=self._right,
            wrong=self._wrong,
            dropped=self._sent - self._delivered,
            throughput_hz=(len(self._times_s) - 1) / span_s if span_s else 0.0,
            latency=latency([round(1e9 * item) for item in self._latencies_s]),
            predicted_throughput_hz=self.app.predicted.throughput_hz,
            predicted_latency_ms=self.app.predicted.latency_ms,
            predicted_energy_uj=self.app.predicted.energy_uj,
            accuracy=accuracies(self._expected, self._answers),
        )
