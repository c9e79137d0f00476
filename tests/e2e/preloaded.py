"""What commands of the test suite have loaded when they begin: imports, and no state of a command.

``torch`` and its exporter take seconds to import and a thousandth of that to inherit.
"""

from __future__ import annotations

from importlib import import_module

from torch import nn

from synergyc.frontend.torch_export import capture

for _stage in ("build", "report", "run", "verify"):
    import_module(f"synergyc.pipeline.{_stage}")
capture(nn.Linear(2, 1), (2,), "first")  # the exporter imports most of itself when it is first used
