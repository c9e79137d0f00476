"""Accuracy by stage as text, and where a stage loses some."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Protocol

STAGE_TITLES = {
    "float": "float model",
    "folded": "folded",
    "fake_quantized": "fake-quantized",
    "reference": "integer reference",
    "emulated": "devices",
}


class Difference(Protocol):
    """The first layer whose values differ between two stages; see ``manifest.DifferenceRecord``."""

    @property
    def before(self) -> str:
        """The earlier stage."""

    @property
    def after(self) -> str:
        """The later stage."""

    @property
    def layer(self) -> str:
        """The layer's name in the model."""

    @property
    def error(self) -> float:
        """Rms error of the layer's values."""

    @property
    def answers(self) -> int:
        """How many samples' answers change."""


def accuracy_lines(samples: int, shares: Mapping[str, float], differences: Iterable[Difference]) -> list[str]:
    """Return one line with the share of right answers of each stage, and one for each difference."""
    listed = ", ".join(f"{STAGE_TITLES[stage]} {share:.2%}" for stage, share in shares.items())
    return [
        f"accuracy on {samples} samples: {listed}",
        *(
            f"  {STAGE_TITLES[item.before]} to {STAGE_TITLES[item.after]}: first differs in {item.layer},"
            f" rms error {item.error:.3g}; {item.answers} answers change"
            for item in differences
        ),
    ]
