"""One layer of the vendor tool's network description: keys, their forms, the tool's defaults."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from synergyc.diagnostics import Diagnostic, Location, SynergyError, did_you_mean, fail, file_location
from synergyc.ir.network import LayerOp
from synergyc.ir.types import Activation, EltwiseOp, PoolKind

Pair = tuple[int, int]

BINARY = -1
"""``quantization`` of weights that are -1 or +1."""

STOP = -1
"""In ``next_sequence`` and ``simulated_sequence``: no layer follows."""

INPUT = -1
"""In ``in_sequences``: the network's input."""

_RESERVED = {"stop": STOP, "input": INPUT}

_OPERATORS = {
    "conv1d": LayerOp.CONV1D,
    "conv2d": LayerOp.CONV2D,
    "convtranspose2d": LayerOp.CONV_TRANSPOSE2D,
    "none": LayerOp.PASSTHROUGH,
    "passthrough": LayerOp.PASSTHROUGH,
    "linear": LayerOp.LINEAR,
    "fc": LayerOp.LINEAR,
    "mlp": LayerOp.LINEAR,
}
_ELTWISE = {
    "add": EltwiseOp.ADD,
    "sub": EltwiseOp.SUB,
    "or": EltwiseOp.OR,
    "bitwiseor": EltwiseOp.OR,
    "bitwise_or": EltwiseOp.OR,
    "xor": EltwiseOp.XOR,
    "bitwisexor": EltwiseOp.XOR,
    "bitwise_xor": EltwiseOp.XOR,
}
_SYNONYMS = {
    "activate": "activation",
    "operation": "op",
    "operator": "op",
    "convolution": "op",
    "conv_groups": "groups",
    "in_skip": "read_gap",
    "bias_quadrant": "bias_group",
}
_KEYS = {
    "activation", "avg_pool", "bias_group", "bypass", "calcx4", "data_format", "dilation", "eltwise",
    "flatten", "groups",
    "in_channel_skip", "in_channels", "in_dim", "in_offset", "in_sequences", "kernel_size", "max_pool",
    "name", "next_sequence", "op", "operands", "out_channels", "out_offset", "output", "output_pad",
    "output_processors", "output_shift", "output_width", "pad", "pool_dilation", "pool_first", "pool_stride",
    "processors", "quantization", "read_gap", "readahead", "sequence", "simulated_sequence",
    "snoop_sequence", "streaming", "stride", "tcalc", "weight_source", "write_gap",
}  # fmt: skip
_UNSUPPORTED = {
    "buffer_insert": None,
    "buffer_shift": None,
    "in_crop": [0, 0],
}
"""Keys that are known but not supported, with the value that means that they are not used."""


@dataclass(frozen=True)
class LayerConfig:
    """One layer as written, with the tool's defaults; None: to be derived."""

    location: Location
    processors: int
    output_processors: int | None
    op: LayerOp
    kernel: Pair
    pad: Pair
    dilation: Pair
    groups: int
    pool_kind: PoolKind | None
    window: Pair
    pool_stride: int
    pool_dilation: Pair
    pool_first: bool
    eltwise: EltwiseOp | None
    operands: int
    activation: Activation
    quantization: int | None
    output_shift: int | None
    output_width: int
    big: bool
    flatten: bool
    in_channels: int | None
    in_channel_skip: int
    in_dim: Pair | None
    in_offset: int | None
    out_offset: int
    out_channels: int | None
    in_sequences: tuple[int, ...] | None
    next_sequence: int | None
    snoop_sequence: int | None
    simulated_sequence: int | None
    weight_source: int | None
    bypass: bool
    write_gap: int
    read_gap: int
    streaming: bool
    read_ahead: bool
    fourfold: bool
    grouped_passes: bool | None
    bias_quadrants: tuple[int, ...] | None
    output: bool
    output_padding: int


def read_layer(path: Path, item: Any, default_pad: Pair, names: Mapping[str, int]) -> LayerConfig:
    """Return the layer that a mapping describes; raises SynergyError that points at the key.

    ``names``: the numbers of all layers that have names, by the name in lower case.
    """
    entry = Entry(path, item)
    for key, unused in _UNSUPPORTED.items():
        if key in entry.keys and item[key] != unused:
            raise fail("vendor-unsupported", f"unsupported key {key!r}", location=entry.location(key))
    op, eltwise = _operator(entry)
    return LayerConfig(
        location=entry.location(),
        processors=entry.required("processors", processor_map),
        output_processors=entry.get("output_processors", processor_map),
        op=op,
        groups=entry.get("groups", _count, 1),
        eltwise=eltwise,
        operands=entry.get("operands", _count, 2 if eltwise else 1),
        **_kernel_values(entry, op, default_pad),
        **_pool_values(entry, op),
        **_output_values(entry, op),
        **_sequence_values(entry, _References(names)),
    )


