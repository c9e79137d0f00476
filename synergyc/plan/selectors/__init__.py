"""Selectors: ways to choose one candidate for each app. They are found by name through entry points."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from importlib.metadata import entry_points
from typing import cast

from synergyc.diagnostics import did_you_mean, fail
from synergyc.plan.selectors.base import Budget, Selection, Selector

GROUP = "synergyc.selectors"
"""Entry-point group in which other packages register selectors."""

_BASELINES = "synergyc.plan.selectors.baselines"

BUILT_IN: Mapping[str, str] = {
    "exact": "synergyc.plan.selectors.exact:exact",
    "progressive": "synergyc.plan.selectors.progressive:progressive",
    "exhaustive": "synergyc.plan.selectors.exhaustive:exhaustive",
    "MinDev": f"{_BASELINES}:min_dev",
    "MaxDev": f"{_BASELINES}:max_dev",
    "PriMinDev": f"{_BASELINES}:pri_min_dev",
    "PriMaxDev": f"{_BASELINES}:pri_max_dev",
    "IndModel": f"{_BASELINES}:ind_model",
    "JointModel": f"{_BASELINES}:joint_model",
    "IndE2E": f"{_BASELINES}:ind_e2e",
    "Neurosurgeon": f"{_BASELINES}:neurosurgeon",
    "DADS": f"{_BASELINES}:dads",
}
"""Our own, so that a checkout works without being installed; pyproject.toml registers the same."""

BASELINES = ("MinDev", "MaxDev", "PriMinDev", "PriMaxDev", "IndModel", "JointModel", "IndE2E")
"""The seven of the paper, by our reading (docs/selectors.md)."""

__all__ = [
    "BASELINES",
    "BUILT_IN",
    "GROUP",
    "Budget",
    "Selection",
    "Selector",
    "find_selector",
    "known_selectors",
]


def known_selectors() -> tuple[str, ...]:
    """Return the names of all selectors, our own first."""
    return tuple(dict.fromkeys([*BUILT_IN, *(point.name for point in entry_points(group=GROUP))]))


def find_selector(name: str) -> Selector:
    """Return the selector called ``name``; raises SynergyError with the nearest known name."""
    if name in BUILT_IN:
        module, _, attribute = BUILT_IN[name].partition(":")
        return cast(Selector, getattr(import_module(module), attribute))
    for point in entry_points(group=GROUP, name=name):
        return cast(Selector, point.load())
    hint = did_you_mean(name, known_selectors())
    raise fail("unknown-selector", f"selector must be a known one, not {name!r}", hint=hint)
