"""How much of the accelerator's memories a network takes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import zip_longest

import numpy as np

from synergyc.emulate.accelerator import layers
from synergyc.emulate.accelerator.config import LayerConfig
from synergyc.emulate.accelerator.hazards import read_words, written_words
from synergyc.emulate.accelerator.memory import SLOT_BYTES
from synergyc.targets import Cnn

_WORD_BYTES = 4


@dataclass(frozen=True)
class MemoryUse:
    """Bytes of each kind of memory that the layers of a network read or write, in all quadrants together."""

    weight_bytes: int
    bias_bytes: int
    data_bytes: int


def memory_use(cnn: Cnn, configs: Sequence[LayerConfig]) -> MemoryUse:
    """Return what ``configs`` take together; a place that several layers use counts once."""
    slots = max(cnn.weight_slots, cnn.large_weight_slots)
    weights = np.zeros((cnn.processors, slots * SLOT_BYTES), np.bool_)
    bias = np.zeros((cnn.quadrants, cnn.bias_bytes), np.bool_)
    data = np.zeros((cnn.instances, cnn.instance_words), np.bool_)
    for config, consumer in zip_longest(configs, configs[1:]):
        if config.kernel is not None and not config.kernel.unit:
            for span in layers.weight_spans(cnn, config, config.kernel):
                weights[list(config.processors), span.start : span.stop] = True
        for _, quadrant, byte in layers.bias_places(cnn, config):
            bias[quadrant, byte] = True
        for instance, words in read_words(cnn, config).items():
            length = min(len(words), config.ring_words or len(words))
            data[instance, words.start : words.start + length] = True
        if consumer is not None and consumer.ring_words:
            continue  # what this layer writes is the circular buffer that the next one reads
        for instance, words in written_words(cnn, config).items():
            data[instance, words.start : words.stop] = True
    return MemoryUse(int(weights.sum()), int(bias.sum()), _WORD_BYTES * int(data.sum()))
