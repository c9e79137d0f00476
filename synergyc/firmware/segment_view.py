"""A synthesis engine's program as tables of constants, ready for the template ``segment.c.j2``."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from synergyc.diagnostics import fail
from synergyc.firmware.cnn_tables import Weights, WriteRow, single_writes, weight_rows, write_rows
from synergyc.firmware.spec import Infer, Placed
from synergyc.synth.program import LayerSummary, Step, WaitBits, Write
from synergyc.targets import Cnn

WHOLE_WORD = 0xFFFFFFFF
_MOST_STEP = 0xFFFF
"""templates/firmware/cnn.h, ``cnn_region_t``."""
_VALUES_PER_ROW = {4: 8, 1: 16}


@dataclass(frozen=True)
class StepRow:
    """``mask`` 0: store ``value``; else wait until the bits of ``mask`` read as ``value``."""

    address: int
    mask: int
    value: int
    comment: str


@dataclass(frozen=True)
class Phase:
    """Writes that are done in a row; ``name`` is the member of ``cnn_segment_t``."""

    name: str
    comment: str
    rows: tuple[WriteRow, ...]


@dataclass(frozen=True)
class BiasRow:
    """``count`` values from index ``first`` of the table go to ascending addresses."""

    address: int
    first: int
    count: int
    comment: str


@dataclass(frozen=True)
class RegionRow:
    """Words of data memory that belong to a tensor, and the first of them in the queue's stream.

    Each is ``step`` words behind the one before, of consecutive ones 1.
    """

    address: int
    first: int
    words: int
    mask: int
    comment: str
    step: int = 1


@dataclass(frozen=True)
class FifoRow:
    """A FIFO and which words of the input's stream it takes, after the start."""

    data_address: int
    status_address: int
    full_mask: int
    first: int
    words: int


@dataclass(frozen=True)
class SegmentView:
    """What ``segment.c.j2`` shows."""

    name: str
    c_name: str
    engine: str
    chip: str
    layers: tuple[LayerSummary, ...]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    quadrant_mask: int
    init: tuple[StepRow, ...]
    phases: tuple[Phase, ...]
    weights: Weights
    biases: tuple[BiasRow, ...]
    bias_values: tuple[int, ...]
    input_regions: tuple[RegionRow, ...]
    output_regions: tuple[RegionRow, ...]
    fifos: tuple[FifoRow, ...]
    done: tuple[tuple[int, int], ...]


def segment_view(infer: Infer, c_name: str, cnn: Cnn) -> SegmentView:
    """Return the tables of a segment's program; tensors come in the order in which they travel."""
    program = infer.program
    return SegmentView(
        name=program.name,
        c_name=c_name,
        engine=program.engine,
        chip=program.chip,
        layers=program.layers,
        inputs=tuple(str(placed.layout.tensor) for placed in infer.inputs),
        outputs=tuple(str(placed.layout.tensor) for placed in infer.outputs),
        quadrant_mask=sum(1 << quadrant for quadrant in program.quadrants),
        init=tuple(_steps(program.init)),
        phases=tuple(phases(infer, cnn)),
        weights=weight_rows(program.weights, cnn),
        biases=tuple(_biases(program.bias)),
        bias_values=_bias_values(program.bias),
        input_regions=() if program.fifo_ports else input_rows(infer),
        output_regions=output_rows(infer),
        fifos=tuple(_fifos(infer)),
        done=program.done,
    )


def _steps(steps: Iterable[Step]) -> Iterator[StepRow]:
    for step in steps:
        if isinstance(step, WaitBits):
            yield StepRow(step.address, step.mask, step.value, step.comment or "wait")
            continue
        for write in single_writes("init", (step,)):
            yield StepRow(write.address, 0, write.words[0], write.comment)


def phases(infer: Infer, cnn: Cnn) -> Iterator[Phase]:
    """Yield the phases of which each step is a write.

    What the selection of a segment writes is not written at boot: nothing is loaded or runs before it.
    """
    select = list(single_writes("select", infer.select))
    selected = {write.address for write in select}
    configure = single_writes("configure", infer.program.configure)
    once = [write for write in configure if write.address not in selected]
    start = list(single_writes("start", infer.program.start))
    yield Phase("configure", "Layer registers", write_rows(once, cnn))
    yield Phase("start", "Start of an inference", write_rows(start, cnn))
    yield Phase("select", "After a run of another segment", write_rows(select, cnn))


def hex_rows(values: Sequence[int], size_bytes: int = 4) -> str:
    """Return C constants of ``size_bytes`` each, some to a line, indented."""
    per_row = _VALUES_PER_ROW[size_bytes]
    texts = [f"0x{value:0{2 * size_bytes}x}{'u' if size_bytes == 4 else ''}," for value in values]
    rows = (texts[i : i + per_row] for i in range(0, len(texts), per_row))
    return "\n".join("    " + " ".join(row) for row in rows)


