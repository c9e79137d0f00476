"""Settings that all tests share."""

from __future__ import annotations

from hypothesis import settings

# The same examples on every run, and no deadline: machines that run tests are often busy with others.
settings.register_profile("synergyc", deadline=None, derandomize=True, max_examples=50)
settings.load_profile("synergyc")
