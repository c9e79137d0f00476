"""The paper's own way, as far as it is public: one app after another, the most data-intensive first."""

from __future__ import annotations

from synergyc.plan.instance import Instance
from synergyc.plan.selectors.base import Budget, Selection, one_by_one, plain


def progressive(instance: Instance, budget: Budget) -> Selection:
    """Take the apps in order of data intensity; each adds its best plan to those already chosen."""
    order = sorted(range(len(instance.tables)), key=lambda j: -instance.data_intensity[j])
    return Selection(one_by_one(instance, order, plain))
