"""Cross checks: each rule once with a system that breaks it, and with the nearest one that does not."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest

from synergyc.config import (
    App,
    Device,
    ExportedModel,
    Interact,
    Link,
    OnnxModel,
    Pin,
    PythonModel,
    Quantize,
    Sense,
    System,
    check,
    load,
)
from synergyc.config.system import SENSOR_DRIVERS
from synergyc.targets import data_folder
from tests.config.files import GOOD, NAMED, changed, loaded, problems, shown, write

ROOT = Path(__file__).parents[2]
HUB = "  chest: {board: max78000fthr, sensors: [ecg], actuators: [display]}\n"
LINK = "  - {between: [wrist, chest], medium: uart, rate_kbps: 921.6}\n"
LABELS = "    labels: labels.npy\n"

MESSAGES = {
    "unknown board": (
        changed(("chest: {board: max78000fthr", "chest: {board: max7800fthr")),
        "app.yaml:4:18: error: board must be a known one, not 'max7800fthr' [unknown-target]\n"
        "  hint: did you mean 'max78000fthr'?",
    ),
    "unknown medium": (
        changed(("medium: uart", "medium: usrt")),
        "app.yaml:6:39: error: medium must be a known one, not 'usrt' [unknown-target]\n"
        "  hint: did you mean 'uart'?",
    ),
    "unknown sensor": (
        changed(("[ecg]", "[ekg]")),
        "app.yaml:4:42: error: board max78000fthr has no sensor 'ekg' [unknown-sensor]\n"
        "  hint: did you mean 'ecg'?",
    ),
    "unknown actuator": (
        changed(("[haptic]", "[haptics]")),
        "app.yaml:3:68: error: board max78000fthr has no actuator 'haptics' [unknown-actuator]\n"
        "  hint: did you mean 'haptic'?",
    ),
    "sensor twice": (
        changed(("[ecg]", "[ecg, ecg]")),
        "app.yaml:4:47: error: sensor 'ecg' stands twice [duplicate-name]",
    ),
    "names that differ by case": (
        changed((HUB, HUB + HUB.replace("chest", "Chest")), (LINK, LINK + LINK.replace("chest", "Chest"))),
        "app.yaml:5:3: error: device must not be called 'Chest' beside 'chest' [duplicate-name]",
    ),
    "device called all": (
        changed((HUB, HUB + HUB.replace("chest", "all")), (LINK, LINK + LINK.replace("chest", "all"))),
        "app.yaml:5:3: error: device must not be called 'all': that stands for every device [reserved-name]",
    ),
    "unknown end": (
        changed((LINK, LINK + LINK.replace("chest", "cheest"))),
        "app.yaml:7:23: error: no device 'cheest' [unknown-device]\n  hint: did you mean 'chest'?",
    ),
    "link to itself": (
        changed((LINK, LINK + LINK.replace("chest", "wrist"))),
        "app.yaml:7:15: error: link must join two devices, not 'wrist' to itself [link-ends]",
    ),
    "wire for all": (
        changed(("[wrist, chest]", "all")),
        "app.yaml:6:15: error: medium uart joins two devices, not all [link-ends]\n"
        "  hint: between: [one, other]",
    ),
    "link twice": (
        changed((LINK, LINK + LINK.replace("wrist, chest", "chest, wrist"))),
        "app.yaml:7:5: error: links 0 and 1 join the same devices [duplicate-link]",
    ),
    "link faster than a UART": (  # 921,600 baud meant
        changed(("rate_kbps: 921.6", "rate_kbps: 921600")),
        "app.yaml:6:56: error: links[0].rate_kbps must be one that uart can have [link-rate]\n"
        "  need: 921600 kbps  have: 12500.0 kbps, the nearest of device 'wrist'\n"
        "  hint: the rate is in kbps: 921.6 where it is left out",
    ),
    "link between two dividers of a UART": (  # 50 MHz / 17 is 2 % away
        changed(("rate_kbps: 921.6", "rate_kbps: 3000")),
        "app.yaml:6:56: error: links[0].rate_kbps must be one that uart can have [link-rate]\n"
        "  need: 3000 kbps  have: 2941.2 kbps, the nearest of device 'wrist'\n"
        "  hint: the rate is in kbps: 921.6 where it is left out",
    ),
    "link slower than time-outs": (
        changed(("rate_kbps: 921.6", "rate_kbps: 0.3")),
        "app.yaml:6:56: error: links[0].rate_kbps must be one that uart can have [link-rate]\n"
        "  need: 0.3 kbps  have: at least 9.6 kbps\n"
        "  hint: the rate is in kbps: 921.6 where it is left out",
    ),
    "radio faster than its standard": (
        changed(
            (
                "between: [wrist, chest], medium: uart, rate_kbps: 921.6",
                "between: all, medium: esp8266, rate_kbps: 921600",
            )
        ),
        "app.yaml:6:48: error: links[0].rate_kbps must be one that esp8266 can have [link-rate]\n"
        "  need: 921600 kbps  have: at most 11000 kbps\n"
        "  hint: the rate is in kbps: 1000 where it is left out",
    ),
    "sensor that never delivers": (
        changed(("sense: imu", "sense: {sensor: imu, rate_hz: 1e-9}")),
        "app.yaml:9:35: error: apps.digits.sense.rate_hz must be at least 1e-05, not 1e-09 [schema-value]",
    ),
    "goal named twice": (
        changed(("synergy: 1", "synergy: 1\nobjective: [latency, latency]")),
        "app.yaml:2:12: error: objective must name latency once [objective]",
    ),
    "sensor of the board that is not in use": (
        changed(("sense: imu", "sense: camera")),
        "app.yaml:9:12: error: no device has the sensor 'camera' [no-device-with-sensor]\n"
        "  hint: add it to the sensors of 'wrist' or 'chest'",
    ),
    "device without a link": (
        changed((HUB, HUB + HUB.replace("chest", "hub"))),
        "app.yaml:5:3: error: device 'hub' has no link to 'wrist', directly or over others"
        " [disconnected-device]",
    ),
    "no such sensor anywhere": (
        changed(("sense: imu", "sense: sonar")),
        "app.yaml:9:12: error: no device has the sensor 'sonar' [no-device-with-sensor]\n"
        "  hint: known: ecg, imu, replay",
    ),
    "sensor of another device": (
        changed(("sense: imu", "sense: {sensor: imu, on: chest}")),
        "app.yaml:9:30: error: device 'chest' has no sensor 'imu' [no-device-with-sensor]\n"
        "  hint: devices that have it: wrist",
    ),
    "sensor on no device": (
        changed(("sense: imu", "sense: {sensor: imu, on: rist}")),
        "app.yaml:9:30: error: no device 'rist' [unknown-device]\n  hint: did you mean 'wrist'?",
    ),
    "sensor driver that is not there": (
        changed(("sense: imu", "sense: {sensor: imu, driver: i2s}")),
        "app.yaml:9:34: error: a driver 'i2s' for the sensor 'imu' is not on this port"
        " [sensor-driver]\n  hint: driver: replay, host, or a C file of your own (docs/firmware.md)",
    ),
    "sensor that no port has a driver for": (
        changed(("sense: imu", "sense: {sensor: imu, driver: microphone}")),
        "app.yaml:9:34: error: a driver 'microphone' (by I2S) for the sensor 'imu' is not on this port"
        " [sensor-driver]\n  hint: driver: replay, host, or a C file of your own (docs/firmware.md)",
    ),
    "sensor driver's file that is not there": (
        changed(("sense: imu", "sense: {sensor: imu, driver: mine.c}")),
        "app.yaml:9:34: error: driver file 'mine.c' does not exist [missing-file]",
    ),
    "actuator of another device": (
        changed(("on: chest", "on: wrist")),
        "app.yaml:14:39: error: device 'wrist' has no actuator 'display' [no-device-with-actuator]\n"
        "  hint: devices that have it: chest",
    ),
    "forbidden device": (
        changed((LABELS, LABELS + "    forbid: [chets]\n")),
        "app.yaml:14:14: error: no device 'chets' [unknown-device]\n  hint: did you mean 'chest'?",
    ),
    "all devices forbidden": (
        changed((LABELS, LABELS + "    forbid: [chest, wrist]\n")),
        "app.yaml:14:13: error: app 'digits' must not forbid every device [no-device-left]",
    ),
    "pin to no device": (
        changed((LABELS, LABELS + "    pin: [{layers: 0, to: x}]\n")),
        "app.yaml:14:27: error: no device 'x' [unknown-device]\n  hint: known: chest, wrist",
    ),
    "pin backwards": (
        changed((LABELS, LABELS + "    pin: {layers: 3-1, to: chest}\n")),
        "app.yaml:14:19: error: pinned layers must be in ascending order, not 3-1 [pin-range]",
    ),
    "pin to a forbidden device": (
        changed((LABELS, LABELS + "    forbid: [chest]\n    pin: {layers: 0, to: chest}\n")),
        "app.yaml:15:26: error: app 'digits' both pins layers to 'chest' and forbids it [contradictory-pin]",
    ),
    "pins that overlap": (
        changed((LABELS, LABELS + "    pin: [{layers: 0-3, to: chest}, {layers: 3-5, to: wrist}]\n")),
        "app.yaml:14:46: error: layers 3-5 on 'wrist' contradicts layers 0-3 on 'chest' [contradictory-pin]\n"
        "  hint: a device runs one unbroken range of layers",
    ),
    "pins that return": (
        changed(
            (
                LABELS,
                LABELS
                + "    pin: [{layers: 0, to: chest}, {layers: 2, to: wrist}, {layers: 4, to: chest}]\n",
            )
        ),
        "app.yaml:14:68: error: layers 4-4 on 'chest' contradicts layers 0-0 on 'chest' [contradictory-pin]\n"
        "  hint: a device runs one unbroken range of layers",
    ),
    "more parts than devices": (
        changed((LABELS, LABELS + "    split: 3\n")),
        "app.yaml:14:12: error: split must not ask for more devices than there are [split-devices]\n"
        "  need: 3 devices  have: 2 devices (wrist, chest)",
    ),
    "fewer parts than pins": (
        changed(
            (LABELS, LABELS + "    split: 1\n    pin: [{layers: 0, to: chest}, {layers: 1, to: wrist}]\n")
        ),
        "app.yaml:14:12: error: split must leave room for the devices that layers are pinned to: chest, wrist"
        " [contradictory-pin]\n  need: 2 devices  have: 1 devices",
    ),
    "more replicas than devices": (
        changed((LABELS, LABELS + "    replicas: 3\n")),
        "app.yaml:14:15: error: replicas must not be more than the devices [replica-devices]\n"
        "  need: 3 devices  have: 2 devices (wrist, chest)",
    ),
    "replicas of a part": (
        changed((LABELS, LABELS + "    split: 2\n    replicas: 2\n")),
        "app.yaml:15:15: error: a replica runs the whole network, which split shares between 2 devices"
        " [replicas-split]\n  hint: leave out one of them",
    ),
    "replicas of pinned layers": (
        changed((LABELS, LABELS + "    replicas: 2\n    pin: {layers: 0, to: chest}\n")),
        "app.yaml:14:15: error: replicas run all layers on each of several devices, pin wants some on one"
        " device only [replicas-pin]\n  hint: leave out one of them",
    ),
    "nothing to check a build with": (
        changed(("    samples: samples.npy\n", "")),
        "app.yaml:8:3: error: app 'digits' must have the key 'samples': inputs that the build is checked with"
        " [missing-samples]\n  hint: samples: FILE.npy",
    ),
    "float model": (
        changed(("    quantize: {calibrate: calibration.npy}\n", "")),
        "app.yaml:8:3: error: app 'digits' must have the key 'quantize': its model has float weights"
        " [model-without-quantize]\n  hint: quantize: {calibrate: FILE.npy, bits: 8}",
    ),
    "missing weights": (
        changed(("net.safetensors", "other.safetensors")),
        "app.yaml:10:44: error: weights file 'other.safetensors' does not exist [missing-file]",
    ),
    "folder in place of a file": (
        changed(("samples: samples.npy", "samples: .")),
        "app.yaml:12:14: error: samples file '.' is not a file [missing-file]",
    ),
}


@pytest.mark.parametrize("case", MESSAGES)
def test_message(tmp_path: Path, case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    text, expected = MESSAGES[case]
    monkeypatch.chdir(tmp_path)
    assert [
        item.replace(f"{tmp_path}/", "").replace(str(tmp_path), ".") for item in shown(tmp_path, text)
    ] == [expected]


@pytest.mark.parametrize(
    ("form", "missing"),
    [
        ("{onnx: a.onnx}", ["onnx"]),
        ("{exported: a.pt2}", ["exported"]),
        ("{checkpoint: a.pth.tar, network: a.yaml, input: [1, 28, 28]}", ["checkpoint", "network"]),
        ("{checkpoint: a.pth.tar}", ["checkpoint"]),
        ('{python: "package.module:Net", weights: no.pt, input: [1, 28, 28]}', ["weights"]),
    ],
)
def test_files_of_every_form_of_model_must_exist(tmp_path: Path, form: str, missing: list[str]) -> None:
    text = changed(('{python: "net.py:Net", weights: net.safetensors, input: [1, 28, 28]}', form))
    found = problems(tmp_path, text)
    assert [item.rule for item in found] == ["missing-file"] * len(missing)
    assert [item.message.split(" ", 1)[0] for item in found] == missing


def test_a_name_that_is_too_long_for_a_file_is_named(tmp_path: Path) -> None:
    (found,) = problems(tmp_path, changed(("samples: samples.npy", f"samples: {'s' * 5000}")))
    assert (found.rule, found.message[-33:]) == ("missing-file", "cannot be found: File name too long"[-33:])


def test_files_are_found_from_where_a_link_to_the_folder_leads(tmp_path: Path) -> None:
    """As every other program finds them: ``..`` is the folder above the one that the link names."""
    folder = tmp_path / "apps" / "digits"
    folder.mkdir(parents=True)
    samples = tmp_path / "apps" / "samples.npy"
    samples.touch()
    (tmp_path / "linked").symlink_to(folder)
    direct = loaded(folder, changed(("samples.npy", "../samples.npy"))).app("digits").samples
    linked = load(tmp_path / "linked" / "app.yaml").app("digits").samples
    assert direct == samples
    assert linked is not None
    assert linked.samefile(samples)


def test_all_mistakes_at_once(tmp_path: Path) -> None:
    text = changed(
        ("[ecg]", "[ekg]"),
        ("medium: uart", "medium: radio"),
        ("sense: imu", "sense: ecg"),
        ("net.py:", "no.py:"),
    )
    assert [(item.rule, item.location and item.location.line) for item in problems(tmp_path, text)] == [
        ("unknown-sensor", 4),
        ("unknown-target", 6),
        ("no-device-with-sensor", 9),
        ("missing-file", 10),
    ]


def test_more_wires_than_ports(tmp_path: Path) -> None:
    hubs = "".join(f"  {name}: {{board: max78000fthr}}\n" for name in "abc")
    wires = "".join(f"  - {{between: [{name}, wrist], medium: uart}}\n" for name in "abc")
    (found,) = problems(tmp_path, changed((HUB, HUB + hubs), (LINK, LINK + wires)))
    assert found.location is not None
    assert (found.rule, found.location.line) == ("no-free-port", 3)
    assert (found.need, found.have) == ("4 ports", "2 ports (uart2, uart3)")
    moved = wires.replace("[b, wrist]", "[b, a]").replace("[c, wrist]", "[c, b]")
    two = changed((HUB, HUB + hubs), (LINK, LINK + moved))
    assert len(loaded(tmp_path, two).links) == 4


def test_rates_that_no_ports_have_at_once(tmp_path: Path) -> None:
    """Of the feather's ports uart3 has a clock of 7.3728 MHz, which gives no 2000 kbps within 1.3 %."""
    hubs = "  a: {board: max78000fthr}\n  b: {board: max78002evkit}\n"

    def text(first: str, second: str) -> str:
        wires = [
            f"  - {{between: [{name}, wrist], medium: uart, rate_kbps: {rate}}}\n"
            for name, rate in (("a", first), ("b", second))
        ]
        apart = LINK.replace("wrist", "b")
        return changed((HUB, HUB + hubs), (LINK, apart + "".join(wires)))

    (found,) = problems(tmp_path, text("2000", "2000"))
    assert found.location is not None
    assert (found.rule, found.location.line) == ("link-rate", 3)
    assert (found.need, found.have) == ("2000 kbps, 2000 kbps", "uart2: 2000 kbps; uart3: none of them")
    assert len(loaded(tmp_path, text("921.6", "2000")).links) == 3  # in whatever order
    assert len(loaded(tmp_path, text("2000", "921.6")).links) == 3


