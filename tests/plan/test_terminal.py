"""The tables that ``synergyc plan`` prints."""

from __future__ import annotations

from io import StringIO

from rich.console import Console

from synergyc.plan.selector import choose
from synergyc.report.terminal import MAX_REJECTED, plan_report, rejected_table
from tests.plan.problems import chain, pair
from tests.plan.test_selector import at_most, everything_fits

NETWORK = chain("n", (3, 8, 16, 4))


def text_of(renderable: object, width: int = 120) -> str:
    console = Console(width=width, record=True, color_system=None, file=StringIO())
    console.print(renderable)
    return console.export_text()


def rows(text: str) -> list[list[str]]:
    return [[cell.strip() for cell in line.split("│")[1:-1]] for line in text.splitlines() if "│" in line]


def test_report() -> None:
    result = choose(pair(), {"a": NETWORK}, at_most(2))
    found = rows(text_of(plan_report(result, explain=True)))
    cycles = result.plan.apps[0].predicted.cycles
    first, second = result.plan.apps[0].segments
    assert found[:5] == [
        ["a", "sense", "wrist", "", "", ""],
        ["a", "infer", "wrist", f"layers 0-{first.last}", f"{cycles['a_s0']:,}", ""],
        [
            "a",
            "hand off",
            "wrist -> chest",
            f"l{first.last}",
            "",
            f"{result.plan.apps[0].hand_offs[0].size_bytes:,}",
        ],
        ["a", "infer", "chest", f"layers {second.first}-2", f"{cycles['a_s1']:,}", ""],
        ["a", "interact", "chest", "", "", ""],
    ]
    assert ["a: wrist | wrist 0-2 | chest", "l2: too many layers", "3 layers", "2 layers"] in found


def test_units_add_up() -> None:
    result = choose(pair(), {"a": NETWORK}, everything_fits)
    text = text_of(plan_report(result, explain=True))
    units = [row for row in rows(text) if len(row) == 6 and row[1] == "all"]
    totals = [float(row[5].replace(",", "")) for row in units]
    assert totals == sorted(totals, reverse=True)
    busiest = result.plan.apps[0].predicted
    assert units[0][0] == busiest.bottleneck
    assert abs(totals[0] - 1e6 / busiest.throughput_hz) < 0.1


def test_many_rejected_plans_are_cut_short() -> None:
    result = choose(pair(), {"a": NETWORK}, at_most(2))
    many = result.rejected * 9
    table = rejected_table(many)
    assert f"({MAX_REJECTED} of {len(many)})" in str(table.title)
    assert table.row_count == MAX_REJECTED
