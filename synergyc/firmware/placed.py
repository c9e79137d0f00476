"""What the images write and copy for each run of their segments, for the schedule."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from synergyc.firmware.cnn_tables import WriteRow
from synergyc.firmware.segment_view import WHOLE_WORD, RegionRow, input_rows, output_rows, phases
from synergyc.firmware.spec import FirmwareSpec, Infer
from synergyc.plan.placed import Moves, Placed, Writes
from synergyc.plan.types import Plan
from synergyc.targets import Cnn


def placed_segments(plan: Plan, specs: Iterable[FirmwareSpec]) -> dict[str, Placed]:
    """Return what the segments of ``plan``, the chosen one, move and write, by segment name."""
    return {
        segment.name: _placed(infer, spec.chip.cnn)
        for spec in specs
        for segment, infer in zip(plan.segments_on(spec.device), spec.infers, strict=True)
    }


def _placed(infer: Infer, cnn: Cnn) -> Placed:
    rows = {phase.name: _writes(phase.rows) for phase in phases(infer, cnn)}
    return Placed(
        load=_moves(input_rows(infer), infer.program.fifo_ports == ()),
        unload=_moves(output_rows(infer), False),
        switch=rows["select"],
        start=rows["start"],
        weight_words=infer.program.load_words,
    )


def _moves(rows: Sequence[RegionRow], may_merge: bool) -> Moves:
    """Return the moves of regions; those of inputs that do not hold whole words are merged."""
    merged = [row.words for row in rows if may_merge and row.mask != WHOLE_WORD]
    return Moves.of([row.words for row in rows if not may_merge or row.mask == WHOLE_WORD], merged)


def _writes(rows: Sequence[WriteRow]) -> Writes:
    return Writes(len(rows), sum(row.more + 1 for row in rows))
