"""From an integer graph to accelerator layers that a given chip can run."""

from synergyc.legalize.legalize import check_limits, check_together, legalize
from synergyc.legalize.outline import outline
from synergyc.legalize.rewrite import rewrite

__all__ = ["check_limits", "check_together", "legalize", "outline", "rewrite"]
