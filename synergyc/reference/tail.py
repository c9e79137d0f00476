"""The CPU's work behind the network, on integers: what the generated C must repeat bit by bit.

Values are 32-bit integers, real values times 2**fraction_bits.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from synergyc.ir.fixed_point import (
    BILINEAR_EXTRA_BITS,
    EXPONENT_BITS,
    HALF_BITS,
    LARGEST_EXPONENT,
    LN_2,
    LOG2_E,
    LOG_STEPS,
    POWER_COEFFICIENTS,
    RATIO_BITS,
    RESULT_BITS,
    UNIT_BITS,
)
from synergyc.ir.network import Network
from synergyc.ir.tail import ELEMENTWISE, Tail, TailOp, bilinear_places
from synergyc.ir.types import Array

_LARGEST = 2**31 - 1


def finish(network: Network, outputs: Array) -> Array:
    """Return what the CPU makes of the network's single output (N, *shape): int32; as it is without tail."""
    return run_tail(network.tail, outputs, network.tensor(network.outputs[0]).fraction_bits)


def run_tail(tail: Sequence[Tail], values: Array, fraction_bits: int) -> Array:
    """Return results (N, ...), int32, of int8 or int32 ``values``; as they are if ``tail`` is empty."""
    width_bits = 8 * values.dtype.itemsize
    for item in tail:
        values = _step(item, values, fraction_bits, width_bits).astype(np.int32)
        fraction_bits = item.fraction_bits(fraction_bits, width_bits)
        width_bits = 32
    return values


def _step(item: Tail, values: Array, fraction_bits: int, width_bits: int) -> Array:
    if item.moves:
        return item.moved(values)
    wide = values.astype(np.int64)
    if item.op in ELEMENTWISE:
        return _sigmoid(wide, fraction_bits) if item.op is TailOp.SIGMOID else _tanh(wide, fraction_bits)
    if item.op is TailOp.BILINEAR:
        return _bilinear(item, wide, BILINEAR_EXTRA_BITS if width_bits == 8 else 0)
    axis = item.axis + 1
    match item.op:
        case TailOp.ARGMAX:
            return np.asarray(wide.argmax(axis))
        case TailOp.MAX:
            return np.asarray(wide.max(axis))
        case TailOp.SOFTMAX:
            return _softmax(wide, axis, fraction_bits)
        case TailOp.LOG_SOFTMAX:
            return _log_softmax(wide, axis, fraction_bits)
    raise ValueError(f"no arithmetic for {item.op}")


def _softmax(values: Array, axis: int, fraction_bits: int) -> Array:
    powers = exponential(values.max(axis, keepdims=True) - values, fraction_bits)
    inverse = (1 << RATIO_BITS) // powers.sum(axis, keepdims=True)
    shift = RATIO_BITS - RESULT_BITS
    return np.asarray((powers * inverse + (1 << (shift - 1))) >> shift)


def _log_softmax(values: Array, axis: int, fraction_bits: int) -> Array:
    below = values.max(axis, keepdims=True) - values
    sums = exponential(below, fraction_bits).sum(axis, keepdims=True)
    distance = rescaled(below, RESULT_BITS - fraction_bits, _LARGEST)
    return np.asarray(np.maximum(-distance - logarithm(sums), -_LARGEST))


def _sigmoid(values: Array, fraction_bits: int) -> Array:
    denominator = (1 << HALF_BITS) + _half_power(np.abs(values), fraction_bits)
    share = ((1 << (HALF_BITS + RESULT_BITS)) + (denominator >> 1)) // denominator
    return np.asarray(np.where(values < 0, (1 << RESULT_BITS) - share, share))


def _tanh(values: Array, fraction_bits: int) -> Array:
    power = _half_power(np.abs(values), fraction_bits - 1)  # of twice the value
    denominator = (1 << HALF_BITS) + power
    share = ((((1 << HALF_BITS) - power) << RESULT_BITS) + (denominator >> 1)) // denominator
    return np.asarray(np.where(values < 0, -share, share))


def _half_power(below: Array, fraction_bits: int) -> Array:
    """Return exp(-below / 2**fraction_bits) * 2**15, rounded."""
    return rescaled(exponential(below, fraction_bits), HALF_BITS - UNIT_BITS, _LARGEST)


def exponential(below: Array, fraction_bits: int) -> Array:
    """Return exp(-below / 2**fraction_bits) * 2**30, int64, for ``below`` int64 in 0..2**32."""
    exponent = rescaled(below, EXPONENT_BITS - fraction_bits, LARGEST_EXPONENT << EXPONENT_BITS)
    exponent = (exponent * LOG2_E) >> EXPONENT_BITS
    whole, part = exponent >> UNIT_BITS, exponent & ((1 << UNIT_BITS) - 1)
    power = np.full_like(part, POWER_COEFFICIENTS[-1])
    for coefficient in POWER_COEFFICIENTS[-2::-1]:
        power = coefficient + ((power * part) >> UNIT_BITS)
    return np.asarray(np.where(whole > UNIT_BITS, 0, power >> np.minimum(whole, UNIT_BITS)))


def logarithm(sums: Array) -> Array:
    """Return ln(sums / 2**30) * 2**16, int64, for ``sums`` int64 of at least 2**30."""
    whole = np.asarray(np.frexp(sums.astype(np.float64))[1] - 1 - UNIT_BITS, dtype=np.int64)
    whole = whole - ((sums >> (whole + UNIT_BITS)) == 0)  # conversion to float64 may have rounded up
    mantissa = sums >> whole
    digits = np.zeros_like(sums)
    for _ in range(LOG_STEPS):
        mantissa = (mantissa * mantissa) >> UNIT_BITS
        carry = mantissa >> (UNIT_BITS + 1)
        mantissa = mantissa >> carry
        digits = 2 * digits + carry
    shift = LOG_STEPS + UNIT_BITS - RESULT_BITS
    return np.asarray((((whole << LOG_STEPS) + digits) * LN_2 + (1 << (shift - 1))) >> shift)


def rescaled(values: Array, shift: int, most: int) -> Array:
    """Return ``values``, int64, not negative, times 2**shift, rounded half up, at most ``most``."""
    if shift >= 0:
        shift = min(shift, 31)
        small = np.minimum(values, most >> shift)
        return np.asarray(np.where(values > small, most, small << shift))
    shift = min(-shift, 62)
    return np.asarray(np.minimum((values + (1 << (shift - 1))) >> shift, most))


def _bilinear(item: Tail, values: Array, extra_bits: int) -> Array:
    denominator = 1
    for axis, size in enumerate(item.sizes, start=2):
        places = bilinear_places(values.shape[axis], size, corners=item.corners)
        second = places.second.reshape(-1, *(1,) * (values.ndim - axis - 1))
        lower, upper = values.take(places.lower, axis), values.take(places.upper, axis)
        values = lower * (places.denominator - second) + upper * second
        denominator *= places.denominator
    return np.asarray(((values << extra_bits) + (denominator >> 1)) // denominator)
