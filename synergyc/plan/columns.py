"""Candidates as columns of figures, one row each: what is costed, bounded and searched."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Self

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Indices = npt.NDArray[np.intp]
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Columns:
    """Candidates of one app, n rows, with U units and D devices; times in us, energy in uJ.

    ``busy_us`` (n, U) is what one run takes of each unit, ``energy_uj`` (n, D) of each device above idle,
    ``run_uj`` (n) of all devices together, ``model_us`` the latency without reaching the first and leaving
    the last device, ``mask`` (n) one bit for each device that infers. ``chain`` (n) are numbers in a list of
    chains, ``cuts`` (n, most cuts) the last layer before each cut. Rows that are ``begun`` (n) stand for all
    chains with some begin, by lower bounds, and name no candidate.
    """

    chain: Indices
    cuts: npt.NDArray[np.int32]
    busy_us: Floats
    energy_uj: Floats
    run_uj: Floats
    latency_us: Floats
    model_us: Floats
    size_bytes: Floats
    segments: Floats
    mask: npt.NDArray[np.uint64]
    begun: Mask

    def __len__(self) -> int:
        return len(self.chain)

    def only(self, rows: Indices | Mask) -> Self:
        """Return these rows."""
        return replace(self, **{item.name: getattr(self, item.name)[rows] for item in fields(Columns)})


def joined(parts: Sequence[Columns]) -> dict[str, Any]:
    """Return the rows of all ``parts`` by column; typed as what ``replace`` takes."""
    width = max(part.cuts.shape[1] for part in parts)
    parts = [
        replace(part, cuts=np.pad(part.cuts, ((0, 0), (0, width - part.cuts.shape[1])))) for part in parts
    ]
    return {
        item.name: np.concatenate([getattr(part, item.name) for part in parts]) for item in fields(Columns)
    }
