"""From the app file to the planner's question, and all the way to a plan."""

from __future__ import annotations

from pathlib import Path

from synergyc.pipeline.problem import plan_problem
from synergyc.plan.problem import PlanLink
from synergyc.plan.selector import choose
from synergyc.targets import load_medium
from tests.config.files import changed, loaded
from tests.plan.problems import chain
from tests.plan.test_selector import everything_fits


def test_question_of_an_app_file(tmp_path: Path) -> None:
    text = changed(
        ("sense: imu", "sense: {sensor: imu, on: wrist, rate_hz: 10}"),
        ("    samples:", "    split: 2\n    pin: {layers: 0-1, to: wrist}\n    samples:"),
        (", rate_kbps: 921.6", ""),
    )
    problem = plan_problem(loaded(tmp_path, text))
    assert [(item.name, item.chip.name) for item in problem.devices] == [
        ("wrist", "max78000"),
        ("chest", "max78000"),
    ]
    assert problem.device("wrist").sensors == ("imu", "replay")
    assert problem.device("chest").actuators == ("display",)
    assert problem.links == (PlanLink("wrist-chest", ("wrist", "chest"), load_medium("uart"), 921.6),)
    (app,) = problem.apps
    assert (app.sensor, app.sense_on, app.rate_hz) == ("imu", "wrist", 10)
    assert (app.actuator, app.interact_on, app.split) == ("display", "chest", 2)
    (pin,) = app.pins
    assert (pin.first, pin.last, pin.device) == (0, 1, "wrist")
    assert pin.location is not None
    assert (pin.location.line, pin.location.column) == (13, 19)
    assert app.location is not None
    assert app.location.line == 8


def test_plan_of_an_app_file(tmp_path: Path) -> None:
    problem = plan_problem(loaded(tmp_path, changed(("    samples:", "    split: 2\n    samples:"))))
    plan = choose(problem, {"digits": chain("digits", (1, 16, 2, 4))}, everything_fits).plan
    assert str(plan) == (
        "plan (exact, best throughput of 4)\n"
        "  app digits: sense on wrist, interact on chest\n"
        "    digits_s0: layers 0-1 on wrist\n"
        "    digits_s1: layers 2-2 on chest\n"
        "    digits: l1 (256 B) wrist -> chest over wrist-chest\n"
    )
