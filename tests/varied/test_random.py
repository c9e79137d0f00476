"""A few random models: torch, reference, onnxruntime and the emulated accelerator agree.

``python -m tests.varied.agreement --count 500`` does the same for many.
"""

from __future__ import annotations

import pytest

from tests.varied.agreement import disagreement


@pytest.mark.parametrize("seed", [0, 1, 2, 3, 4, 5, 6, 7, 285])
def test_all_executors_agree(seed: int) -> None:
    assert disagreement(seed) is None
