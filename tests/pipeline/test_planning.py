"""What the planner's check remembers: answers are those of a check without a memory, with fewer questions."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

from synergyc.diagnostics import Diagnostic
from synergyc.ir.network import Network
from synergyc.pipeline.planning import fits, placement_check, remembered
from synergyc.targets import Chip, load_chip
from tests.synth.networks import Spec, network, point

CHIP = load_chip("max78000")


def wide(name: str, seed: int, channels: int) -> Network:
    """Return a network of three layers that share no weights with others."""
    specs = [Spec(channels, bias=False), point(64, bias=False), Spec(channels, bias=False)]
    return network((64, 4, 4), specs, seed=seed, name=name)


def test_what_has_no_room_is_not_asked_about_with_more_layers() -> None:
    one, two, three = (wide(name, seed, 64) for seed, name in enumerate(("one", "two", "three")))
    asked: list[tuple[str, ...]] = []

    def check(networks: Sequence[Network], chip: Chip) -> tuple[Diagnostic, ...]:
        asked.append(tuple(item.name for item in networks))
        return (Diagnostic("weight-memory", "no room"),) if len(networks) > 1 else ()

    ask = remembered(check)
    assert ask([one], CHIP) == ()
    parts = [one.segment(0, 1), two.segment(1, 2)]
    assert ask(parts, CHIP)
    for larger in ([one.segment(0, 2), parts[1]], [two, one], [*parts, three]):
        assert ask(larger, CHIP) == ask(parts, CHIP)
    assert asked == [("one",), ("one_0_1", "two_1_2")]
    ask([one.segment(0, 0), parts[1]], CHIP)  # fewer layers may fit
    ask(parts, load_chip("max78002"))  # another chip may have room
    assert len(asked) == 4


def test_what_does_not_fit_alone_says_nothing_about_longer_segments() -> None:
    net = wide("net", 0, 64)

    def check(networks: Sequence[Network], chip: Chip) -> tuple[Diagnostic, ...]:
        short = len(networks[0].layers) == 1
        return (Diagnostic("data-memory", "input too large for one layer"),) if short else ()

    ask = remembered(check)
    assert ask([net.segment(0, 0)], CHIP)
    assert ask([net.segment(0, 1)], CHIP) == ()


def test_answers_are_those_of_placing_each_set_anew() -> None:
    networks = [wide(f"net{seed}", seed, channels) for seed, channels in enumerate((250, 180, 150, 40))]
    ask = placement_check()
    refused = 0
    for size in (1, 2, 3):
        for several in combinations(networks, size):
            answer = ask(several, CHIP)
            assert bool(answer) == bool(fits(several, CHIP)), [item.name for item in several]
            refused += bool(answer)
    assert 0 < refused < 14
