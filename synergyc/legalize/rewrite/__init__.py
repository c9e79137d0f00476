"""Rewriting a float graph with operators that the accelerator lacks into an equal one without them."""

from synergyc.legalize.rewrite.rewrite import rewrite

__all__ = ["rewrite"]
