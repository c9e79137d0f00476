"""Preparing samples in C, on this machine, with rendered tables. Truth: NumPy's steps, and the layout."""

from __future__ import annotations

import ctypes
import math
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from synergyc.firmware.layout import pack_tensor
from synergyc.firmware.prepare_view import axis_tables
from synergyc.firmware.render import render
from synergyc.firmware.spec import FirmwareSpec
from synergyc.ir.network import Tensor
from synergyc.ir.preparation import Preparation, PreparationStep, Step
from synergyc.ir.types import Array
from tests.compilers import host_compiler
from tests.firmware.samples import two_devices
from tests.firmware.test_tail import layout_of

_HARNESS = Path(__file__).parent / "host" / "prepare.c"
_FOLD, _EXTEND = PreparationStep.FOLD, PreparationStep.EXTEND
_BYTES = Step(PreparationStep.NORMALIZE, (), (1 / 255, 0.02, -1 / 128), (0.0, -0.7, 0.99))
_TRANSPOSE, _RESHAPE = PreparationStep.TRANSPOSE, PreparationStep.RESHAPE

CASES: dict[str, Preparation] = {
    "as_it_is": Preparation((3, 4, 5), ()),
    "vector": Preparation((7,), ()),
    "folded": Preparation((2, 6, 8), (Step(_FOLD, (2, 2)),)),
    "folded_odd": Preparation((3, 5, 7), (Step(_FOLD, (2, 3)),)),
    "folded_line": Preparation((2, 9), (Step(_FOLD, (4,)),)),
    "extended": Preparation((2, 4, 5), (Step(_EXTEND, (6, 8)), Step(_FOLD, (2, 2)))),
    "camera": Preparation((6, 5, 3), (Step(_TRANSPOSE, (2, 0, 1)),)),
    "camera_folded": Preparation((6, 4, 3), (Step(_TRANSPOSE, (2, 0, 1)), Step(_FOLD, (2, 2)))),
    "columns": Preparation((4, 6), (Step(_TRANSPOSE, (1, 0)), Step(_RESHAPE, (6, 2, 2)))),
    "bytes": Preparation((3, 5, 4), (_BYTES,)),
    "camera_bytes": Preparation((5, 7, 3), (Step(_TRANSPOSE, (2, 0, 1)), _BYTES, Step(_FOLD, (2, 2)))),
    "odd_rows": Preparation(
        (6, 4), (Step(_TRANSPOSE, (1, 0)), Step(_RESHAPE, (3, 8)), Step(_TRANSPOSE, (1, 0)))
    ),
}


def _input_of(preparation: Preparation) -> Tensor:
    shape = preparation.apply(np.zeros((1, *preparation.source_shape), dtype=np.int8)).shape[1:]
    return Tensor("x", shape, 7)


def _with_preparations() -> FirmwareSpec:
    """Return a device with a sensor for each case, which a host feeds."""
    spec = two_devices(driver="host")["chest"]
    sense = spec.senses[0]
    senses = [
        replace(sense, app=name, layout=layout_of(_input_of(item)), preparation=item)
        for name, item in CASES.items()
    ]
    return replace(spec, senses=tuple(senses))


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> ctypes.CDLL:
    compiler = host_compiler()
    folder = tmp_path_factory.mktemp("host_prepare")
    for name, text in render(_with_preparations()).items():
        (folder / name).write_text(text, encoding="utf-8")
    sources = [str(folder / name) for name in ("prepare.c", *(f"prepare_{name}.c" for name in CASES))]
    flags = ["-std=c11", "-O1", "-shared", "-fPIC", "-Wall", "-Wextra", "-Werror", f"-I{folder}"]
    flags += ["-fsanitize=undefined", "-fno-sanitize-recover=undefined"]
    target = folder / "prepare.so"
    subprocess.run([compiler, *flags, *sources, str(_HARNESS), "-o", str(target)], check=True)
    return ctypes.CDLL(str(target))


@pytest.mark.parametrize("name", CASES)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=30)
@given(seed=st.integers(0, 1 << 16), piece=st.integers(1, 130))
def test_samples_arrive_as_the_accelerator_reads_them(
    library: ctypes.CDLL, name: str, seed: int, piece: int
) -> None:
    preparation = CASES[name]
    shape = preparation.source_shape
    sample = np.random.default_rng(seed).integers(-128, 128, shape).astype(np.int8)
    if preparation.reads_bytes:
        sample = sample.view(np.uint8)
    layout = layout_of(_input_of(preparation))
    expected = pack_tensor(layout, preparation.apply(sample[None])[0])
    words = (ctypes.c_uint32 * layout.words)(*[0xDEADBEEF] * layout.words)  # of the sample before
    prepare = getattr(library, f"prepare_{name}")
    library.test_prepare(prepare, sample.tobytes(), math.prod(shape), piece, words)
    assert tuple(words) == expected


def test_tables_are_as_long_as_the_axes() -> None:
    assert [len(table) for table in axis_tables(CASES["folded_odd"])] == [3, 5, 7]
    assert [len(table) for table in axis_tables(CASES["odd_rows"])] == [24]  # its axes do not add up


def test_tables_of_a_sample_that_is_not_moved_count_it() -> None:
    assert axis_tables(CASES["as_it_is"]) == ((0, 20, 40), (0, 5, 10, 15), (0, 1, 2, 3, 4))


def test_values_are_not_lost() -> None:
    class Shorter(Preparation):
        def apply(self, samples: Array) -> Array:
            return samples[:, 1:]

    with pytest.raises(ValueError, match="must not lose values"):
        axis_tables(Shorter((3, 2), ()))
