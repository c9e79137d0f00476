"""What a build's runs must deliver, by the integer reference, and whether a result is that."""

from __future__ import annotations

import io
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from synergyc import reference
from synergyc.diagnostics import fail
from synergyc.firmware.layout import pack_elements
from synergyc.ir import store
from synergyc.ir.graph import Graph
from synergyc.ir.network import Network
from synergyc.ir.tail import TailOp
from synergyc.ir.types import Array
from synergyc.manifest import AppRecord, checked_bytes
from synergyc.pipeline.accuracy import BATCH, STAGES
from synergyc.pipeline.samples import read_samples
from synergyc.reference.tail import finish


@dataclass(frozen=True, eq=False)
class Expected:
    """What an app's runs must deliver: run r replays sample ``r % len(outputs)``.

    ``sensed`` are samples as the sensor delivers them, ``samples`` as the network reads them, int8;
    ``outputs`` (N, *shape) are by the integer reference, tail included;
    ``answers``: the class that each stage gives each of these samples, (N,), by stage; ``elements`` maps
    values to bytes of the result as it is reported (see ``TensorLayout``).
    """

    network: Network
    sensed: npt.NDArray[np.int8]
    samples: npt.NDArray[np.int8]
    outputs: Array
    answers: Mapping[str, npt.NDArray[np.int64]]
    labels: npt.NDArray[np.int64] | None
    elements: npt.NDArray[np.int64]
    result_bytes: int
    own_input: bool
    """Whether the samples are not those in the image."""

    def index(self, run: int) -> int:
        """Return which sample a run replays."""
        return run % len(self.outputs)


def expectation(folder: Path, app: AppRecord, runs: int, samples_file: Path | None = None) -> Expected:
    """Return what the first ``runs`` runs of an app must deliver, with samples of its own or of the build.

    Raises SynergyError for damaged files of the build and for samples that do not fit.
    """
    for record in (app.network, app.graph):
        checked_bytes(folder, record)
    network = store.load(folder / app.network.path, Network)
    graph = store.load(folder / app.graph.path, Graph)
    used = min(runs, app.replay_samples)
    labels = None
    if samples_file is None:
        sensed = _array(checked_bytes(folder, app.samples))[:used]
        if app.labels is not None:
            labels = _array(checked_bytes(folder, app.labels))[:used].astype(np.int64)
    else:
        sensed = _own_samples(samples_file, app, graph, used)
    samples = graph.input.prepared(sensed)
    return Expected(
        network=network,
        sensed=sensed,
        samples=samples,
        outputs=finish(network, _reference_outputs(network, samples)),
        answers=_stage_answers(folder, app, labels),
        labels=labels,
        elements=_array(checked_bytes(folder, app.output_elements)).astype(np.int64),
        result_bytes=app.output_bytes,
        own_input=samples_file is not None,
    )


def _reference_outputs(network: Network, samples: npt.NDArray[np.int8]) -> Array:
    """Return the network's single output (N, *shape), int8 or int32, for int8 samples."""
    name = network.inputs[0].name
    batches = [samples[start : start + BATCH] for start in range(0, len(samples), BATCH)]
    return np.concatenate([reference.run(network, {name: batch})[network.outputs[0]] for batch in batches])


def _own_samples(path: Path, app: AppRecord, graph: Graph, used: int) -> npt.NDArray[np.int8]:
    samples = read_samples(path, graph.input)
    if len(samples) > app.replay_samples:
        raise fail(
            "input-samples",
            f"{path} holds more samples than the replay sensor of app {app.name!r} has room for",
            need=f"{len(samples)} samples",
            have=f"{app.replay_samples} samples",
            hint="split the file, or build with more samples",
        )
    return samples[:used]


def is_right(content: str, run: int, expected: Expected) -> tuple[bool, Array | None]:
    """Return whether a result as the console shows it is right, and its values unless it is a digest."""
    wanted = expected.outputs[expected.index(run)]
    if content.startswith("#"):
        return content == f"#{zlib.crc32(packed(wanted, expected)):08x}", None
    values = unpack(bytes.fromhex(content), expected, wanted)
    return values is not None and np.array_equal(values, wanted), values


def answer_of(values: Array, network: Network) -> int:
    """Return the class number in a result of ``network``: where its largest value is, unless it is one."""
    is_number = values.size == 1 and any(item.op is TailOp.ARGMAX for item in network.tail)
    return int(values.reshape(-1)[0]) if is_number else int(np.argmax(values))


def unpack(content: bytes, expected: Expected, like: Array) -> Array | None:
    """Return the tensor that a result line carried, of the type and shape of ``like``; None if too short."""
    if len(content) != expected.result_bytes:
        return None
    stream = np.frombuffer(content, dtype=np.uint8)
    width = like.dtype.itemsize
    flat = np.stack([stream[expected.elements + byte] for byte in range(width)], axis=1)
    return np.ascontiguousarray(flat).view(f"<i{width}").reshape(like.shape)


def packed(values: Array, expected: Expected) -> bytes:
    """Return a result tensor as it is reported; bytes without a value are 0."""
    return pack_elements(expected.elements, expected.result_bytes, values)


def accuracies(expected: Expected, found: Sequence[tuple[int, int]]) -> Mapping[str, float] | None:
    """Return the share of right classes at each stage, and on the devices; None without labels.

    ``found``: sample and class of each result. All stages are counted on the samples of these results.
    """
    if expected.labels is None or not expected.answers or not found:
        return None
    samples, classes = np.array(found).T
    right = expected.labels[samples]
    stages = {stage: float(np.mean(row[samples] == right)) for stage, row in expected.answers.items()}
    return {**stages, "emulated": float(np.mean(classes == right))}


def _stage_answers(
    folder: Path, app: AppRecord, labels: npt.NDArray[np.int64] | None
) -> Mapping[str, npt.NDArray[np.int64]]:
    """Return what each stage that the build compared answered for the replayed samples."""
    if app.accuracy is None or labels is None:
        return {}
    answers = _array(checked_bytes(folder, app.accuracy.answers))[:, : len(labels)]
    return dict(zip(STAGES, answers, strict=True))


def _array(content: bytes) -> Array:
    array: Array = np.load(io.BytesIO(content), allow_pickle=False)
    return array