def system(folder: Path) -> System:
    for name in NAMED:
        (folder / name).touch()
    return System(
        devices=(
            Device("wrist", "max78000fthr", ("imu", "replay"), ("haptic",)),
            Device("chest", "max78000fthr", ("ecg",), ("display",)),
        ),
        links=(Link(("wrist", "chest"), "uart", 921.6),),
        apps=(
            App(
                "digits",
                sense=Sense("imu"),
                model=PythonModel(folder / "net.py", "Net", folder / "net.safetensors", (1, 28, 28)),
                quantize=Quantize(folder / "calibration.npy"),
                samples=folder / "samples.npy",
                labels=folder / "labels.npy",
                interact=Interact("display", on="chest"),
            ),
        ),
    )


def test_the_same_system_in_python(tmp_path: Path) -> None:
    made = system(tmp_path)
    assert check(made) == ()
    assert loaded(tmp_path, GOOD) == made
    assert made.locate("devices", "wrist") is None
    assert made.device("chest").chip.name == "max78000"
    assert made.app("digits").sense.sensor == "imu"


def test_systems_made_in_python_are_checked(tmp_path: Path) -> None:
    made = system(tmp_path)
    (app,) = made.apps
    wrong = replace(
        made,
        devices=(*made.devices, made.devices[0]),
        links=(Link(("wrist", "chest"), "uart", 1.0),),
        objective=("latency", "latency"),
        apps=(
            replace(
                app,
                sense=Sense("imu", rate_hz=1e-9),
                model=ExportedModel(tmp_path / "a.pt2"),
                pin=(Pin(3, 1, "chest"),),
                labels=tmp_path / "none",
            ),
        ),
    )
    assert [item.rule for item in check(wrong)] == [
        "objective",
        "duplicate-name",
        "link-rate",
        "pin-range",
        "schema-value",
        "missing-file",
        "missing-file",
    ]


