"""What a sequence of bus writes leaves behind, to compare programs with the vendor tool's traces."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from synergyc.ir.types import Array
from synergyc.synth.program import Step, TensorLayout, Write
from synergyc.targets import Cnn

SLOT_BYTES = 9


@dataclass(frozen=True)
class Access:
    """Stores to ascending addresses; ``content`` is big-endian, ``width`` bytes for each store."""

    width: int
    address: int
    content: bytes

    def values(self) -> list[int]:
        return np.frombuffer(self.content, dtype=f">u{self.width}").tolist()  # type: ignore[no-any-return]


@dataclass(frozen=True)
class Trace:
    """A conformance case's trace: stores by function."""

    functions: dict[str, tuple[Access, ...]]

    def of(self, function: str) -> tuple[Access, ...]:
        return self.functions.get(function, ())


def load_trace(path: Path) -> Trace:
    with gzip.open(path, "rt") as file:
        data: dict[str, Any] = json.load(file)
    return Trace(
        {
            name: tuple(
                Access(int(kind[1:]) // 8, int(address, 16), bytes.fromhex(values))
                for kind, address, values in entries
                if kind.startswith("w")
            )
            for name, entries in data["functions"].items()
        }
    )


def accesses(steps: Iterable[Step]) -> tuple[Access, ...]:
    return tuple(
        Access(step.width_bytes, step.address, np.array(step.words, dtype=f">u{step.width_bytes}").tobytes())
        for step in steps
        if isinstance(step, Write)
    )


def final_state(stores: Iterable[Access]) -> dict[int, int]:
    """Return the last value written to each address."""
    state: dict[int, int] = {}
    for store in stores:
        for index, value in enumerate(store.values()):
            state[store.address + store.width * index] = value
    return state


def weight_memory(stores: Iterable[Access], cnn: Cnn) -> dict[tuple[int, int], bytes]:
    """Return the content of weight slots by (processor, slot), after express or plain writes."""
    memory: dict[tuple[int, int], bytes] = {}
    windows = {cnn.weight_address(processor): processor for processor in range(cnn.processors)}
    first: int | None = None
    for store in stores:
        base = next(
            start for start in windows if start <= store.address < start + cnn.addresses.weights.stride
        )
        processor = windows[base]
        if store.width == 1:  # express mode: the words that follow are a stream of slots
            first = (store.address - base) // 4
        elif first is not None:
            for index in range(len(store.content) // SLOT_BYTES):
                memory[processor, first + index] = store.content[
                    index * SLOT_BYTES : (index + 1) * SLOT_BYTES
                ]
        else:  # plain mode: four words for each slot
            slot = (store.address - base) // 16
            for index in range(len(store.content) // 16):
                memory[processor, slot + index] = store.content[16 * index + 3 : 16 * index + 12]
    return memory


def loaded(layouts: Iterable[TensorLayout], tensors: Iterable[Array]) -> dict[int, int]:
    """Return the words of data memory after 8-bit tensors were loaded."""
    state: dict[int, int] = {}
    for layout, tensor in zip(layouts, tensors, strict=True):
        stream = np.zeros(4 * layout.words, dtype=np.uint8)
        stream[np.array(layout.elements)] = tensor.reshape(-1).astype(np.int8).view(np.uint8)
        words = iter(stream.view("<u4").tolist())
        for region in layout.regions:
            for index in range(region.words):
                address = region.address + 4 * index
                state[address] = state.get(address, 0) | next(words)
    return state


def differences(found: Mapping[Any, Any], wanted: Mapping[Any, Any]) -> list[str]:
    """Return a line for every entry that differs."""
    return [
        f"{_show(key)}: {_show(found.get(key))} instead of {_show(wanted.get(key))}"
        for key in sorted(found.keys() | wanted.keys())
        if found.get(key) != wanted.get(key)
    ]


def _show(value: object) -> str:
    if isinstance(value, int):
        return f"{value:#010x}"
    return value.hex() if isinstance(value, bytes) else str(value)
