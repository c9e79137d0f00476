"""Constants of the CPU's fixed-point functions: the integer reference and the generated C share them.

An exponential is a power of two: a polynomial of degree five for the fractional part of the exponent, a shift
for its whole part. All products fit 64 bits. Errors against real numbers are in docs/models.md.
"""

from __future__ import annotations

import math

UNIT_BITS = 30
"""Fraction bits of exponentials, and of exponents to base 2."""

EXPONENT_BITS = 24
"""Fraction bits of an exponent to base e."""

LARGEST_EXPONENT = 64
"""exp(-64) is 0 in all formats here; larger exponents count as this one."""

LOG2_E = round(2**UNIT_BITS / math.log(2))
LN_2 = round(2**UNIT_BITS * math.log(2))

POWER_COEFFICIENTS = (2**30, -744257754, 257894202, -59380707, 9888889, -1015579)
"""Of 2**-x for x in 0..1, times 2**30, from the constant on; the largest relative error is the least that
linear programming finds, below 2**-22."""

LOG_STEPS = 24
"""Binary digits of a logarithm to base 2."""

RATIO_BITS = 61
"""The one division of a softmax is 2**61 / sum."""

HALF_BITS = 15
"""Fraction bits of the exponential in a sigmoid: numerator and denominator of its division fit 32 bits."""

RESULT_BITS = 16
"""Fraction bits of results whose scale is not that of their input: softmax, sigmoid and the like."""

BILINEAR_EXTRA_BITS = 8
"""Finer steps between 8-bit values, for the pixels between two of them."""