def _biases(writes: Iterable[Write]) -> Iterator[BiasRow]:
    first = 0
    for write in writes:
        yield BiasRow(write.address, first, len(write.words), write.comment)
        first += len(write.words)


def _bias_values(writes: Iterable[Write]) -> tuple[int, ...]:
    values = tuple(value for write in writes for value in write.words)
    if any(not 0 <= value < 1 << 8 for value in values):
        raise ValueError("bias values must fit a byte")
    return values


def _fifos(infer: Infer) -> Iterator[FifoRow]:
    """Yield the FIFOs of a segment; all take equally many words.

    Raises SynergyError (``fifo-input``) if a part of the input belongs to no FIFO.
    """
    ports = {port.memory_address: port for port in infer.program.fifo_ports}
    if not ports:
        return
    lengths = set()
    for row in _regions(infer.inputs):
        if row.address not in ports:
            raise fail("fifo-input", f"input of {infer.program.name}: no FIFO leads to {row.address:#010x}")
        port = ports[row.address]
        yield FifoRow(port.data_address, port.status_address, port.full_mask, row.first, row.words)
        lengths.add(row.words)
    if len(lengths) != 1:
        raise fail("fifo-input", f"input of {infer.program.name}: its FIFOs must take equally many words")


def input_rows(infer: Infer) -> tuple[RegionRow, ...]:
    """Return where the words of a segment's input lie, in the order in which they travel."""
    return tuple(_joined(_regions(infer.inputs)))


def output_rows(infer: Infer) -> tuple[RegionRow, ...]:
    """Return where the words of a segment's result lie, in the order in which they travel."""
    return tuple(_masked_regions(infer.outputs))


def _regions(tensors: Sequence[Placed]) -> Iterator[RegionRow]:
    """Yield the regions of a segment's inputs; only words that two of them share need a mask."""
    users = Counter(address for placed in tensors for address in {*_addresses(placed)})
    for placed in tensors:
        first = placed.first_word
        for region in placed.layout.regions:
            shared = any(users[region.address + 4 * index] > 1 for index in range(region.words))
            mask = region.mask if shared else WHOLE_WORD
            yield RegionRow(region.address, first, region.words, mask, placed.layout.tensor.name)
            first += region.words


def _masked_regions(tensors: Iterable[Placed]) -> Iterator[RegionRow]:
    """Yield the regions of outputs, split where the bytes that carry values change: others read as 0."""
    for placed in tensors:
        masks = _word_masks(placed)
        words = zip(_addresses(placed), masks, itertools.count(placed.first_word), strict=False)
        run: RegionRow | None = None
        for address, mask, position in words:
            if run and (address, mask) == (run.address + 4 * run.words, run.mask):
                run = replace(run, words=run.words + 1)
                continue
            if run:
                yield run
            run = RegionRow(address, position, 1, mask, placed.layout.tensor.name)
        if run:
            yield run


def _joined(rows: Iterable[RegionRow]) -> Iterator[RegionRow]:
    """Join rows of one word that are equally far apart, as the words of interleaved operands are."""
    run: RegionRow | None = None
    for row in rows:
        step = 0 if run is None else _step_to(run, row)
        if run and step:
            run = replace(run, words=run.words + 1, step=step)
            continue
        if run:
            yield run
        run = row
    if run:
        yield run


def _step_to(run: RegionRow, row: RegionRow) -> int:
    """Return the step at which ``row`` goes on where ``run`` ends; 0: it does not."""
    if row.words != 1 or (row.first, row.mask) != (run.first + run.words, run.mask):
        return 0
    step = (row.address - run.address) // (4 * run.words)
    is_next = row.address == run.address + 4 * step * run.words
    may_step = run.words == 1 or step == run.step
    return step if is_next and may_step and 0 < step <= _MOST_STEP and row.comment == run.comment else 0


def _word_masks(placed: Placed) -> list[int]:
    """Return, for each word of a tensor, the bytes that carry values."""
    stream = np.zeros(4 * placed.layout.words, dtype=np.uint8)
    elements = np.asarray(placed.layout.elements, dtype=np.int64)
    for byte in range(placed.layout.tensor.width_bits // 8):
        stream[elements + byte] = 0xFF
    return [int(mask) for mask in stream.view("<u4")]


def _addresses(placed: Placed) -> list[int]:
    regions = placed.layout.regions
    return [region.address + 4 * index for region in regions for index in range(region.words)]
