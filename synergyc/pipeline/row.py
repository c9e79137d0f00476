"""Devices of one kind in a row, over which commands that take a model may cut it."""

from __future__ import annotations

from itertools import pairwise

from synergyc.config import App, Device, Interact, Link, Sense, System
from synergyc.diagnostics import SynergyError
from synergyc.pipeline.models import PreparedModel
from synergyc.pipeline.planning import choose_plan, fits
from synergyc.pipeline.single import ModelRequest
from synergyc.plan.selector import PlanResult
from synergyc.targets import Board, load_chip

APP = "model"
_DEVICE = "device"
_MEDIUM = "uart"


def row(request: ModelRequest, board: Board) -> System:
    """Return devices in a row: the first replays samples, any may report results on its console."""
    names = [_DEVICE, *(f"{_DEVICE}{number}" for number in range(2, request.devices + 1))]
    app = App(
        name=APP,
        sense=Sense("replay", _DEVICE),
        model=request.source,
        interact=Interact("console", _DEVICE if request.devices == 1 else None),
    )
    devices = tuple(Device(name, board.name, ("replay",), ("console",)) for name in names)
    return System(devices, (app,), tuple(Link(pair, _MEDIUM) for pair in pairwise(names)))


def plan_in_row(system: System, model: PreparedModel, board: Board) -> PlanResult:
    """Return the best plan for one model on a row of devices; raises SynergyError with all reasons."""
    if len(system.devices) == 1:
        problems = fits((model.network,), load_chip(board.chip))
        if problems:
            raise SynergyError(problems)
    return choose_plan(system, [model])
