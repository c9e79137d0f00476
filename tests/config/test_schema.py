"""Wrong keys and values: the message, the place, and one message for one mistake."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from ruamel.yaml import YAML

from synergyc.config import json_schema
from synergyc.config.schema import AppFile, AppTable, DeviceTable, LinkTable
from tests.config.files import GOOD, changed, loaded, problems, shown

ROOT = Path(__file__).parents[2]
MODEL = '{python: "net.py:Net", weights: net.safetensors, input: [1, 28, 28]}'

MESSAGES = {
    "misspelt top key": (
        changed(("links:", "linsk:")),
        "app.yaml:5:1: error: the file has no key 'linsk' [schema-unknown-key]\n"
        "  hint: did you mean 'links'?",
    ),
    "misspelt required key": (
        changed(("chest: {board:", "chest: {bord:")),
        "app.yaml:4:11: error: devices.chest has no key 'bord' [schema-unknown-key]\n"
        "  hint: did you mean 'board'?",
    ),
    "misspelt key of a model": (
        changed(("weights:", "wieghts:")),
        "app.yaml:10:35: error: apps.digits.model has no key 'wieghts' [schema-unknown-key]\n"
        "  hint: did you mean 'weights'?",
    ),
    "misspelt key of a link": (
        changed(("rate_kbps:", "rate:")),
        "app.yaml:6:45: error: links[0] has no key 'rate' [schema-unknown-key]\n"
        "  hint: did you mean 'rate_kbps'?",
    ),
    "key far from all": (
        changed(("calibrate: calibration.npy", "calibrate: calibration.npy, zzz: 1")),
        "app.yaml:11:44: error: apps.digits.quantize has no key 'zzz' [schema-unknown-key]\n"
        "  hint: known: bits, calibrate, trained",
    ),
    "missing key": (
        changed(("    sense: imu\n", "")),
        "app.yaml:8:3: error: apps.digits must have the key 'sense' [schema-missing-key]",
    ),
    "missing top key": (
        GOOD.removeprefix("synergy: 1\n"),
        "app.yaml:1:1: error: the file must have the key 'synergy' [schema-missing-key]",
    ),
    "other version": (
        changed(("synergy: 1", "synergy: 2")),
        "app.yaml:1:10: error: synergy must be 1, not 2 [schema-value]",
    ),
    "version as truth value": (
        changed(("synergy: 1", "synergy: true")),
        "app.yaml:1:10: error: synergy must be a whole number, not True [schema-value]",
    ),
    "number as text": (
        changed(("rate_kbps: 921.6", 'rate_kbps: "921.6"')),
        "app.yaml:6:56: error: links[0].rate_kbps must be a number, not '921.6' [schema-value]",
    ),
    "zero rate": (
        changed(("rate_kbps: 921.6", "rate_kbps: 0")),
        "app.yaml:6:56: error: links[0].rate_kbps must be more than 0, not 0 [schema-value]",
    ),
    "negative rate": (
        changed(("sense: imu", "sense: {sensor: imu, rate_hz: -10}")),
        "app.yaml:9:35: error: apps.digits.sense.rate_hz must be more than 0, not -10 [schema-value]",
    ),
    "rate without end": (
        changed(("rate_kbps: 921.6", "rate_kbps: .inf")),
        "app.yaml:6:56: error: links[0].rate_kbps must be a finite number, not inf [schema-value]",
    ),
    "name for C": (
        changed(("  digits:", "  my-digits:")),
        "app.yaml:8:3: error: name must be at most 32 letters, digits and underscores, with a letter first,"
        " not 'my-digits' [schema-value]",
    ),
    "long name": (
        changed(("  digits:", f"  {'d' * 33}:")),
        f"app.yaml:8:3: error: name must be at most 32 letters, digits and underscores, with a letter first,"
        f" not '{'d' * 33}' [schema-value]",
    ),
    "list in place of a table": (
        changed(("links:\n  - {between: [wrist, chest], medium: uart, rate_kbps: 921.6}\n", "links: {}\n")),
        "app.yaml:5:8: error: links must be a list, not a table of nothing [schema-value]",
    ),
    "nothing": (
        changed(("links:\n  - {between: [wrist, chest], medium: uart, rate_kbps: 921.6}\n", "links:\n")),
        "app.yaml:6:1: error: links must be a list, not nothing [schema-value]",
    ),
    "no devices": (
        "synergy: 1\ndevices: {}\napps:\n  a: {sense: imu, model: {onnx: a}, interact: led}\n",
        "app.yaml:2:10: error: devices must be a table of at least 1, not 0 [schema-value]",
    ),
    "one end": (
        changed(("[wrist, chest]", "[wrist]")),
        "app.yaml:6:15: error: links[0].between must be a list of at least 2, not 1 [schema-value]",
    ),
    "three ends": (
        changed(("[wrist, chest]", "[wrist, chest, wrist]")),
        "app.yaml:6:15: error: links[0].between must be a list of at most 2, not 3 [schema-value]",
    ),
    "end as text": (
        changed(("[wrist, chest]", "wrist")),
        "app.yaml:6:15: error: links[0].between must be 'all', not 'wrist' [schema-value]",
    ),
    "sense of a wrong type": (
        changed(("sense: imu", "sense: 3")),
        "app.yaml:9:12: error: apps.digits.sense must be a table of keys, not 3 [schema-value]",
    ),
    "model without class": (
        changed(("net.py:Net", "net.py")),
        "app.yaml:10:21: error: apps.digits.model.python must be 'file.py:Class', not 'net.py'"
        " [schema-value]",
    ),
    "model of two forms": (
        changed((MODEL, "{onnx: a.onnx, exported: b.pt2}")),
        "app.yaml:10:12: error: apps.digits.model must be a table with exactly one of python, onnx, exported,"
        " checkpoint, not a table of onnx, exported [schema-value]",
    ),
    "empty shape": (
        changed(("[1, 28, 28]", "[]")),
        "app.yaml:10:68: error: apps.digits.model.input must be a list of at least 1, not 0 [schema-value]",
    ),
    "shape with a zero": (
        changed(("[1, 28, 28]", "[1, 0, 28]")),
        "app.yaml:10:72: error: apps.digits.model.input[1] must be at least 1, not 0 [schema-value]",
    ),
    "weight width": (
        changed(("calibrate: calibration.npy", "calibrate: calibration.npy, bits: 3")),
        "app.yaml:11:50: error: apps.digits.quantize.bits must be 1, 2, 4 or 8, not 3 [schema-value]",
    ),
    "pinned layers": (
        changed(("    labels:", "    pin: {layers: 3-, to: wrist}\n    labels:")),
        "app.yaml:13:19: error: apps.digits.pin.layers must be a layer such as 3 or a range such as 0-3,"
        " not '3-' [schema-value]",
    ),
    "zero devices": (
        changed(("    labels:", "    split: 0\n    labels:")),
        "app.yaml:13:12: error: apps.digits.split must be at least 1, not 0 [schema-value]",
    ),
    "objective": (
        "objective: speed\n" + GOOD,
        "app.yaml:1:12: error: objective must be 'throughput', 'ratio', 'latency', 'energy' "
        "or 'battery', not 'speed'"
        " [schema-value]",
    ),
    "empty file name": (
        changed(("samples: samples.npy", 'samples: ""')),
        "app.yaml:12:14: error: apps.digits.samples must be text that is not empty, not '' [schema-value]",
    ),
}


@pytest.mark.parametrize("case", MESSAGES)
def test_message(tmp_path: Path, case: str) -> None:
    text, expected = MESSAGES[case]
    assert shown(tmp_path, text) == [expected]


def test_all_mistakes_at_once_in_the_order_of_the_file(tmp_path: Path) -> None:
    text = changed(("synergy: 1", "synergy: one"), ("sensors: [ecg]", "sensors: ecg"), ("sense:", "sens:"))
    found = problems(tmp_path, text)
    assert [item.location.line for item in found if item.location] == [1, 4, 9]


@pytest.mark.parametrize("key", [*AppFile.model_fields])
@pytest.mark.parametrize("value", ["x", "[[1]]", "{a: {b: [1]}}", "1.5", "~", "false"])
def test_any_type_for_any_key_gives_a_message_of_our_grammar(tmp_path: Path, key: str, value: str) -> None:
    yaml = YAML(typ="safe")
    document = yaml.load(GOOD)
    document[key] = yaml.load(value)
    text = json.dumps(document)
    found = problems(tmp_path, text)
    assert {item.rule.split("-")[0] for item in found} == {"schema"}
    assert not any("Input" in item.message or "validation" in item.message for item in found)


@pytest.mark.parametrize(
    ("table", "path"),
    [
        (AppFile, ()),
        (DeviceTable, ("devices", "wrist")),
        (LinkTable, ("links", 0)),
        (AppTable, ("apps", "digits")),
    ],
)
def test_any_misspelt_key_finds_its_neighbour(tmp_path: Path, table: Any, path: tuple[Any, ...]) -> None:
    for key in table.model_fields:
        document = YAML(typ="safe").load(GOOD)
        place = document
        for step in path:
            place = place[step]
        place[f"{key}x"] = place.pop(key, 1)
        (found,) = [item for item in problems(tmp_path, json.dumps(document)) if item.hint]
        assert found.hint == f"did you mean {key!r}?"


def test_published_schema_is_current() -> None:
    published = ROOT / "docs" / "app-schema.json"
    assert json.loads(published.read_text()) == json_schema(), (
        "write it again: python -m synergyc.config > docs/app-schema.json"
    )


def test_published_schema_agrees_with_the_loader(tmp_path: Path) -> None:
    validator = jsonschema.Draft202012Validator(json_schema())
    validator.check_schema(json_schema())
    yaml = YAML(typ="safe")
    validator.validate(yaml.load(GOOD))
    for example in (ROOT / "examples").glob("*.yaml"):
        validator.validate(yaml.load(example))
    loaded(tmp_path, GOOD)
    for case, (text, _) in MESSAGES.items():
        assert not validator.is_valid(yaml.load(text)) or case == "rate without end"


def test_short_forms_are_in_the_published_schema() -> None:
    validator = jsonschema.Draft202012Validator(json_schema())
    document = YAML(typ="safe").load(GOOD)
    app = document["apps"]["digits"]
    app |= {
        "interact": "haptic",
        "sense": {"sensor": "imu", "rate_hz": 10},
        "pin": {"layers": 3, "to": "wrist"},
    }
    validator.validate(document)
    app["pin"] = [{"layers": "0-3", "to": "wrist"}]
    validator.validate(document)
