"""Measurements: run each with ``python -m benchmarks.NAME`` from the repository's root."""
