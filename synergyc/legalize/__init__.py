"""From an integer graph to accelerator layers that a given chip can run."""

from synergyc.legalize.legalize import check_limits, check_together, in_model_terms, legalize
from synergyc.legalize.outline import outline
from synergyc.legalize.rewrite import rewrite

__all__ = ["check_limits", "check_together", "in_model_terms", "legalize", "outline", "rewrite"]
