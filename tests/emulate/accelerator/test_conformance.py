"""The vendor generator's programs leave the vendor generator's answers in data memory.

Truth: the conformance data (bus writes and known answers recorded from ai8x-synthesis). By default one case
for each feature that the data names; all cases with ``-m conformance``.
"""

from __future__ import annotations

import pytest

from synergyc.emulate.accelerator import NotModelled
from tests.emulate.accelerator import replay

REFUSED = {
    # The tool stops after layer 1, yet writes zeros over its registers afterwards.
    "t.cifar10-hwc.cifar10-bias.s1.zero-unused.78000": r"ENA of layer 1 .*no processor is enabled",
    "t.cifar10-hwc.cifar10-bias.s1.zero-unused.78002": r"layer 1 in quadrant 0",
}
"""Cases whose result is not known from any description, and the register that says so."""

ALL = [str(case["id"]) for case in replay.index()]


def _one_per_feature() -> list[str]:
    """Return small cases that together have every feature."""
    seen: set[str] = set()
    chosen = []
    for case in sorted(replay.index(), key=lambda case: int(str(case["weight_bytes"]))):
        features = {str(case["device"]), *map(str, case["features"])}  # type: ignore[call-overload]
        if case["id"] not in REFUSED and not features <= seen:
            seen |= features
            chosen.append(str(case["id"]))
    return chosen


def check(name: str) -> None:
    case = replay.load(name)
    assert case.expected
    wrong = replay.wrong_words(case, replay.run(case))
    assert not wrong, f"{len(wrong)} of {len(case.expected)} words, first {wrong[0]}"


@pytest.mark.skipif(not ALL, reason="the conformance data is not here (SYNERGYC_CONFORMANCE_DIR)")
@pytest.mark.parametrize("name", _one_per_feature())
def test_one_case_of_each_feature(name: str) -> None:
    check(name)


@pytest.mark.skipif(not ALL, reason="the conformance data is not here (SYNERGYC_CONFORMANCE_DIR)")
@pytest.mark.parametrize("name", sorted(REFUSED))
def test_what_is_not_known_is_refused(name: str) -> None:
    with pytest.raises(NotModelled, match=REFUSED[name]):
        replay.run(replay.load(name))


@pytest.mark.conformance
@pytest.mark.skipif(not ALL, reason="the conformance data is not here (SYNERGYC_CONFORMANCE_DIR)")
@pytest.mark.parametrize("name", sorted(set(ALL) - set(REFUSED)))
def test_every_case(name: str) -> None:
    check(name)


@pytest.mark.conformance
@pytest.mark.skipif(not ALL, reason="the conformance data is not here (SYNERGYC_CONFORMANCE_DIR)")
def test_the_set_is_whole() -> None:
    assert len(ALL) == 371
    assert set(REFUSED) < set(ALL)
