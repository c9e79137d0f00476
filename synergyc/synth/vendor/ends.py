"""Inputs and outputs of a network as they lie in data memory."""

from __future__ import annotations

from synergyc.diagnostics import fail
from synergyc.ir.network import LayerOp, Tensor
from synergyc.ir.types import Shape
from synergyc.synth.geometry import passes_of
from synergyc.synth.placed import PlacedLayer, PlacedTensor
from synergyc.targets import Cnn

FRACTION_BITS = 7
"""The vendor's numbers are Q7; only descriptions depend on it."""


def input_tensors(
    first: PlacedLayer, sample: tuple[int, int, int], cnn: Cnn
) -> tuple[tuple[PlacedTensor, ...], Shape]:
    """Return the input tensors as the first layer reads them, and the shape of each."""
    operands = first.operands
    if sample[0] % operands:
        raise fail("vendor-sample", f"sample channels must be a multiple of {operands}, not {sample[0]}")
    shape: Shape = (sample[0] // operands, *sample[1:])
    if first.layer.op is LayerOp.CONV1D:
        shape = shape[:2]
    passes, width = passes_of(shape[0], cnn).count, passes_of(shape[0], cnn).width
    if width != first.processors.bit_count():
        raise fail(
            "vendor-sample",
            "the sample's channels must fit the processors of the first layer",
            need=f"{first.processors.bit_count()} processors in {passes} passes",
            have=f"{width} for {shape[0]} channels",
        )
    names = dict.fromkeys(first.layer.inputs)
    tensors = tuple(
        PlacedTensor(
            tensor=Tensor(name, shape, FRACTION_BITS),
            processors=first.processors,
            offset_bytes=first.in_offset_bytes + 4 * index,
            pixel_words=passes * operands,
            pass_words=operands,
            big=first.big,
        )
        for index, name in enumerate(names)
    )
    return tensors, shape


def output_tensor(layer: PlacedLayer, cnn: Cnn) -> PlacedTensor:
    """Return the output of a layer as it lies in memory."""
    output = layer.layer.output
    words = (layer.write_gap + 1) * (cnn.processors_per_instance if layer.layer.wide else 1)
    return PlacedTensor(
        tensor=output,
        processors=layer.output_processors,
        offset_bytes=layer.out_offset_bytes,
        pixel_words=passes_of(output.shape[0], cnn).count * words,
        pass_words=words,
    )