def test_values_of_systems_made_in_python_are_those_of_app_files(tmp_path: Path) -> None:
    made = system(tmp_path)
    (app,) = made.apps
    wrong = replace(
        made,
        devices=(replace(made.devices[0], name="left wrist", battery_mwh=-1), made.devices[1]),
        links=(Link(("chest",), "uart", math.nan),),  # type: ignore[arg-type]
        objective={"speed": 1.0, "latency": 0.0},
        battery_h=0,
        apps=(
            replace(
                app,
                name="../digits",
                model=OnnxModel(tmp_path / "a.onnx", (0, 28)),
                quantize=Quantize(tmp_path / "calibration.npy", 3),
                pin=(Pin(-1, 1, "chest"),),
                deadline_ms=0,
                split=0,
            ),
        ),
    )
    assert [item.message for item in check(wrong)] == [
        "name must be 'throughput', 'ratio', 'latency', 'energy' or 'battery', not 'speed'",
        "objective.latency must be more than 0, not 0.0",
        "constraints.battery_h must be more than 0, not 0",
        "name must be at most 32 letters, digits and underscores, with a letter first, not 'left wrist'",
        "devices.left wrist.battery_mwh must be more than 0, not -1",
        "links[0].between must be a list of at least 2, not 1",
        "links[0].rate_kbps must be a finite number, not nan",
        "name must be at most 32 letters, digits and underscores, with a letter first, not '../digits'",
        "apps.../digits.model.input[0] must be at least 1, not 0",
        "apps.../digits.quantize.bits must be 1, 2, 4 or 8, not 3",
        "apps.../digits.split must be at least 1, not 0",
        "apps.../digits.pin[0].layers must be a layer such as 3 or a range such as 0-3, not '-1-1'",
        "apps.../digits.deadline_ms must be more than 0, not 0",
    ]
    few = check(System(devices=(), apps=()))
    assert [item.message for item in few] == [
        "devices must be a table of at least 1, not 0",
        "apps must be a table of at least 1, not 0",
    ]


