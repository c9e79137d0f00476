"""The page of all rules, docs/rules.md: written from the rules themselves."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from synergyc.ir.graph import Node
from synergyc.ir.network import Layer, Network
from synergyc.legalize.limits import Rule
from synergyc.legalize.rules import LAYER_RULES, NETWORK_RULES, NODE_RULES
from synergyc.targets import Chip, known, load_chip

_HEAD = """\
# Limits of the chips

`synergyc check MODEL --device D` applies these rules before anything is generated, and reports all that are
broken at once: the layer by its name in the model, what is needed against what the chip has, and what to do.
`--json` prints `{"status", "reasons": [{"rule", "layer", "message", "need", "have", "hint"}]}`.

`scripts/rules_page.py` writes this page from `synergyc/legalize/*_rules.py`; a test keeps it up to date.
"""

_PLACEMENT = """\
## Placement

What the rules above let pass is then placed (docs/placement.md), which may still fail. The message says
whether no arrangement exists, or the budget of the search ran out.

| rule | says |
|---|---|
| `data-memory` | tensors that are needed at the same time do not find room side by side |
| `weight-memory` | the layers' weights do not find room: each begins at one slot in all its processors |
| `bias-memory` | the biases do not find room in the quadrants in use |
| `concat-channels` | tensors side by side begin at a memory instance, after a multiple of 4 channels |
| `concat-passes` | tensors joined beyond 64 channels fill one pass each, or are widened or copied to do so |
| `padded-conv1d`, `pool-passes`, `eltwise-pool-last` | as the rules above, on the placed layers |
"""


def rules_page() -> str:
    """Return the page as Markdown."""
    chips = [load_chip(name) for name in known("chips")]
    parts: list[str] = [_HEAD, *_numbers(chips)]
    groups: Sequence[tuple[str, Iterable[Rule[Node] | Rule[Layer] | Rule[Network]]]] = (
        ("Operators of the model", NODE_RULES.values()),
        ("Layers", LAYER_RULES.values()),
        ("The network as a whole", NETWORK_RULES.values()),
    )
    for title, rules in groups:
        parts.append(f"## {title}\n")
        parts += [_section(rule) for rule in rules]
    return "\n".join([*parts, _PLACEMENT])


def _section(rule: Rule[Node] | Rule[Layer] | Rule[Network]) -> str:
    ways = "\n".join(f"- {way}" for way in rule.ways)
    return f"### `{rule.name}`\n\n{rule.statement}\nCounted: {rule.formula}.\n\nWays out:\n\n{ways}\n"


def _numbers(chips: Sequence[Chip]) -> Iterator[str]:
    """Yield the table of numbers that the rules compare with."""
    yield "## Numbers\n"
    yield f"| limit | {' | '.join(chip.part for chip in chips)} |"
    yield f"|---|{'---|' * len(chips)}"
    limits = [chip.cnn.limits.model_dump() for chip in chips]
    memories = [
        {
            "weight slots of 9 bytes in each processor": chip.cnn.weight_slots,
            "bias bytes in each quadrant": chip.cnn.bias_bytes,
            "data bytes in each memory instance": chip.cnn.instance_bytes,
        }
        for chip in chips
    ]
    for table in (limits, memories):
        for name in table[0]:
            values = [row[name] for row in table]
            if not isinstance(values[0], dict):
                yield f"| {name.replace('_', ' ')} | {' | '.join(map(_shown, values))} |"
    features = [", ".join(sorted(chip.cnn.features)) or "none" for chip in chips]
    yield f"| features | {' | '.join(features)} |"
    yield ""


def _shown(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)
