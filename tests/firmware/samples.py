"""Hand-made programs, plans and devices: enough to render and compile firmware without other stages."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from synergyc.firmware.assign import FallbackPlan, Policy, assign
from synergyc.firmware.spec import FirmwareSpec, PlanCase, Wire
from synergyc.ir.network import Tensor
from synergyc.plan.types import AppPlan, HandOff, Plan, Prediction, Segment
from synergyc.synth.program import LayerSummary, Program, Region, TensorLayout, WaitBits, Write
from synergyc.targets import Board, load_board, load_chip, load_medium

CHANNELS = 4
PIXELS = 6


def layout(name: str, chip: str, offset_bytes: int, instances: int = 1) -> TensorLayout:
    """Return a tensor of 4 channels for each instance and 6 pixels, as HWC words from ``offset_bytes``."""
    cnn = load_chip(chip).cnn
    tensor = Tensor(name, (CHANNELS * instances, 2, PIXELS // 2), 0)
    elements = tuple(
        (channel // CHANNELS) * PIXELS * 4 + pixel * 4 + channel % CHANNELS
        for channel in range(CHANNELS * instances)
        for pixel in range(PIXELS)
    )
    regions = tuple(Region(cnn.data_address(i) + offset_bytes, PIXELS) for i in range(instances))
    return TensorLayout(tensor, regions, elements)


def program(
    name: str, chip: str, source: TensorLayout, target: TensorLayout, *, weight_words: int = 5
) -> Program:
    """Return a program whose addresses are those of ``chip``; what it computes does not matter."""
    cnn = load_chip(chip).cnn
    control = cnn.register_address(0, "CTL")
    return Program(
        name=name,
        chip=chip,
        engine="hand",
        quadrants=(0,),
        layers=(LayerSummary("conv", "conv2d 3x3", 0, 0xF, 0xF),),
        init=(Write(control, (8,), "CTL"), WaitBits(control, 8, 8, "clock runs")),
        weights=(
            Write(cnn.weight_address(0) | 1, (1,), "set address", 1),
            Write(cnn.weight_address(0), tuple(range(weight_words)), "conv"),
        ),
        bias=(Write(cnn.bias_address(0), (1, 255, 3), "conv"),),
        configure=(Write(cnn.layer_register_address(0, "RCNT", 0), (0x10005, 7), "conv: rows"),),
        start=(Write(control, (0x100009,), "run"),),
        done=((control, 0x1001),),
        inputs=(source,),
        outputs=(target,),
    )


def two_devices(
    chip: str = "max78000",
    *,
    rate_kbps: float = 921.6,
    driver: str = "replay",
    driver_text: str | None = None,
    secure: bool = False,
) -> dict[str, FirmwareSpec]:
    """Return the specs of ``chest`` (senses, first segment) and ``wrist`` (second segment, result)."""
    boards: Mapping[str, Board] = {name: load_board(_BOARDS[chip]) for name in ("chest", "wrist")}
    programs = {
        "beat_s0": program("beat_s0", chip, layout("x", chip, 0), layout("mid", chip, 0x400)),
        "beat_s1": program("beat_s1", chip, layout("mid", chip, 0), layout("y", chip, 0x800)),
    }
    samples = np.arange(2 * CHANNELS * PIXELS, dtype=np.int8).reshape(2, CHANNELS, 2, PIXELS // 2)
    wires = (Wire("chest-wrist", ("chest", "wrist"), load_medium("uart"), rate_kbps, secure),)
    policies = {"beat": Policy(driver=driver, driver_text=driver_text)}
    specs = assign(
        two_device_plan(), programs, boards, wires, {"beat": samples}, run_limit=3, policies=policies
    )
    return {spec.device: spec for spec in specs}


def two_device_plan() -> Plan:
    """Return a plan with one app, cut once."""
    app = AppPlan(
        app="beat",
        sense_device="chest",
        interact_device="wrist",
        segments=(Segment("beat", 0, "chest", 0, 0), Segment("beat", 1, "wrist", 1, 1)),
        hand_offs=(HandOff("beat", 0, "chest", "wrist", "chest-wrist", ("mid",), 24),),
        predicted=Prediction(1.0, 1.0, "chest.accelerator", {}),
    )
    return Plan((app,), "throughput", "hand", 1)


def fallback_devices(*, secure: bool = False) -> dict[str, FirmwareSpec]:
    """Return the devices of ``two_devices`` with a second plan: without the wrist the chest does it all."""
    chip = "max78000"
    boards: Mapping[str, Board] = {name: load_board(_BOARDS[chip]) for name in ("chest", "wrist")}
    first = program("beat_s0", chip, layout("x", chip, 0), layout("mid", chip, 0x400))
    last = program("beat_s1", chip, layout("mid", chip, 0), layout("y", chip, 0x800))
    alone = AppPlan(
        app="beat",
        sense_device="chest",
        interact_device="chest",
        segments=tuple(Segment("beat", i, "chest", i, i, residency=1) for i in (0, 1)),
        hand_offs=(),
        predicted=Prediction(1.0, 1.0, "chest.accelerator", {}),
    )
    fallback = FallbackPlan(
        Plan((alone,), "throughput", "hand", 1),
        {name: replace(item, name=f"{name}_plan1") for name, item in (("beat_s0", first), ("beat_s1", last))},
    )
    specs = assign(
        two_device_plan(),
        {"beat_s0": first, "beat_s1": last},
        boards,
        (Wire("chest-wrist", ("chest", "wrist"), load_medium("uart"), 921.6, secure),),
        {"beat": np.arange(2 * CHANNELS * PIXELS, dtype=np.int8).reshape(2, CHANNELS, 2, PIXELS // 2)},
        run_limit=3,
        fallbacks=(fallback,),
        cases=(PlanCase(("chest", "wrist"), 0), PlanCase(("chest",), 1)),
    )
    return {spec.device: spec for spec in specs}


def replicated_programs(chip: str = "max78000") -> dict[str, Program]:
    """Return one network's program for each of two devices."""
    return {
        name: program(name, chip, layout("x", chip, 0), layout("y", chip, 0x400))
        for name in ("beat_s0", "beat_s1")
    }


