"""Property tests of this folder: the same examples each time, and no deadline on busy machines."""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("unhurried", deadline=None, derandomize=True, max_examples=50)
settings.load_profile("unhurried")
