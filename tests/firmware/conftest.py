"""Fixtures of the firmware tests."""

from __future__ import annotations

import shutil

import pytest

from tests.firmware.host_link import HostLink, build_host_link


@pytest.fixture(scope="session")
def host_link(tmp_path_factory: pytest.TempPathFactory) -> HostLink:
    """The C link protocol on this machine."""
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None:
        pytest.skip("needs a C compiler for this machine")
    return build_host_link(tmp_path_factory.mktemp("host_link"), compiler)


@pytest.fixture(scope="session")
def secure_host_link(tmp_path_factory: pytest.TempPathFactory) -> HostLink:
    """The same with the code of secured links."""
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None:
        pytest.skip("needs a C compiler for this machine")
    return build_host_link(tmp_path_factory.mktemp("secure_host_link"), compiler, secure=True)
