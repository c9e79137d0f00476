"""Known answers for the self-test of each device at boot, by the integer reference."""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from synergyc import reference
from synergyc.firmware.layout import pack_elements
from synergyc.firmware.spec import FirmwareSpec, Infer, KnownAnswer, Placed, PlanTasks
from synergyc.ir.types import Array
from synergyc.pipeline.models import PreparedModel
from synergyc.pipeline.planning import segment_network
from synergyc.plan.types import Plan


def with_known_answers(
    specs: Sequence[FirmwareSpec], models: Mapping[str, PreparedModel], plans: Sequence[Plan]
) -> tuple[FirmwareSpec, ...]:
    """Return ``specs`` with input and CRC of the output for every segment, from each app's first sample.

    ``plans`` are those of the images, the chosen one first.
    """
    tensors = [{app.app: _tensors(models, app.app, plan) for app in plan.apps} for plan in plans]
    found = []
    for spec in specs:
        tasks = [_with_answers(item, tensors[item.number]) for item in spec.plans]
        found.append(replace(spec, infers=tasks[0].infers, fallbacks=tuple(tasks[1:])))
    return tuple(found)


def _with_answers(tasks: PlanTasks, tensors: Mapping[str, Mapping[str, Array]]) -> PlanTasks:
    return replace(tasks, infers=tuple(_known(tasks, infer, tensors[infer.app]) for infer in tasks.infers))


def _tensors(models: Mapping[str, PreparedModel], app: str, plan: Plan) -> dict[str, Array]:
    """Return every tensor that crosses between segments for the app's first sample, without a batch axis."""
    network = models[app].network
    values: dict[str, Array] = {network.inputs[0].name: models[app].samples[0]}
    for segment in next(item for item in plan.apps if item.app == app).segments:
        part = segment_network(models, app, segment.first, segment.last)
        batch = {tensor.name: values[tensor.name][np.newaxis] for tensor in part.inputs}
        values |= {name: value[0] for name, value in reference.run(part, batch).items()}
    return values


def _known(tasks: PlanTasks, infer: Infer, tensors: Mapping[str, Array]) -> Infer:
    given = _stream(infer.inputs, tensors, tasks.queue(infer.source).words)
    made = _stream(infer.outputs, tensors, tasks.queue(infer.target).words)
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
