"""A few random models: torch, reference, onnxruntime and the emulated accelerator agree.

``python -m tests.varied.agreement --count 500`` does the same for many.
"""

from __future__ import annotations

import pytest

from tests.varied.agreement import disagreement


@pytest.mark.parametrize("seed", range(8))
def test_all_executors_agree(seed: int) -> None:
    assert disagreement(seed) is None
