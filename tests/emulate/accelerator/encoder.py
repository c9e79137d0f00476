"""A small encoder of one-layer programs, written from docs/accelerator.md 3 to 5.3, for tests only.

It shares no code with the emulator: what it writes is the other side of the same description. Shapes and
numbers in plain Python integers.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from synergyc.emulate.accelerator import Accelerator
from synergyc.targets import Cnn

Integers = npt.NDArray[np.int64]
ELTWISE = {"sub": 0, "add": 1, "or": 2, "xor": 3}
WEIGHT_CODES = {8: 0, 1: 1, 2: 2, 4: 3}
IN_WORD, OUT_WORD = 0, 0x1000


@dataclass(frozen=True)
class Layer:
    """One layer: channels in ``passes`` groups of equally many processors from processor 0 upward."""

    channels: int
    rows: int
    cols: int
    outputs: int = 0
    kernel: tuple[int, int] = (3, 3)
    pad: tuple[int, int] = (0, 0)
    pool: tuple[int, int] = (1, 1)
    stride: int = 1
    average: bool = False
    operands: int = 1
    eltwise: str = ""
    pool_first: bool = True
    passes: int = 1
    bits: int = 8
    shift: int = 0
    activation: str = ""
    wide: bool = False
    transposed: bool = False
    flatten: bool = False
    first_slot: int = 0
    bias: bool = False

    @property
    def passthrough(self) -> bool:
        return self.outputs == 0

    @property
    def processors(self) -> int:
        """Processors in each pass."""
        return -(-self.channels // self.passes)

    @property
    def pooled(self) -> tuple[int, int]:
        return (
            (self.rows - self.pool[0]) // self.stride + 1,
            (self.cols - self.pool[1]) // self.stride + 1,
        )

    @property
    def one_dimensional(self) -> bool:
        return self.kernel[1] == 1 and self.kernel[0] != 1

    @property
    def elements(self) -> int:
        return self.rows * self.cols * self.passes if self.flatten else 0

    @property
    def output_size(self) -> tuple[int, int]:
        if self.flatten:
            return 1, 1
        if self.passthrough:
            return self.pooled
        scale = 2 if self.transposed else 1
        rows, cols = self.pooled
        pad_rows, pad_cols = self.hardware_pad
        return (
            rows * scale + 2 * pad_rows - self.kernel[0] + 1,
            cols * scale + 2 * pad_cols - self.kernel[1] + 1,
        )

    @property
    def hardware_pad(self) -> tuple[int, int]:
        return (2 - self.pad[0], 2 - self.pad[1]) if self.transposed else self.pad


def registers(cnn: Cnn, layer: Layer, quadrant: int) -> dict[str, int]:
    """Return the layer's registers in ``quadrant`` (docs/accelerator.md, 5.3)."""
    second = cnn.generation == "ai87"
    instance = 1 << (15 if second else 13)
    share = _processors(cnn, layer, quadrant)
    used = [g for g in range(cnn.quadrants) if _processors(cnn, layer, g)]
    values = _geometry(layer, second) | {"WPTR": OUT_WORD, "RPTR": IN_WORD}
    if layer.passthrough:
        values |= _passthrough(layer, second, instance)
        values["WPTR"] += quadrant * 4 * instance
        values["ENA"] = (1 << share) - 1
    else:
        values |= _convolution(layer, second, instance)
        values["POST"] |= (layer.bias and quadrant == used[0]) << 12
        values["ENA"] = ((1 << share) - 1) * 0x10001
    if layer.flatten:
        last = layer.elements - 1
        values["LCTL2"] = values["LCTL2"] & ~0xF | last & 0xF
        values["TPTR"] = last << 16 | (2 * last + 1)
        values["POST"] |= 1 << 27 | last >> 4 << 18
    if layer.eltwise:
        values["ONED"] |= 1 << 13 | ELTWISE[layer.eltwise] << 14 | (not layer.passthrough) << 17
        values["ONED"] |= (layer.pool != (1, 1) and layer.pool_first) << 16 | (layer.operands - 1) << 18
    values["LCTL"] = _layer_control(layer, second, used if quadrant == used[0] else [])
    return {name: value for name, value in values.items() if value}


