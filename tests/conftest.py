"""What all tests share: golden files, and the option that writes them anew."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import settings

settings.register_profile("synergyc", deadline=None)  # speed is measured in benchmarks/, not in tests
settings.load_profile("synergyc")

# Small matrix products gain nothing from threads, which wait for each other actively on a busy machine.
# Read when NumPy and PyTorch are imported, so before any test module is.
for _variable in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"):
    os.environ.setdefault(_variable, "1")

Golden = Callable[[str, str], None]


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add ``--update-golden``."""
    parser.addoption(
        "--update-golden", action="store_true", help="write golden files from what the code makes now"
    )


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Golden:
    """Return ``check(name, text)``: compares with the file ``golden/<name>`` beside the test."""
    folder = Path(request.path).parent / "golden"

    def check(name: str, text: str) -> None:
        path = folder / name
        if request.config.getoption("--update-golden"):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        assert path.is_file(), f"no golden file {path}: run pytest --update-golden and look at the result"
        assert text == path.read_text(encoding="utf-8"), "if this is wanted: pytest --update-golden"

    return check
