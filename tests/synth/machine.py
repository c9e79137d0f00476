"""An emulated accelerator that executes programs step by step, as a microcontroller would."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from synergyc import reference
from synergyc.emulate.accelerator import Accelerator
from synergyc.ir.network import Network
from synergyc.ir.types import Array
from synergyc.synth.native import generate
from synergyc.synth.placed import PlacedNetwork
from synergyc.synth.program import Program, Step, TensorLayout, WaitBits
from synergyc.targets import Chip


class Machine:
    """One chip's accelerator, all quadrants powered."""

    def __init__(self, chip: Chip) -> None:
        self.accelerator = Accelerator(chip.cnn)
        self.accelerator.set_power((1 << chip.cnn.quadrants) - 1)
        self.words_written = 0

    def execute(self, steps: Iterable[Step]) -> None:
        """Do the writes; what is waited for must be there."""
        for step in steps:
            if isinstance(step, WaitBits):
                assert self.accelerator.read(step.address, 4) & step.mask == step.value
                continue
            for index, word in enumerate(step.words):
                self.accelerator.write(step.address + index * step.width_bytes, step.width_bytes, word)
                self.words_written += 1

    def bring_up(self, programs: Sequence[Program]) -> None:
        """Initialize, load and configure, all programs in turn."""
        for program in programs:
            self.execute(program.init)
        for program in programs:
            self.execute(program.weights)
            self.execute(program.bias)
        for program in programs:
            self.execute(program.configure)

    def run(self, program: Program, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """Load, start, wait and unload."""
        streams = [_stream(layout, inputs[layout.tensor.name]) for layout in program.inputs]
        if not program.fifo_ports:
            for layout, stream in zip(program.inputs, streams, strict=True):
                self._load(layout, stream)
        self.execute(program.start)
        if program.fifo_ports:
            self._push(program, streams[0])
        assert self.accelerator.cycles_to_done() is not None
        self.accelerator.finish()
        for address, bits in program.done:
            self.accelerator.write(address, 4, self.accelerator.read(address, 4) & ~bits)
        return {layout.tensor.name: self._unload(layout) for layout in program.outputs}

    def _load(self, layout: TensorLayout, stream: Array) -> None:
        words = iter(stream.view("<u4").tolist())
        for region in layout.regions:
            for index in range(region.words):
                address, kept = region.address + 4 * index, 0
                if region.mask != 0xFFFFFFFF:
                    kept = self.accelerator.read(address, 4) & ~region.mask
                self.accelerator.write(address, 4, next(words) & region.mask | kept)

    def _push(self, program: Program, stream: Array) -> None:
        """Push the words that would lie in memory, a word for each port in turn."""
        words = dict(zip(_addresses(program.inputs[0]), stream.view("<u4").tolist(), strict=True))
        count = len(words) // len(program.fifo_ports)
        for index in range(count):
            for port in program.fifo_ports:
                assert not self.accelerator.read(port.status_address, 4) & port.full_mask
                self.accelerator.write(port.data_address, 4, words[port.memory_address + 4 * index])

    def _unload(self, layout: TensorLayout) -> Array:
        words = [self.accelerator.read(address, 4) for address in _addresses(layout)]
        stream = np.array(words, dtype="<u4").view(np.uint8)
        elements = np.array(layout.elements)
        narrow = layout.tensor.width_bits == 8
        values: Array = stream[elements].view(np.int8) if narrow else stream.view("<i4")[elements // 4]
        return values.reshape(layout.tensor.shape)


def _addresses(layout: TensorLayout) -> list[int]:
    return [region.address + 4 * index for region in layout.regions for index in range(region.words)]


def _stream(layout: TensorLayout, values: Array) -> Array:
    stream = np.zeros(4 * layout.words, dtype=np.uint8)
    stream[np.array(layout.elements)] = values.reshape(-1).astype(np.int8).view(np.uint8)
    return stream


def random_inputs(network: Network, seed: int = 0) -> dict[str, Array]:
    rng = np.random.default_rng(seed)
    return {tensor.name: rng.integers(-128, 128, tensor.shape).astype(np.int8) for tensor in network.inputs}


def wrong_outputs(network: Network, placed: PlacedNetwork, chip: Chip, seed: int = 0) -> list[str]:
    """Run ``placed`` on a fresh accelerator; return the outputs that differ from the reference's."""
    program, machine = generate(placed, chip), Machine(chip)
    machine.bring_up([program])
    inputs = random_inputs(network, seed)
    return differing(machine.run(program, inputs), network, inputs)


def differing(found: Mapping[str, Array], network: Network, inputs: Mapping[str, Array]) -> list[str]:
    """Return the names of the outputs that are not the reference's, bit by bit."""
    batch = {name: values[np.newaxis] for name, values in inputs.items()}
    expected = reference.run(network, batch)
    return [name for name, values in expected.items() if not np.array_equal(found[name], values[0])]
