"""Fixtures of the firmware tests."""

from __future__ import annotations

import pytest

from tests.compilers import host_compiler
from tests.firmware.host_link import HostLink, build_host_link


@pytest.fixture(scope="session")
def host_link(tmp_path_factory: pytest.TempPathFactory) -> HostLink:
    """The C link protocol on this machine."""
    return build_host_link(tmp_path_factory.mktemp("host_link"), host_compiler())


@pytest.fixture(scope="session")
def secure_host_link(tmp_path_factory: pytest.TempPathFactory) -> HostLink:
    """The same with the code of secured links."""
    return build_host_link(tmp_path_factory.mktemp("secure_host_link"), host_compiler(), secure=True)
