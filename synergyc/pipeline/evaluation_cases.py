"""What the evaluation asks: workloads, fleets, link rates, and where apps sense and interact."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

from synergyc.plan.problem import Goal, PlanApp, PlanDevice, PlanLink, PlanProblem
from synergyc.targets import Medium, load_chip, load_medium

WORKLOADS: Mapping[str, tuple[str, ...]] = {
    "ConvNet5, ResSimpleNet, UNet": ("convnet5", "ressimplenet", "unet"),
    "KWS, SimpleNet, WideNet": ("kws", "simplenet", "widenet"),
    "EfficientNetV2, MobileNetV2, KWS": ("efficientnetv2", "mobilenetv2", "kws"),
    "all eight": (
        "convnet5",
        "kws",
        "simplenet",
        "ressimplenet",
        "widenet",
        "unet",
        "efficientnetv2",
        "mobilenetv2",
    ),
}

SMALL, LARGE = "max78000", "max78002"

FLEETS: Mapping[str, tuple[str, ...]] = {
    "1 MAX78002": (LARGE,),
    "2 MAX78000": (SMALL, SMALL),
    "1 MAX78000 + 1 MAX78002": (SMALL, LARGE),
    "3 MAX78000": (SMALL, SMALL, SMALL),
    "4 MAX78000": (SMALL, SMALL, SMALL, SMALL),
    "2 MAX78000 + 2 MAX78002": (SMALL, LARGE, SMALL, LARGE),
    "4 MAX78002": (LARGE, LARGE, LARGE, LARGE),
}

RATES_KBYTE_S = (7.0, 19.2, 92.0, 1000.0)
"""From a Wi-Fi module behind a slow UART to a fast serial bus."""

GOALS: tuple[Goal, ...] = ("throughput", "latency", "energy")
"""Each figure is compared between plans that were chosen for it."""

Placement = Literal["neighbour", "same"]

PLACEMENTS: Mapping[Placement, int] = {"neighbour": 1, "same": 0}
"""App i senses on device i and interacts on device i plus this, modulo the number of devices."""

RATES_OF: Mapping[Placement, tuple[float, ...]] = {"neighbour": RATES_KBYTE_S, "same": (92.0,)}
"""Where apps sense and interact on one device plans need no link: one rate shows what that does to ratios."""

_SEND_MW, _RECEIVE_MW = 478.5, 201.3
"""ESP8266 at 3.3 V: 145 mA sending (802.11g), 61 mA receiving (Espressif's datasheet)."""


def make_problem(
    names: Sequence[str],
    chips: Sequence[str],
    rate_kbyte_s: float,
    placement: Placement = "neighbour",
    *,
    swap: bool = False,
) -> PlanProblem:
    """Return one app for each name, as builds plan them; one radio channel joins all.

    ``swap``: plans may load weights in turn.
    """
    count, shift = len(chips), PLACEMENTS[placement]
    devices = tuple(
        PlanDevice(
            f"d{i}",
            load_chip(chip),
            tuple(f"{name}_in" for k, name in enumerate(names) if k % count == i),
            tuple(f"{name}_out" for k, name in enumerate(names) if (k + shift) % count == i),
        )
        for i, chip in enumerate(chips)
    )
    link = PlanLink("all", tuple(device.name for device in devices), _radio(), 8 * rate_kbyte_s)
    apps = tuple(PlanApp(name, f"{name}_in", f"{name}_out", replicas=None) for name in names)
    links = (link,) if count > 1 else ()
    return PlanProblem(devices, links, apps, shared_accelerators=True, weight_swap=swap)


def _radio() -> Medium:
    """Return one half-duplex channel with the UART's framing and CPU costs, and an ESP8266's power."""
    change = {
        "name": "radio",
        "shared": True,
        "full_duplex": False,
        "bits_per_byte": 8,
        "send_mw": _SEND_MW,
        "receive_mw": _RECEIVE_MW,
    }
    return load_medium("uart").model_copy(update=change)
