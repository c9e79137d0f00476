"""How the input of a network may arrive: HWC, CHW, or streaming through the FIFOs."""

from __future__ import annotations

from synergyc.ir.network import LayerOp, Network
from synergyc.synth.buffers import InputForm
from synergyc.targets import Chip, Cnn


def memory_forms(network: Network, cnn: Cnn) -> tuple[InputForm, ...]:
    """Return the forms of an input that lies in memory: HWC, then CHW where one convolution reads it."""
    if len(network.inputs) != 1:
        return (InputForm(),)
    name = network.inputs[0].name
    readers = [layer for layer in network.layers if name in layer.inputs]
    first = network.layers[0]
    fits = network.inputs[0].shape[0] <= cnn.instances
    plain = first.op is not LayerOp.PASSTHROUGH and len(first.inputs) == 1 and not first.flatten
    if readers == [first] and fits and plain and first.groups == 1 and name not in network.outputs:
        return (InputForm(), InputForm(big=True))
    return (InputForm(),)


def streaming_forms(network: Network, chip: Chip) -> tuple[InputForm, ...]:
    """Return the forms of an input that streams, fewest streaming layers first."""
    return ()