def processor_map(value: object) -> int:
    """Return a processor map; strings are hexadecimal, with dots or underscores as separators."""
    if isinstance(value, str):
        value = int(value.replace(".", "").replace("_", ""), 16)
    if not isinstance(value, int) or not 0 < value < 1 << 64:
        raise ValueError(f"must be a map of processors 0 to 63, not {value!r}")
    return int(value)


class Entry:
    """One layer's mapping; remembers where each key stands."""

    def __init__(self, path: Path, item: Any) -> None:
        self.path = path
        self.item = item
        self.keys: dict[str, str] = {}
        for key in item:
            plain = _SYNONYMS.get(key, key)
            if plain not in _KEYS and plain not in _UNSUPPORTED:
                hint = did_you_mean(str(key), _KEYS)
                raise fail("vendor-key", f"unknown key {key!r}", location=self.location(key), hint=hint)
            if plain in self.keys:
                message = f"{key!r} means the same as {self.keys[plain]!r}"
                raise fail("vendor-key", message, location=self.location(key))
            self.keys[plain] = key

    def location(self, key: str | None = None) -> Location:
        """Return the place of ``key``, or of the layer."""
        line = self.item.lc.key(key)[0] if key is not None else self.item.lc.line
        return file_location(self.path, line + 1)

    def get(self, key: str, convert: Callable[[Any], Any], default: Any = None) -> Any:
        """Return the value of ``key``, converted; raises SynergyError at its line if it is wrong."""
        if key not in self.keys:
            return default
        written = self.keys[key]
        try:
            return convert(self.item[written])
        except (ValueError, TypeError, KeyError) as error:
            raise SynergyError(
                Diagnostic("vendor-value", f"value of {written!r} is wrong: {error}", self.location(written))
            ) from error

    def required(self, key: str, convert: Callable[[Any], Any]) -> Any:
        """Return the value of a key that must be there."""
        if key not in self.keys:
            raise fail("vendor-key", f"{key} must be given", location=self.location())
        return self.get(key, convert)


def _operator(entry: Entry) -> tuple[LayerOp, EltwiseOp | None]:
    text = entry.get("op", lambda value: str(value).lower(), "conv2d")
    eltwise = entry.get("eltwise", lambda value: _ELTWISE[str(value).lower()])
    if text in _ELTWISE:
        return LayerOp.PASSTHROUGH, _ELTWISE[text]
    if text not in _OPERATORS:
        hint = did_you_mean(text, (*_OPERATORS, *_ELTWISE))
        raise fail(
            "vendor-value", f"unknown operator {text!r}", location=entry.location(entry.keys["op"]), hint=hint
        )
    return _OPERATORS[text], eltwise


def _kernel_values(entry: Entry, op: LayerOp, default_pad: Pair) -> dict[str, Any]:
    flat = op is LayerOp.CONV1D
    kernel = (1, 1)
    if flat:
        kernel = entry.get("kernel_size", lambda value: (_count(int(value)), 1), (9, 1))
    elif op in {LayerOp.CONV2D, LayerOp.CONV_TRANSPOSE2D}:
        kernel = entry.get("kernel_size", _kernel_2d, (3, 3))
    plain = op in {LayerOp.LINEAR, LayerOp.PASSTHROUGH}
    pad = entry.get("pad", lambda value: (_count(value), _count(value)), (0, 0) if plain else default_pad)
    dilation = entry.get("dilation", _pair, (1, 1))
    return {
        "kernel": kernel,
        "pad": (pad[0], 0) if flat else pad,
        "dilation": (dilation[0], 1) if flat else dilation,
        "quantization": entry.get("quantization", _quantization),
        "big": entry.get("data_format", _is_big, False),
        "flatten": entry.get("flatten", bool, False),
    }


