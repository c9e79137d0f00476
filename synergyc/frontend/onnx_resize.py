"""ONNX operators that resize maps: where new pixels lie among the old ones is up to the file."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from synergyc.frontend import shapes
from synergyc.frontend.builder import UnsupportedOperatorError, Value
from synergyc.frontend.onnx_call import OnnxCall
from synergyc.ir.types import Array

_OWN_PLACES = 11
"""From this opset on, resizing says by attributes where new pixels lie among the old ones."""


def resize(node: OnnxCall) -> Value:
    """Read ``Resize`` and ``Upsample``: nearest neighbours and linear interpolation."""
    source, target = node.source(), node.call.shape
    mode = node.attributes.get("mode", "nearest")
    old = node.opset < _OWN_PLACES
    places = node.attributes.get("coordinate_transformation_mode", "asymmetric" if old else "half_pixel")
    nearest = node.attributes.get("nearest_mode", "floor" if old else "round_prefer_floor")
    scales = _scales(node)
    if target[0] != source.shape[0]:
        raise UnsupportedOperatorError("only rows and columns can be enlarged")
    if mode == "nearest" and places in _PLACES:
        axes = zip(source.shape[1:], target[1:], scales[1:], strict=True)
        taken = [_taken(_PLACES[places](*axis), nearest, before=axis[0]) for axis in axes]
        return shapes.upsample(node.call, source, taken)
    linear = mode == "linear" and places in {"half_pixel", "pytorch_half_pixel", "align_corners"}
    exact = np.allclose(np.array(scales) * source.shape, target)
    if not linear or not exact or node.attributes.get("antialias", 0):
        raise UnsupportedOperatorError(
            "maps can be enlarged by nearest neighbours, or linearly (half_pixel or align_corners, without"
            f" antialias, by what scales them exactly), not {mode} {places}",
            "use nearest neighbours, or enlarge the result after inference",
        )
    return shapes.interpolate(node.call, source, corners=places == "align_corners")


def _scales(node: OnnxCall) -> tuple[float, ...]:
    """Return by how much each axis grows, without the batch axis: as the file says, else by the sizes."""
    source, target = node.source(), node.call.shape
    given = node.setting("scales", 1 if node.opset < _OWN_PLACES else 2)
    if not given:
        if node.attributes.get("keep_aspect_ratio_policy", "stretch") != "stretch":
            raise UnsupportedOperatorError("its sizes must be those of the result", "give scales, not sizes")
        return tuple(new / size for size, new in zip(source.shape, target, strict=True))
    axes = node.attributes.get("axes", range(len(source.shape) + 1))
    by_axis = dict(zip((axis % (len(source.shape) + 1) for axis in axes), given, strict=True))
    return tuple(float(by_axis.get(axis + 1, 1.0)) for axis in range(len(source.shape)))


def _numbers(after: int) -> Array:
    return np.arange(after, dtype=np.float32)


def _from_half_pixels(before: int, after: int, scale: float) -> Array:
    return (_numbers(after) + np.float32(0.5)) / np.float32(scale) - np.float32(0.5)


_PLACES: dict[str, Callable[[int, int, float], Array]] = {
    "asymmetric": lambda before, after, scale: _numbers(after) / np.float32(scale),
    "half_pixel": _from_half_pixels,
    "pytorch_half_pixel": lambda before, after, scale: (
        _from_half_pixels(before, after, scale) if after > 1 else np.zeros(1)
    ),
    "tf_half_pixel_for_nn": lambda before, after, scale: (_numbers(after) + 0.5) / np.float32(scale),
    "align_corners": lambda before, after, scale: _numbers(after) * ((before - 1) / max(after - 1, 1)),
}
"""Where new pixels lie among the old ones along an axis, by the number of old and new ones and the scale.

Source: ONNX, operator Resize, ``coordinate_transformation_mode``; in single precision, as onnxruntime.
"""


def _taken(places: Array, rounding: str, before: int) -> Array:
    """Return the old pixel that is taken for each place."""
    match rounding:
        case "floor":
            whole = np.floor(places)
        case "ceil":
            whole = np.ceil(places)
        case "round_prefer_ceil":
            whole = np.floor(places + 0.5)
        case _:
            whole = np.ceil(places - 0.5)
    return np.asarray(np.clip(whole, 0, before - 1))