def _passthrough(layer: Layer, second: bool, instance: int) -> dict[str, int]:
    slots = -(-min(layer.processors, 16) // 4)
    return {
        "TOFFS": instance,
        "POST": 1 << 24 | (0 if layer.eltwise else 1 << 25),
        "ONED": slots - 1 | (0 if layer.eltwise else 1 << 8),
        "MCNT2" if second else "MCNT": (layer.passes - 1) * 8,
        "LCTL2": layer.passes - 1,
    }


def _convolution(layer: Layer, second: bool, instance: int) -> dict[str, int]:
    taps = layer.kernel[0] * layer.kernel[1]
    start = 8 * (9 * layer.first_slot // taps)
    count = (layer.elements or layer.passes) * layer.outputs
    last = start + (count - 1) * layer.bits
    length = layer.kernel[0] << 8 | 1 << 12 if layer.one_dimensional else (taps == 1) << 8
    values = {
        "MOFFS": instance,
        "TOFFS": 1 if taps == 1 else 0,
        "POST": abs(layer.shift) << 13 | (layer.shift < 0) << 17 | WEIGHT_CODES[layer.bits] << 22,
        "ONED": (9 * layer.first_slot % taps) << 4 | length,
        "LCTL2": (layer.passes - 1) | (layer.outputs - 1) * layer.bits << (12 if second else 8),
        "TPTR": 0 if layer.kernel[1] == 1 else max(layer.output_size[1], 1) - 1,
    }
    values["POST"] |= layer.transposed << 28 | (layer.activation == "abs") << 26
    if second:
        return values | {"MCNT1": last, "MCNT2": start, "OCHAN": count - 1}
    return values | {"MCNT": start << 16 | last}


def _geometry(layer: Layer, second: bool) -> dict[str, int]:
    scale = 2 if layer.transposed else 1
    rows, cols = (1, 1) if layer.flatten else (layer.rows * scale, layer.cols * scale)
    pad_rows, pad_cols = layer.hardware_pad
    (pool_rows, pool_cols), stride = layer.pool, layer.stride
    values = {"PRCNT": pool_rows - 1, "PCCNT": pool_cols - 1, "STRIDE": stride - 1}
    if not second:
        values["RCNT"] = rows - 1 + 2 * pad_rows | pad_rows << 16
        values["CCNT"] = cols - 1 + 2 * pad_cols | pad_cols << 16
        return values
    last_row = (rows - pool_rows) // stride * stride
    last_col = (cols - pool_cols) // stride * stride
    pitch = layer.operands * layer.passes
    step = (cols - last_col + (stride - 1) * cols) * pitch
    values["RCNT"] = last_row | _pad_field(pad_rows) | step << 16
    values["CCNT"] = last_col | _pad_field(pad_cols) | (cols - last_col) << 16
    values["STRIDE"] |= stride * pitch << 4
    return values


def _pad_field(pad: int) -> int:
    return 0x8000 | (pad - 1) << 13 if pad else 0


def _layer_control(layer: Layer, second: bool, sources: list[int]) -> int:
    pooled = layer.pool != (1, 1)
    value = 0x820 | (layer.activation == "relu") << 9 | (not (pooled and layer.average)) << 8 | pooled << 7
    value |= layer.wide << 16
    if layer.passthrough:
        return value
    value |= sum(1 << (12 + quadrant) for quadrant in sources[1:])
    return value | (layer.kernel[1] - 1) << 18 | (layer.kernel[0] - 1) << 22 if second else value


def _processors(cnn: Cnn, layer: Layer, quadrant: int) -> int:
    per_quadrant = cnn.processors_per_quadrant
    return max(0, min(per_quadrant, layer.processors - quadrant * per_quadrant))


def quadrants(cnn: Cnn, layer: Layer) -> list[int]:
    """Return the quadrants in use; outputs of a convolution may need more than its inputs."""
    needed = max(layer.processors, layer.outputs)
    return list(range(-(-min(needed, cnn.processors) // cnn.processors_per_quadrant)))


def configure(accelerator: Accelerator, cnn: Cnn, layer: Layer) -> None:
    """Power up, and write all registers but the start."""
    accelerator.set_power((1 << cnn.quadrants) - 1)
    for quadrant in quadrants(cnn, layer):
        accelerator.write(cnn.register_address(quadrant, "CTL"), 4, 0x0000_0008)
        accelerator.write(cnn.register_address(quadrant, "SRAM"), 4, 0x40E)
        for name, value in registers(cnn, layer, quadrant).items():
            accelerator.write(cnn.layer_register_address(quadrant, name, 0), 4, value)


def start(accelerator: Accelerator, cnn: Cnn, layer: Layer, mode: int = 0) -> None:
    """Write CTL of all quadrants, the master last."""
    used = quadrants(cnn, layer)
    for quadrant in used:
        accelerator.write(cnn.register_address(quadrant, "CTL"), 4, mode | 0x808 | (quadrant > 0))
    accelerator.write(cnn.register_address(0, "CTL"), 4, mode | 0x009)


def load_data(accelerator: Accelerator, cnn: Cnn, layer: Layer, data: Integers) -> None:
    """Write the input (operands, channels, rows, cols); docs/accelerator.md, 3.1."""
    operands, channels, rows, cols = data.shape
    words: dict[int, int] = {}
    for k, c, y, x in np.ndindex(operands, channels, rows, cols):
        pass_, processor = divmod(c, layer.processors)
        pixel = y * cols + x
        word = IN_WORD + pixel * layer.passes * operands + pass_ * operands + k
        address = cnn.data_address(processor // 4) + 4 * word
        value = int(data[k, c, y, x]) & 0xFF
        words[address] = words.get(address, 0) | value << 8 * (processor % 4)
    for address, value in words.items():
        accelerator.write(address, 4, value)


def load_weights(accelerator: Accelerator, cnn: Cnn, layer: Layer, weights: Integers) -> None:
    """Write weights (outputs, channels, taps), for flatten (outputs, channels, pixels), in plain mode."""
    for processor in range(layer.processors):
        stream = bytearray(9 * 64 + weights.size)
        for byte, bits in _packed(layer, weights, processor):
            stream[byte] |= bits
        for slot in range(-(-len(bytes(stream).rstrip(b"\0")) // 9)):
            value = bytes(stream[9 * slot : 9 * slot + 9])[::-1]
            base = cnn.weight_address(processor) + 16 * (layer.first_slot + slot)
            for part, chunk in enumerate((value[:1], value[1:5], value[5:9], b"")):
                accelerator.write(base + 4 * part, 4, int.from_bytes(chunk, "big"))


def _packed(layer: Layer, weights: Integers, processor: int) -> Iterator[tuple[int, int]]:
    """Yield (byte of the processor's stream, bits to set); docs/accelerator.md, 4.1."""
    fields, mask = 8 // layer.bits, (1 << layer.bits) - 1
    outputs, channels, taps = weights.shape
    for o in range(outputs):
        for e in range(layer.passes):
            channel = e * layer.processors + processor
            if channel >= channels:
                continue
            for t in range(taps):
                value = int(weights[o, channel, t]) & mask
                if layer.flatten:
                    r = o * layer.elements + t * layer.passes + e
                    yield r // fields, value << (r % fields * layer.bits)
                else:
                    s = o * layer.passes + e
                    yield s // fields * taps + taps - 1 - t, value << (s % fields * layer.bits)


def load_bias(accelerator: Accelerator, cnn: Cnn, bias: Integers) -> None:
    """Write bias bytes to the first quadrant."""
    for i, value in enumerate(bias):
        accelerator.write(cnn.bias_address(0) + 4 * i, 4, int(value) & 0xFF)


def read_output(accelerator: Accelerator, cnn: Cnn, layer: Layer) -> Integers:
    """Return the output (channels, rows, cols) from data memory; docs/accelerator.md, 3.3."""
    rows, cols = layer.output_size
    channels = layer.channels if layer.passthrough else layer.outputs
    found = np.zeros((channels, rows, cols), np.int64)
    for c, y, x in np.ndindex(channels, rows, cols):
        pass_, position = divmod(c, layer.processors) if layer.passthrough else (0, c)
        pixel = (y * cols + x) * (layer.passes if layer.passthrough else 1) + pass_
        word = OUT_WORD + (pixel * 4 + position % 4 if layer.wide else pixel)
        value = accelerator.read(cnn.data_address(position // 4) + 4 * word, 4)
        if layer.wide:
            found[c, y, x] = value - (value >> 31 << 32)
        else:
            byte = value >> 8 * (position % 4) & 0xFF
            found[c, y, x] = byte - (byte >> 7 << 8)
    return found