def _pool_values(entry: Entry, op: LayerOp) -> dict[str, Any]:
    kind = next((kind for kind in PoolKind if f"{kind}_pool" in entry.keys), None)
    window = entry.get(f"{kind}_pool", _pair) if kind else (1, 1)
    # Without pooling, ``stride`` means the same as ``pool_stride``, except for transposed convolutions.
    stride = 1 if op is LayerOp.CONV_TRANSPOSE2D else entry.get("stride", _stride, 1)
    return {
        "pool_kind": kind,
        "window": (window[0], 1) if op is LayerOp.CONV1D else window,
        "pool_stride": entry.get("pool_stride", _stride, stride),
        "pool_dilation": entry.get("pool_dilation", _pair, (1, 1)),
        "pool_first": entry.get("pool_first", bool, True),
    }


def _output_values(entry: Entry, op: LayerOp) -> dict[str, Any]:
    return {
        "activation": entry.get("activation", lambda text: Activation(str(text).lower()), Activation.NONE),
        "output_shift": entry.get("output_shift", int),
        "output_width": entry.get("output_width", _output_width, 8),
        "out_offset": entry.get("out_offset", _count, 0),
        "out_channels": entry.get("out_channels", _count),
        "write_gap": entry.get("write_gap", _count, 0),
        "bias_quadrants": entry.get("bias_group", _listed),
        "output": entry.get("output", bool, False),
        "output_padding": entry.get("output_pad", _count, 1 if op is LayerOp.CONV_TRANSPOSE2D else 0),
    }


def _sequence_values(entry: Entry, number: Callable[[object], int]) -> dict[str, Any]:
    return {
        "in_channels": entry.get("in_channels", _count),
        "in_channel_skip": entry.get("in_channel_skip", _count, 0),
        "in_dim": entry.get("in_dim", lambda value: _pair(value) if isinstance(value, list) else (value, 1)),
        "in_offset": entry.get("in_offset", _count),
        "in_sequences": entry.get("in_sequences", lambda value: tuple(map(number, _listed(value)))),
        "next_sequence": entry.get("next_sequence", number),
        "snoop_sequence": entry.get("snoop_sequence", number),
        "simulated_sequence": entry.get("simulated_sequence", number),
        "weight_source": entry.get("weight_source", number),
        "bypass": entry.get("bypass", bool, False),
        "read_gap": entry.get("read_gap", _count, 0),
        "streaming": entry.get("streaming", bool, False),
        "grouped_passes": entry.get("tcalc", bool),
        "fourfold": entry.get("calcx4", bool, False),
        "read_ahead": entry.get("readahead", bool, False),
    }


def _count(value: object) -> int:
    if not isinstance(value, int) or value < 0:
        raise ValueError(f"must be a number from 0 on, not {value!r}")
    return int(value)


@dataclass(frozen=True)
class _References:
    """Layers that other layers refer to by number or by name."""

    names: Mapping[str, int]

    def __call__(self, value: object) -> int:
        """Return the number of the layer that is meant."""
        known = {**_RESERVED, **self.names}
        if isinstance(value, str) and value.lower() in known:
            return known[value.lower()]
        if isinstance(value, bool) or not isinstance(value, int):
            raise ValueError(f"there is no layer {value!r}")
        return value


def _listed(value: Any) -> tuple[Any, ...]:
    return tuple(value) if isinstance(value, list) else (value,)


def _pair(value: Any) -> Pair:
    if isinstance(value, list):
        if len(value) != 2:
            raise ValueError(f"must have one or two numbers, not {value!r}")
        return _count(value[0]), _count(value[1])
    return _count(value), _count(value)


def _stride(value: Any) -> int:
    rows, columns = _pair(value)
    if rows != columns or rows < 1:
        raise ValueError(f"must be the same number for rows and columns, not {value!r}")
    return rows


def _kernel_2d(value: object) -> Pair:
    sizes = {"1x1": (1, 1), "3x3": (3, 3)}
    if str(value).lower() not in sizes:
        raise ValueError(f"must be 1x1 or 3x3, not {value!r}")
    return sizes[str(value).lower()]


def _quantization(value: object) -> int:
    if str(value).lower() in {"bin", "binary"}:
        return BINARY
    if value not in {1, 2, 4, 8}:
        raise ValueError(f"must be 1, 2, 4, 8 or binary, not {value!r}")
    return int(str(value))


def _output_width(value: object) -> int:
    if value not in {8, 32}:
        raise ValueError(f"must be 8 or 32, not {value!r}")
    return int(str(value))


def _is_big(value: object) -> bool:
    formats = {"chw": True, "big": True, "hwc": False, "little": False}
    if str(value).lower() not in formats:
        raise ValueError(f"must be HWC or CHW, not {value!r}")
    return formats[str(value).lower()]