def test_a_path_in_python_is_no_text(tmp_path: Path) -> None:
    made = system(tmp_path)
    (app,) = made.apps
    text = replace(made, apps=(replace(app, labels=str(tmp_path / "labels.npy")),))  # type: ignore[arg-type]
    (found,) = check(text)
    assert found.message.endswith("must be a pathlib.Path")


@pytest.mark.parametrize("name", ["2nd.c", "a-b.c", "host.c", "replay.c", ".c"])
def test_driver_files_need_names_for_c(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("")
    (found,) = problems(tmp_path, changed(("sense: imu", f"sense: {{sensor: imu, driver: {name}}}")))
    assert found.rule == "sensor-driver"
    assert "C symbol" in found.message


def test_a_driver_of_ones_own(tmp_path: Path) -> None:
    (tmp_path / "mine.c").write_text("")
    sense = (
        loaded(tmp_path, changed(("sense: imu", "sense: {sensor: imu, driver: mine.c}"))).app("digits").sense
    )
    assert (sense.driver_file, sense.driver_name) == (tmp_path / "mine.c", "mine")


def test_two_drivers_of_one_name_are_refused(tmp_path: Path) -> None:
    made = system(tmp_path)
    apps = []
    for name in ("one", "two"):
        file = tmp_path / name / "mine.c"
        file.parent.mkdir()
        file.write_text("")
        apps.append(
            replace(made.apps[0], name=name, sense=Sense(made.apps[0].sense.sensor, driver=str(file)))
        )
    found = check(replace(made, apps=tuple(apps)))
    assert [item.rule for item in found] == ["sensor-driver", "sensor-driver"]


def test_every_sensor_driver_has_a_file(tmp_path: Path) -> None:
    files = {path.stem for path in (data_folder("templates") / "firmware").glob("sensor_*.c")}
    assert files == {f"sensor_{driver}" for driver in SENSOR_DRIVERS}
    text = changed(("sense: imu", "sense: {sensor: imu, driver: host}"))
    assert loaded(tmp_path, text).app("digits").sense.driver == "host"


def test_places_of_a_good_file(tmp_path: Path) -> None:
    made = loaded(tmp_path, GOOD)
    place = made.locate("apps", "digits", "model", "python")
    assert place is not None
    assert (place.line, place.column) == (10, 21)
    assert made.locate("apps", "digits", "pin", 0, "layers") == made.locate("apps", "digits")


def test_long_forms(tmp_path: Path) -> None:
    text = changed(
        ("sense: imu", "sense: {sensor: imu, on: wrist, rate_hz: 10}"),
        ("actuators: [display]}", "actuators: [display], battery_mwh: 450}"),
        (LABELS, LABELS + "    pin: [{layers: 0-2, to: wrist}, {layers: 3, to: chest}]\n    split: 2\n"),
        ("input: [1, 28, 28]", "input: [1, 28, 28], args: {width: 16, names: [a, b]}"),
    )
    made = loaded(tmp_path, text)
    (app,) = made.apps
    assert app.sense == Sense("imu", "wrist", 10)
    assert app.pin == (Pin(0, 2, "wrist"), Pin(3, 3, "chest"))
    assert app.split == 2
    assert isinstance(app.model, PythonModel)
    assert app.model.args == {"width": 16, "names": ["a", "b"]}
    assert made.device("chest").battery_mwh == 450


def test_paths_are_relative_to_the_app_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "apps").mkdir()
    write(tmp_path, "")
    path = tmp_path / "apps" / "app.yaml"
    path.write_text(GOOD.replace("net.", "../net."))
    for name in NAMED:
        (tmp_path / "apps" / name).touch()
    monkeypatch.chdir(tmp_path.parent)
    (app,) = load(path).apps
    assert isinstance(app.model, PythonModel)
    assert (app.model.file, app.samples) == (tmp_path / "net.py", tmp_path / "apps" / "samples.npy")


@pytest.mark.parametrize("example", sorted((ROOT / "examples").glob("*.yaml")), ids=lambda path: path.name)
def test_examples_are_right(example: Path) -> None:
    made = load(example)
    assert check(made) == ()


def test_example_of_the_manual(tmp_path: Path) -> None:
    manual = (ROOT / "docs" / "app-file.md").read_text()
    example = manual.split("```yaml\n")[1].split("```")[0]
    for name in ("gesture.py", "gesture.safetensors", "calibration.npy", "test.npy", "labels.npy"):
        (tmp_path / name).touch()
    assert [device.name for device in loaded(tmp_path, example).devices] == ["wrist", "chest", "hub"]
