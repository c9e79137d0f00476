"""What a switch between programs that are resident on one accelerator writes: registers, never weights.

To bring up several programs: the ``init`` steps of all, then weights and biases of all, then ``configure`` of
all in turn, then for each run the switch to its program (unless it ran last), input and start.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from synergyc.synth.program import Program, Step, Write
from synergyc.targets import Cnn

_STREAM_LAYERS = 8
"""Layers that have streaming registers (section 5.2)."""


def switch_steps(program: Program, others: Sequence[Program], cnn: Cnn) -> tuple[Step, ...]:
    """Return the steps that make ``program`` the one to start, whichever of ``others`` ran before.

    Control registers and layer counts always; of the layer registers only those that another program leaves
    with another value. A register that a program does not write must be 0 for it, as after power-up.
    """
    own = _relevant(program, cnn)
    differing: set[int] = set()
    for other in others:
        left = _relevant(other, cnn)
        differing |= {address for address in own.keys() & left.keys() if own[address] != left[address]}
    written = {write.address for write in _single(program.configure)}
    return (
        *_control(program, cnn),
        *(write for write in _single(program.configure) if write.address in differing),
        *(Write(address, (0,), "not used by this network") for address in sorted(differing - written)),
    )


def _single(steps: Sequence[Step]) -> Iterator[Write]:
    """Yield writes of one word each."""
    for step in steps:
        if isinstance(step, Write):
            for index, word in enumerate(step.words):
                yield Write(step.address + 4 * index, (word,), step.comment)


def _control(program: Program, cnn: Cnn) -> Iterator[Write]:
    """Yield the last control word and the layer count of each quadrant, as the program's init writes them."""
    last = {write.address: write for write in _single(program.init)}
    for name in ("CTL", "LCNT"):
        for quadrant in program.quadrants:
            address = cnn.register_address(quadrant, name)
            yield last.get(address) or Write(address, (0,), f"{name} quadrant {quadrant}")


def _relevant(program: Program, cnn: Cnn) -> dict[int, int]:
    """Return what the program expects in each register of its layers in its quadrants, by address."""
    addresses = {cnn.addresses.fifo}
    numbers = [layer.hardware_layer for layer in program.layers]
    for quadrant in program.quadrants:
        addresses.add(cnn.register_address(quadrant, "IFRM"))
        for layer in range(min(numbers), max(numbers) + 1):
            names = list(cnn.addresses.layer_registers.numbers)
            names += cnn.addresses.stream_registers.numbers if layer < _STREAM_LAYERS else []
            addresses.update(cnn.layer_register_address(quadrant, name, layer) for name in names)
    configured = {write.address: write.words[0] for write in _single(program.configure)}
    return dict.fromkeys(sorted(addresses), 0) | configured
