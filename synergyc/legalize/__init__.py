"""From an integer graph to accelerator layers that a given chip can run."""

from synergyc.legalize.legalize import check_limits, legalize

__all__ = ["check_limits", "legalize"]