def replicated_plan() -> Plan:
    """Return a plan with one app: ``wrist`` senses and interacts, ``chest`` and ``belt`` take turns."""
    ways = [
        way
        for name in ("chest", "belt")
        for way in (("wrist", name, f"wrist-{name}", "x"), (name, "wrist", f"wrist-{name}", "y"))
    ]
    app = AppPlan(
        app="beat",
        sense_device="wrist",
        interact_device="wrist",
        segments=(Segment("beat", 0, "chest", 0, 0), Segment("beat", 1, "belt", 0, 0)),
        hand_offs=tuple(HandOff("beat", i, *way[:3], (way[3],), 24) for i, way in enumerate(ways)),
        predicted=Prediction(1.0, 1.0, "chest.accelerator", {}),
        replicated=True,
    )
    return Plan((app,), "throughput", "hand", 1)


def replicated_devices() -> dict[str, FirmwareSpec]:
    """Return the specs of ``wrist``, ``chest`` and ``belt`` under ``replicated_plan``."""
    specs = assign(
        replicated_plan(),
        replicated_programs(),
        {name: load_board("max78000fthr") for name in ("wrist", "chest", "belt")},
        tuple(
            Wire(f"wrist-{name}", ("wrist", name), load_medium("uart"), 921.6) for name in ("chest", "belt")
        ),
        {"beat": np.arange(2 * CHANNELS * PIXELS, dtype=np.int8).reshape(2, CHANNELS, 2, PIXELS // 2)},
        run_limit=3,
    )
    return {spec.device: spec for spec in specs}


_BOARDS = {"max78000": "max78000fthr", "max78002": "max78002evkit"}
