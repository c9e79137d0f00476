"""The whole conformance set runs on request: ``pytest -m conformance``. One case per feature always does."""

from __future__ import annotations

from pathlib import Path

import pytest

HERE = Path(__file__).parent


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "conformance: every case of the conformance data")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if "conformance" in config.option.markexpr:
        return
    left_out = [i for i in items if i.get_closest_marker("conformance") and HERE in i.path.parents]
    config.hook.pytest_deselected(items=left_out)
    items[:] = [item for item in items if item not in left_out]
