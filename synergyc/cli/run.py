"""``synergyc run``: emulate a build and check every result against the reference."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from synergyc.cli.console import table_console
from synergyc.cli.option_types import FiniteRange, OutputFile
from synergyc.cli.progress import counted

if TYPE_CHECKING:
    from synergyc.pipeline.scenario import Scenario
    from synergyc.report.outcome import AppOutcome, DeviceOutcome, RunOutcome

_SHARE = FiniteRange(0, 1, max_open=True)


def _inputs(_context: click.Context, _option: click.Parameter, values: tuple[str, ...]) -> dict[str, Path]:
    found = {}
    for value in values:
        app, equals, path = value.partition("=")
        if not equals or not app or not path:
            raise click.BadParameter(f"{value!r} is not APP=FILE.npy")
        if app in found:
            raise click.BadParameter(f"{value!r}: each app may be named once")
        found[app] = Path(path)
    return found


def _boards(_context: click.Context, _option: click.Parameter, values: tuple[str, ...]) -> dict[str, str]:
    found: dict[str, str] = {}
    for value in values:
        device, equals, port = value.partition("=")
        if not equals or not device or not port:
            raise click.BadParameter(f"{value!r} is not DEVICE=PORT, such as wrist=/dev/ttyACM0")
        if device in found or port in found.values():
            raise click.BadParameter(f"{value!r}: each device and each port may be named once")
        found[device] = port
    return found


def _milliseconds(_context: click.Context, _option: click.Parameter, value: str) -> float:
    number = value.strip().removesuffix("ms")
    try:
        delay_ms = float(number)
    except ValueError:
        delay_ms = -1.0
    if not 0 <= delay_ms < 1e6:
        raise click.BadParameter(f"{value!r} is not a time in milliseconds, such as 2.5 or 2.5ms")
    return delay_ms


@click.command("run")
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--runs", default=100, show_default=True, type=click.IntRange(min=1), help="Runs of each app.")
@click.option("--input", "inputs", multiple=True, callback=_inputs, metavar="APP=FILE.npy", help="Samples.")
@click.option(
    "--board",
    "boards",
    multiple=True,
    callback=_boards,
    metavar="DEVICE=PORT",
    help="Use real boards: the serial port of a device's console. Repeat for each that senses or interacts.",
)
@click.option("--sequential", is_flag=True, help="One run at a time, the apps in turn.")
@click.option("--loss", default=0.0, type=_SHARE, help="Share of frames that links lose.")
@click.option("--corrupt", default=0.0, type=_SHARE, help="Share of frames that links damage.")
@click.option("--delay", default="0", callback=_milliseconds, metavar="MS", help="Delay that links add.")
@click.option("--seed", default=0, show_default=True, help="Of all faults.")
@click.option("--drop-device", multiple=True, metavar="NAME@FROM[..TO]", help="Without power: chest@2s..5s.")
@click.option("--reset", multiple=True, metavar="NAME@TIME", help="Press the reset button: chest@500ms.")
@click.option("--brown-out", multiple=True, metavar="NAME@TIME", help="Power fails for 50 ms.")
@click.option("--stuck", multiple=True, metavar="NAME@FROM..TO", help="The core stands still.")
@click.option(
    "--key-file", type=click.Path(path_type=Path), help="Keys of secured links (default: ones for emulation)."
)
@click.option("--limit-s", type=FiniteRange(min=0, min_open=True), help="Limit of (virtual) time.")
@click.option("--trace", type=OutputFile(), help="Write a timeline for Chrome or Perfetto.")
@click.option("--json", "as_json", is_flag=True, help="Print the outcome as JSON.")
@click.option("-q", "--quiet", is_flag=True, help="No progress bar.")
def command(
    folder: Path,
    runs: int,
    inputs: dict[str, Path],
    boards: dict[str, str],
    sequential: bool,
    key_file: Path | None,
    limit_s: float | None,
    trace: Path | None,
    as_json: bool,
    quiet: bool,
    **faults: Any,
) -> None:
    """Run the images in FOLDER on emulated devices; exit 0 only if every result is right, bit by bit.

    With faults, runs may be dropped as long as all of them are counted. With --board the images run on boards
    that hold them (synergyc flash), which are fed and checked over their consoles.
    """
    scenario = _scenario(**faults)
    if sequential and scenario.incidents:
        raise click.UsageError("--sequential waits for each run: it does not go with lost devices")
    if boards and (sequential or trace or key_file or scenario != type(scenario)()):
        raise click.UsageError("--board goes only with --runs, --input, --limit-s, --json and --quiet")
    with counted(runs, "results", quiet=quiet) as progress:
        if boards:
            from synergyc.pipeline.boards import BoardOptions, run_on_boards

            outcome = run_on_boards(
                folder, BoardOptions(boards, runs, inputs, limit_s=limit_s), progress=progress
            )
        else:
            from synergyc.pipeline.run import RunOptions, run

            keys = _keys(folder, key_file) if key_file else None
            options = RunOptions(runs, inputs, scenario, sequential, limit_s, trace, keys)
            outcome = run(folder, options, progress=progress)
    if as_json:
        click.echo(json.dumps(_document(outcome), indent=2))
    else:
        from synergyc.report.outcome_tables import outcome_report

        table_console().print(outcome_report(outcome))
    for late in outcome.late:
        click.echo(f"note: {late}; ask for more --runs, or name an earlier time", err=True)
    if not outcome.ok:
        raise SystemExit(1)


def _keys(folder: Path, key_file: Path) -> dict[str, bytes]:
    from synergyc.firmware.keys import read_keys
    from synergyc.manifest import read_manifest, secured_pairs

    return read_keys(key_file, [pair.key for pair in secured_pairs(read_manifest(folder))])


def _scenario(loss: float, corrupt: float, delay: float, seed: int, **incidents: tuple[str, ...]) -> Scenario:
    from synergyc.pipeline.scenario import Incident, IncidentKind, Scenario, parse_incident

    if loss + corrupt >= 1:
        raise click.UsageError("--loss and --corrupt together must be below 1")
    kinds: dict[str, IncidentKind] = {
        "drop_device": "drop",
        "reset": "reset",
        "brown_out": "brown-out",
        "stuck": "stuck",
    }
    found: list[Incident] = []
    for option, kind in kinds.items():
        for text in incidents[option]:
            try:
                found.append(parse_incident(kind, text))
            except ValueError as error:
                raise click.BadParameter(str(error), param_hint=f"--{option.replace('_', '-')}") from error
    return Scenario(loss, corrupt, delay, seed, tuple(found))


def _execution(outcome: RunOutcome) -> str:
    if outcome.on_boards:
        return "boards"
    return "sequential" if outcome.sequential else "parallel"


def _document(outcome: RunOutcome) -> dict[str, object]:
    return {
        "ok": outcome.ok,
        "execution": _execution(outcome),
        "apps": {app.name: _app(app) for app in outcome.apps},
        "predicted": {
            app.name: {
                "throughput_hz": app.predicted_throughput_hz,
                "latency_ms": app.predicted_latency_ms,
                "energy_uj": app.predicted_energy_uj,
            }
            for app in outcome.apps
        },
        "bound_hz": outcome.bound_hz,
        "energy_uj": outcome.energy_uj,
        "units": {device.name: _units(device) for device in outcome.devices},
        "devices": {device.name: _device(device) for device in outcome.devices},
        "changes": [asdict(change) for change in outcome.changes],
        "phases": [asdict(phase) for phase in outcome.phases],
        "late": list(outcome.late),
        "elapsed_s" if outcome.on_boards else "virtual_s": outcome.virtual_s,
    }


def _app(app: AppOutcome) -> dict[str, object]:
    latency = app.latency
    return {
        "sent": app.sent,
        "right": app.right,
        "wrong": app.wrong,
        "dropped": app.dropped,
        "throughput_hz": app.throughput_hz,
        "latency_ms": {
            "p50": latency.p50_ms if latency else None,
            "p95": latency.p95_ms if latency else None,
            "max": latency.max_ms if latency else None,
            "mean": latency.mean_ms if latency else None,
        },
        "accuracy": app.accuracy,
        "first_difference": asdict(app.first_difference) if app.first_difference else None,
    }


def _units(device: DeviceOutcome) -> dict[str, object]:
    return {
        unit.unit: {
            "busy": unit.busy,
            "predicted_us": unit.predicted_us,
            "emulated_us": unit.emulated_us,
            "predicted_cycles": unit.predicted_cycles,
            "emulated_cycles": unit.emulated_cycles,
        }
        for unit in device.units
    }


def _device(device: DeviceOutcome) -> dict[str, object]:
    return {
        "sent_frames": device.sent_frames,
        "resent_frames": device.resent_frames,
        "dropped_tensors": device.dropped_tensors,
        "lost_peers": device.lost_peers,
        "refused_frames": device.refused_frames,
        "boots": device.boots,
        "stack_bytes": device.stack_bytes,
        "ram_bytes": device.ram_bytes,
        "energy_uj": device.energy_uj,
        "swap": asdict(device.swap) if device.swap else None,
    }
