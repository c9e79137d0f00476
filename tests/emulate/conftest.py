"""The compiler of small programs, shared by the tests of this folder."""

from __future__ import annotations

import pytest

from tests.emulate.programs import Programs


@pytest.fixture(scope="session")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Programs:
    """Return a compiler whose results last for the session."""
    return Programs(tmp_path_factory.mktemp("programs"))
