"""A program and its known answer as what the templates in ``templates/project`` show."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from synergyc.diagnostics import fail
from synergyc.ir.types import Array
from synergyc.synth.program import FifoPort, Program, Step, TensorLayout, WaitBits, Write
from synergyc.synth.project.image import Image, image_of, value_addresses
from synergyc.targets import Cnn

_SLOT_WORDS = 4
"""Words of a slot outside of express mode; the last one is 0 and commits the slot (section 4.2)."""


@dataclass(frozen=True, eq=False)
class KnownAnswer:
    """Values by tensor name, in the shapes of the program's inputs and outputs."""

    inputs: Mapping[str, Array]
    outputs: Mapping[str, Array]


@dataclass(frozen=True)
class Statement:
    """One C statement: a store, or a wait until the bits of ``mask`` read as ``value``.

    With ``words`` > 1 the store goes to as many ascending words.
    """

    address: int
    value: int
    comment: str
    mask: int | None = None
    words: int = 1


@dataclass(frozen=True)
class Row:
    """A layer register: ``value`` goes to ``offset`` in each quadrant whose bit is set."""

    offset: int
    quadrants: int
    value: int
    name: str


@dataclass(frozen=True)
class Chunk:
    """Words for ascending addresses; ``name``: what the data array is called."""

    name: str
    address: int
    words: tuple[int, ...]
    comment: str = ""


@dataclass(frozen=True)
class Port:
    """A FIFO and the array whose words it takes."""

    fifo: FifoPort
    chunk: Chunk


@dataclass(frozen=True)
class Block:
    """Words of the known answer that have the same mask."""

    address: int
    mask: int
    words: tuple[int, ...]


@dataclass(frozen=True)
class Column:
    """Channels that share a word: ``lanes`` has a bit for each byte (32-bit values: each word) in use."""

    address: int
    channel: int
    lanes: int


@dataclass(frozen=True)
class Gather:
    """A column for the byte gatherer: base of its quadrant, write pointer of layer 0 that it starts at."""

    quadrant: int
    pointer: int
    channel: int
    lanes: int


