"""Who is there, by the views that devices tell each other, on any graph of links that come and go.

Truth: which devices a graph joins, and how far, by breadth-first search.
"""

from __future__ import annotations

import ctypes
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from synergyc.firmware.render import render
from tests.compilers import host_compiler
from tests.firmware.samples import fallback_devices

_MOST = 8
_AWAY = 255
_HARNESS = Path(__file__).parent / "host" / "presence.c"


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> ctypes.CDLL:
    """The C code of views on this machine."""
    compiler = host_compiler()
    folder = tmp_path_factory.mktemp("presence")
    for name, text in render(fallback_devices()["wrist"]).items():
        (folder / name).write_text(text, encoding="utf-8")
    flags = ["-std=c11", "-O1", "-shared", "-fPIC", "-Wall", "-Wextra", "-Werror", "-fsanitize=undefined"]
    sources = [str(folder / "presence.c"), str(_HARNESS)]
    command = [compiler, *flags, "-fsanitize-undefined-trap-on-error", f"-I{folder}", *sources]
    subprocess.run([*command, "-o", str(folder / "presence.so")], check=True)
    return ctypes.CDLL(str(folder / "presence.so"))


def _distances(count: int, start: int, edges: set[tuple[int, int]]) -> list[int]:
    """Return the links between ``start`` and each device."""
    found = {start: 0}
    queue = [start]
    for here in queue:
        for there in range(count):
            if there not in found and tuple(sorted((here, there))) in edges:
                found[there] = found[here] + 1
                queue.append(there)
    return [found.get(device, _AWAY) for device in range(count)]


def _set_links(host: ctypes.CDLL, count: int, edges: set[tuple[int, int]]) -> None:
    for own in range(count):
        for peer in range(count):
            host.test_hear(own, peer, tuple(sorted((own, peer))) in edges)


def _round(host: ctypes.CDLL, count: int, order: Sequence[int]) -> None:
    """Let every device look, and tell all others."""
    for own in order:
        host.test_update(own)
        for peer in range(count):
            host.test_beat(own, peer)


_EDGES = st.sets(
    st.tuples(st.integers(0, _MOST - 1), st.integers(0, _MOST - 1))
    .filter(lambda pair: pair[0] != pair[1])
    .map(lambda pair: (min(pair), max(pair))),
    max_size=12,
)


@settings(max_examples=200, deadline=None)
@given(
    count=st.integers(1, _MOST),
    history=st.lists(st.tuples(_EDGES, st.integers(0, 3)), max_size=4),
    edges=_EDGES,
    order=st.permutations(range(_MOST)),
)
def test_all_who_hear_of_each_other_agree(
    host: ctypes.CDLL,
    count: int,
    history: list[tuple[set[tuple[int, int]], int]],
    edges: set[tuple[int, int]],
    order: list[int],
) -> None:
    """However links came and went before, after as many rounds as there are devices all is settled."""
    order = [device for device in order if device < count]
    host.test_open(count)
    for before, rounds in history:
        _set_links(host, count, {pair for pair in before if max(pair) < count})
        for _ in range(rounds):
            _round(host, count, order)
    edges = {pair for pair in edges if max(pair) < count}
    _set_links(host, count, edges)
    for _ in range(count + 1):
        _round(host, count, order)
    for own in range(count):
        expected = _distances(count, own, edges)
        assert [host.test_hops(own, device) for device in range(count)] == expected
        assert host.test_mask(own) == sum(1 << device for device in range(count) if expected[device] != _AWAY)
        assert not host.test_update(own)


def test_a_device_alone_sees_itself(host: ctypes.CDLL) -> None:
    host.test_open(3)
    host.test_update(1)
    assert host.test_mask(1) == 0b010
