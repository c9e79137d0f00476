"""Known answers for the self-test of each device at boot, by the integer reference."""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from synergyc import reference
from synergyc.firmware.layout import pack_elements
from synergyc.firmware.spec import FirmwareSpec, Infer, KnownAnswer, Placed
from synergyc.ir.types import Array
from synergyc.pipeline.models import PreparedModel
from synergyc.pipeline.planning import segment_network
from synergyc.plan.types import Plan


def with_known_answers(
    specs: Sequence[FirmwareSpec], models: Mapping[str, PreparedModel], plan: Plan
) -> tuple[FirmwareSpec, ...]:
    """Return ``specs`` with input and CRC of the output for every segment, from each app's first sample."""
    tensors = {app.app: _tensors(models, app.app, plan) for app in plan.apps}
    return tuple(
        replace(spec, infers=tuple(_known(spec, infer, tensors[infer.app]) for infer in spec.infers))
        for spec in specs
    )


def _tensors(models: Mapping[str, PreparedModel], app: str, plan: Plan) -> dict[str, Array]:
    """Return every tensor that crosses between segments for the app's first sample, without a batch axis."""
    network = models[app].network
    values: dict[str, Array] = {network.inputs[0].name: models[app].samples[0]}
    for segment in next(item for item in plan.apps if item.app == app).segments:
        part = segment_network(models, app, segment.first, segment.last)
        batch = {tensor.name: values[tensor.name][np.newaxis] for tensor in part.inputs}
        values |= {name: value[0] for name, value in reference.run(part, batch).items()}
    return values


def _known(spec: FirmwareSpec, infer: Infer, tensors: Mapping[str, Array]) -> Infer:
    given = _stream(infer.inputs, tensors, spec.queue(infer.source).words)
    made = _stream(infer.outputs, tensors, spec.queue(infer.target).words)
    words = tuple(int(word) for word in np.frombuffer(given, dtype="<u4"))
    return replace(infer, known=KnownAnswer(words, zlib.crc32(made)))


def _stream(placed: Sequence[Placed], tensors: Mapping[str, Array], words: int) -> bytes:
    """Return a queue's words with these tensors in it, 0 elsewhere."""
    stream = bytearray(4 * words)
    for item in placed:
        layout = item.layout
        values = tensors[layout.tensor.name].astype(f"<i{layout.tensor.width_bits // 8}")
        packed = pack_elements(np.asarray(layout.elements, dtype=np.int64), 4 * layout.words, values)
        stream[4 * item.first_word : 4 * (item.first_word + layout.words)] = packed
    return bytes(stream)