@dataclass(frozen=True)
class Unload:
    """How an output is read: its columns, and the words from one pixel to the next."""

    name: str
    shape: tuple[int, ...]
    width_bits: int
    pixels: int
    pixel_words: int
    first_word: int
    columns: tuple[Column, ...]

    @property
    def wide(self) -> bool:
        """Whether values have 32 bits."""
        return self.width_bits == 32

    @property
    def gatherable(self) -> bool:
        """Whether the byte gatherer can read it: it takes four neighbouring words at a time."""
        return not self.wide and self.pixel_words == 1 and self.pixels % 4 == 0

    @property
    def words(self) -> int:
        """Words that the values take in the caller's buffer."""
        return -(-math.prod(self.shape) * self.width_bits // 32)


def statements(steps: Sequence[Step]) -> tuple[Statement, ...]:
    """Return one statement for each word that is stored, for each run of equal words, and for each wait."""
    return tuple(_statements(steps))


def _statements(steps: Sequence[Step]) -> Iterator[Statement]:
    for step in steps:
        if isinstance(step, WaitBits):
            yield Statement(step.address, step.value, step.comment, step.mask)
            continue
        if len(set(step.words)) == 1:
            yield Statement(step.address, step.words[0], step.comment, words=len(step.words))
            continue
        for index, word in enumerate(step.words):
            yield Statement(step.address + 4 * index, word, step.comment)


def layer_groups(program: Program, cnn: Cnn) -> list[tuple[str, list[Row]]]:
    """Return the rows of the configuration's table, with a title for each layer's."""
    titles = {layer.hardware_layer: f"{layer.name}: {layer.description}" for layer in program.layers}
    groups: dict[int, dict[tuple[int, int], Row]] = {}
    for statement in statements(program.configure):
        key = _layer_of(statement)
        if key is None:
            continue
        quadrant, offset = divmod(statement.address - cnn.quadrant_base(0), cnn.addresses.quadrant.stride)
        rows = groups.setdefault(key, {})
        row = rows.get((offset, statement.value))
        quadrants = (row.quadrants if row else 0) | 1 << quadrant
        rows[offset, statement.value] = Row(offset, quadrants, statement.value, statement.comment.split()[-1])
    return [
        (f"Layer {key}" + (f", {titles[key]}" if key in titles else ""), list(rows.values()))
        for key, rows in groups.items()
    ]


def other_stores(program: Program) -> tuple[Statement, ...]:
    """Return the statements of the configuration that belong to no layer."""
    return tuple(item for item in statements(program.configure) if _layer_of(item) is None)


def _layer_of(statement: Statement) -> int | None:
    words = statement.comment.split()
    return int(words[1]) if words[:1] == ["layer"] else None


def express(program: Program) -> bool:
    """Tell whether weights are loaded as a stream of bytes."""
    return any(write.width_bytes == 1 for write in program.weights)


def kernels(program: Program) -> list[int]:
    """Return the words of the weight table: address, count, words of each chunk, and 0 at the end.

    Outside of express mode the count is one of slots, of which the table has the first three words.
    """
    table: list[int] = []
    stream = express(program)
    for write in program.weights:
        if write.width_bytes == 1:
            continue
        words = write.words if stream else _without_last(write)
        count = len(words) if stream else len(write.words) // _SLOT_WORDS
        table += [write.address, count, *words]
    return [*table, 0] if table else []


def _without_last(write: Write) -> list[int]:
    return [word for index, word in enumerate(write.words) if index % _SLOT_WORDS != _SLOT_WORDS - 1]


def bias_chunks(program: Program, cnn: Cnn) -> list[Chunk]:
    """Return the bytes of each bias memory."""
    chunks = []
    for write in program.bias:
        quadrant = (write.address - cnn.quadrant_base(0)) // cnn.addresses.quadrant.stride
        chunks.append(Chunk(str(quadrant), write.address, write.words, write.comment))
    return chunks


def input_chunks(program: Program, answer: KnownAnswer, cnn: Cnn) -> list[Chunk]:
    """Return the words of the input, named by the first processor of their data memory instance."""
    image = image_of(program.inputs, answer.inputs)
    found = []
    for first, end in image.runs(same_mask=False):
        address = int(image.addresses[first])
        found.append((str(_processor(address, cnn)), address, _listed(image, first, end)))
    names = [name for name, _, _ in found]
    return [
        Chunk(name if names.count(name) == 1 else f"{name}_{index}", address, words)
        for index, (name, address, words) in enumerate(found)
    ]


def ports(program: Program, chunks: Sequence[Chunk]) -> list[Port]:
    """Return the FIFOs with their words; raises SynergyError for input that no FIFO takes."""
    by_address = {chunk.address: chunk for chunk in chunks}
    found = [
        Port(fifo, by_address[fifo.memory_address])
        for fifo in program.fifo_ports
        if fifo.memory_address in by_address
    ]
    lengths = {len(port.chunk.words) for port in found}
    if program.fifo_ports and (len(found) != len(chunks) or len(lengths) > 1):
        raise fail(
            "fifo-input",
            "the input must lie in the first data memory instance of each quadrant to come through FIFOs",
        )
    return found


def known_blocks(program: Program, answer: KnownAnswer, limit_words: int | None) -> list[Block]:
    """Return the expected words; bytes without values are masked.

    With ``limit_words``, one word more than that, those with the smallest masks first: as the vendor tool.
    """
    image = image_of(program.outputs, answer.outputs)
    image = image.only(image.masks != 0)
    if limit_words is not None:
        order = np.lexsort((image.addresses, image.masks))
        image = image.only(np.isin(np.arange(len(order)), order[: limit_words + 1]))
    return [
        Block(int(image.addresses[first]), int(image.masks[first]), _listed(image, first, end))
        for first, end in image.runs(same_mask=True)
    ]


def unloads(program: Program) -> list[Unload]:
    """Return how each output is read, one behind the other in the caller's buffer."""
    result: list[Unload] = []
    first_word = 0
    for layout in program.outputs:
        result.append(_unload(layout, first_word))
        first_word += result[-1].words
    return result


def _unload(layout: TensorLayout, first_word: int) -> Unload:
    addresses = value_addresses(layout)
    pixels = addresses.shape[1]
    step = int(addresses[0, 1] - addresses[0, 0]) if pixels > 1 else 0
    wide = layout.tensor.width_bits == 32
    lane_bytes = 4 if wide else 1
    columns: list[Column] = []
    for channel, address in enumerate(addresses[:, 0].tolist()):
        last = columns[-1] if columns else None
        if last is not None and last.address <= address < last.address + 4 * lane_bytes:
            lane = (address - last.address) // lane_bytes
            columns[-1] = replace(last, lanes=last.lanes | 1 << lane)
        else:
            base = address if wide else address // 4 * 4
            columns.append(Column(base, channel, 1 << (address - base) // lane_bytes))
    return Unload(
        name=layout.tensor.name,
        shape=layout.tensor.shape,
        width_bits=layout.tensor.width_bits,
        pixels=pixels,
        pixel_words=step // 4,
        first_word=first_word,
        columns=tuple(columns),
    )


def gathers(unload: Unload, cnn: Cnn) -> list[Gather]:
    """Return an output's columns as the byte gatherer takes them, counted inside their quadrants."""
    data, result = cnn.addresses.data, []
    for column in unload.columns:
        quadrant, inside = divmod(column.address - cnn.quadrant_base(0), cnn.addresses.quadrant.stride)
        instance, offset = divmod(inside - data.offset, data.stride)
        pointer = instance * (data.stride // 4) + offset // 4
        result.append(Gather(cnn.quadrant_base(quadrant), pointer, column.channel, column.lanes))
    return result


def gather_registers(cnn: Cnn) -> dict[str, int]:
    """Return the word offsets in a quadrant of the registers that drive the byte gatherer."""
    offsets = {name: cnn.layer_register_address(0, name, 0) for name in ("WPTR", "LCTL2")}
    offsets["MLAT"] = cnn.register_address(0, "MLAT")
    return {name: (address - cnn.quadrant_base(0)) // 4 for name, address in offsets.items()}


def _listed(image: Image, first: int, end: int) -> tuple[int, ...]:
    return tuple(image.words[first:end].tolist())


def _processor(address: int, cnn: Cnn) -> int:
    """Return the first processor of the data memory instance that holds ``address``."""
    stride = cnn.addresses.data.stride
    instance = next(i for i in range(cnn.instances) if 0 <= address - cnn.data_address(i) < stride)
    return instance * cnn.processors_per_instance
