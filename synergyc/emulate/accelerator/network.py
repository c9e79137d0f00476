"""A run: the layers in their order, from decoded registers to data memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from synergyc.emulate.accelerator import layers
from synergyc.emulate.accelerator.compute import requantize
from synergyc.emulate.accelerator.config import LayerConfig
from synergyc.emulate.accelerator.memory import Bytes, Memories
from synergyc.targets import Cnn


@dataclass(frozen=True)
class LayerRun:
    """What one hardware layer did: for traces and reports."""

    number: int
    cycles: int
    summary: str
    config: LayerConfig
    _result: layers.Map = field(repr=False, compare=False)

    @property
    def output(self) -> layers.Map:
        """Output as (channels, rows, columns), int8 or int32.

        Channels in the order the hardware makes them: position within a pass, or pass outer and processor
        inner where channels stay with their processors.
        """
        return self._result.transpose(2, 0, 1)


class Kernels:
    """Unpacked weights by layer, kept until a weight memory changes."""

    def __init__(self, cnn: Cnn, memories: Memories) -> None:
        self._cnn = cnn
        self._memories = memories
        self._unpacked: dict[LayerConfig, npt.NDArray[np.float32]] = {}

    def forget(self) -> None:
        """Forget everything: the weights changed."""
        self._unpacked.clear()

    def of(self, config: LayerConfig) -> npt.NDArray[np.float32]:
        """Return the weights of ``config``, see :func:`layers.kernels`."""
        if config.kernel is None:
            raise ValueError("a layer without convolution has no weights")
        found = self._unpacked.get(config)
        if found is None:
            found = layers.kernels(self._cnn, config, config.kernel, self._memories.weights)
            self._unpacked[config] = found
        return found


def compute_layer(
    cnn: Cnn, config: LayerConfig, source: Bytes, memories: Memories, weights: Kernels
) -> layers.Map:
    """Return the output map (rows, columns, channels) of one layer that reads ``source``."""
    kernel = config.kernel
    if kernel is None:
        passed = layers.prepare(config, layers.fetch(cnn, config, source))
        return passed.reshape(*passed.shape[:2], -1)
    if kernel.elements:
        prepared = layers.fetch_flat(cnn, config, kernel, source)
    else:
        prepared = layers.prepare(config, layers.fetch(cnn, config, source))
    total = layers.weigh(config, kernel, prepared, weights.of(config))
    bias = layers.bias_of(cnn, config, memories.bias)
    if config.output.wide:
        return total + 128 * bias
    return requantize(total, bias, config.shift, config.activation)


def unbounded(data: Bytes, words: int) -> Bytes:
    """Return a copy of ``data`` whose instances have at least ``words`` words: a stream's whole content."""
    grown = np.zeros((data.shape[0], max(words, data.shape[1]), data.shape[2]), np.uint8)
    grown[:, : data.shape[1]] = data
    return grown


def wrap(stream: Bytes, data: Bytes, base: int, ring_words: int, used: npt.NDArray[np.bool_]) -> None:
    """Leave in ``data`` what a circular buffer of ``ring_words`` from ``base`` holds after ``stream``.

    ``used`` has the shape of ``stream``: which of its bytes were written, in ascending order.
    """
    for instance, lane in np.argwhere(used.any(axis=1)):
        words = np.flatnonzero(used[instance, :, lane])
        target = base + (words - base) % ring_words
        inside = target < data.shape[1]
        data[instance, target[inside], lane] = stream[instance, words[inside], lane]


class Run:
    """The layers of one inference, one after the other.

    That none overwrites what it reads later is not looked at here (``hazards.check_layer``).
    """

    def __init__(
        self, cnn: Cnn, memories: Memories, kernels: Kernels, configs: Sequence[LayerConfig]
    ) -> None:
        self._cnn = cnn
        self._memories = memories
        self._kernels = kernels
        self._configs = configs
        self._stream: Bytes | None = None
        self._done = 0

    @property
    def left(self) -> Sequence[LayerConfig]:
        """Layers still to do."""
        return self._configs[self._done :]

    @property
    def begun(self) -> bool:
        """Whether the first layer is done."""
        return self._done > 0

    def feed(self, words: dict[int, list[int]]) -> None:
        """Put FIFO words (instance -> words) where the first layer reads them."""
        first = self._configs[0]
        base, ring = first.input.word, first.ring_words
        data = self._memories.data
        longest = base + max(len(column) for column in words.values())
        if not ring and longest > data.shape[1]:
            raise layers.OutOfReach("IFRM", f"a frame up to word {longest} does not fit the instance")
        target = unbounded(data, longest) if ring else data
        used = np.zeros(target.shape, np.bool_)
        for instance, column in words.items():
            lanes = np.array(column, "<u4").view(np.uint8).reshape(-1, 4)
            target[instance, base : base + len(column)] = lanes
            used[instance, base : base + len(column)] = True
        if ring:
            wrap(target, data, base, ring, used)
            self._stream = target

    def step(self) -> layers.Map:
        """Compute the next layer, write its output to data memory, and return it."""
        config = self._configs[self._done]
        source = self._memories.data
        if config.ring_words:
            if self._stream is None:
                raise layers.OutOfReach("FMAX", "reads from a circular buffer that nothing fills")
            source = self._stream
        result = compute_layer(self._cnn, config, source, self._memories, self._kernels)
        self._done += 1
        self._stream = None
        ring = self._configs[self._done].ring_words if self._done < len(self._configs) else 0
        if ring:
            self._store_stream(config, result, self._configs[self._done])
        else:
            layers.store(self._cnn, config, result, self._memories.data)
        return result

    def _store_stream(self, config: LayerConfig, result: layers.Map, consumer: LayerConfig) -> None:
        data = self._memories.data
        stream = unbounded(data, layers.reach(self._cnn, config))
        layers.store(self._cnn, config, result, stream)
        used = np.zeros(stream.shape, np.uint8)
        layers.store(self._cnn, config, np.ones_like(result), used)
        wrap(stream, data, consumer.input.word, consumer.ring_words, used.astype(np.bool_))
        self._stream = stream
