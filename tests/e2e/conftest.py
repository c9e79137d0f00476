"""The example is built once for all end-to-end tests; tests that change a build work on a copy."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.compilers import require_cross_compiler
from tests.e2e.command import EXAMPLE, fresh_synergyc


@pytest.fixture(scope="session")
def digits_build(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build folder of examples/digits.yaml; do not change it."""
    require_cross_compiler()
    folder = tmp_path_factory.mktemp("digits") / "build"
    result = fresh_synergyc("build", str(EXAMPLE), "-o", str(folder))
    assert result.returncode == 0, result.stderr
    return folder


@pytest.fixture
def digits_copy(digits_build: Path, tmp_path: Path) -> Path:
    """A copy of the build that a test may damage."""
    return Path(shutil.copytree(digits_build, tmp_path / "build"))
