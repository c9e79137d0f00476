"""An app's tail in C, on this machine, with its rendered tables. Truth: the integer reference in NumPy."""

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

from synergyc.firmware.layout import pack_elements, word_layout
from synergyc.firmware.render import render
from synergyc.firmware.spec import FirmwareSpec, Queue, Storage, TailTask
from synergyc.firmware.tail_view import layout_view
from synergyc.ir.network import Network, Tensor
from synergyc.ir.tail import Tail, TailOp, stages, unfolded
from synergyc.reference.tail import run_tail
from synergyc.synth.program import Region, TensorLayout
from tests.compilers import host_compiler
from tests.firmware.samples import two_devices

_HARNESS = Path(__file__).parent / "host" / "tail.c"

CASES: dict[str, tuple[Tensor, tuple[Tail, ...]]] = {
    "softmax": (Tensor("y", (10,), 4), (Tail(TailOp.SOFTMAX),)),
    "softmax_map": (Tensor("y", (5, 3, 4), 20, 32), (Tail(TailOp.SOFTMAX),)),
    "softmax_rows": (Tensor("y", (5, 3, 4), -2), (Tail(TailOp.SOFTMAX, axis=2),)),
    "log_softmax": (Tensor("y", (9, 6), 14, 32), (Tail(TailOp.LOG_SOFTMAX),)),
    "log_coarse": (Tensor("y", (70,), -3), (Tail(TailOp.LOG_SOFTMAX),)),
    "sigmoid": (Tensor("y", (3, 5, 5), 5), (Tail(TailOp.SIGMOID),)),
    "tanh": (Tensor("y", (3, 5), 27, 32), (Tail(TailOp.TANH),)),
    "argmax": (Tensor("y", (6, 4, 5), 0), (Tail(TailOp.ARGMAX),)),
    "max_columns": (Tensor("y", (6, 4, 5), 3, 32), (Tail(TailOp.MAX, axis=2),)),
    "boxes": (
        Tensor("y", (8, 3, 4), 3),
        (
            Tail(TailOp.TRANSPOSE, sizes=(1, 2, 0)),
            Tail(TailOp.RESHAPE, sizes=(24, 4)),
            Tail(TailOp.SOFTMAX, axis=1),
            Tail(TailOp.SLICE, axis=1, sizes=(1, 4, 2)),
        ),
    ),
    "shuffle": (Tensor("y", (8, 3, 4), 7), (*unfolded((8, 3, 4), 2), Tail(TailOp.SIGMOID))),
    "nearest": (Tensor("y", (3, 4, 6), 7), (Tail(TailOp.NEAREST, sizes=(2, 18)),)),
    "bilinear": (Tensor("y", (3, 4, 6), 7), (Tail(TailOp.BILINEAR, sizes=(8, 18)), Tail(TailOp.ARGMAX))),
    "corners": (Tensor("y", (2, 4, 6), 9, 32), (Tail(TailOp.BILINEAR, sizes=(7, 1), corners=True),)),
    "line": (Tensor("y", (4, 6), 2), (Tail(TailOp.TANH), Tail(TailOp.BILINEAR, sizes=(15,)))),
    "reshape": (Tensor("y", (4, 6), 2), (Tail(TailOp.RESHAPE, sizes=(24,)),)),
}


def layout_of(tensor: Tensor) -> TensorLayout:
    """Return a layout as the accelerator has it: four channels of 8 bits in a word, or one of 32."""
    lanes = 4 if tensor.width_bits == 8 else 1
    pixels = math.prod(tensor.shape[1:])
    groups = -(-tensor.shape[0] // lanes)
    elements = tuple(
        4 * (channel // lanes * (pixels + 1) + pixel) + channel % lanes
        for channel in range(tensor.shape[0])
        for pixel in range(pixels)
    )
    return TensorLayout(tensor, (Region(0, groups * (pixels + 1)),), elements)


def with_tails(cases: dict[str, tuple[Tensor, tuple[Tail, ...]]]) -> FirmwareSpec:
    """Return a device with one tail for each of ``cases``."""
    spec = two_devices()["wrist"]
    queues, tails = list(spec.queues), []
    for name, (tensor, tail) in cases.items():
        result = Network("net", (tensor,), (), ("y",), tail).result
        layout = layout_of(tensor)
        for queue, words in ((f"{name}_in", layout.words), (f"{name}_out", word_layout(result).words)):
            queues.append(Queue(queue, words, 1, Storage.RAM, name))
        work = stages(tail, tensor.shape, tensor.fraction_bits, tensor.width_bits)
        tails.append(TailTask(name, f"{name}_in", f"{name}_out", layout, work, result))
    return replace(spec, queues=tuple(queues), tails=tuple(tails))


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> ctypes.CDLL:
    compiler = host_compiler()
    folder = tmp_path_factory.mktemp("host_tail")
    for name, text in render(with_tails(CASES)).items():
        (folder / name).write_text(text, encoding="utf-8")
    names = ["tail.c", "tail_functions.c", "fixed_point.c", "queue.c", *(f"tail_{name}.c" for name in CASES)]
    flags = ["-std=c11", "-O1", "-shared", "-fPIC", "-Wall", "-Wextra", "-Werror", f"-I{folder}"]
    flags += ["-fsanitize=undefined", "-fno-sanitize-recover=undefined"]
    target = folder / "tail.so"
    sources = [str(folder / name) for name in names]
    subprocess.run([compiler, *flags, *sources, str(_HARNESS), "-o", str(target)], check=True)
    return ctypes.CDLL(str(target))


@pytest.mark.parametrize("name", CASES)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(data=st.data())
def test_c_repeats_the_reference(library: ctypes.CDLL, name: str, data: st.DataObject) -> None:
    tensor, tail = CASES[name]
    kind = np.int8 if tensor.width_bits == 8 else np.int32
    info = np.iinfo(kind)
    count = math.prod(tensor.shape)
    spread = data.draw(st.sampled_from([1, 100, 1 << 16, 1 << 31]))
    numbers = st.integers(max(info.min, -spread), min(info.max, spread))
    drawn = data.draw(st.lists(numbers, min_size=count, max_size=count))
    values = np.array(drawn, dtype=kind).reshape(1, *tensor.shape)
    layout = layout_of(tensor)
    elements = np.asarray(layout.elements)
    words = pack_elements(elements, 4 * layout.words, values[0].astype(f"<i{tensor.width_bits // 8}"))
    expected = run_tail(tail, values, tensor.fraction_bits)[0]
    result = (ctypes.c_int32 * expected.size)()
    work = stages(tail, tensor.shape, tensor.fraction_bits, tensor.width_bits)
    table = ctypes.c_char.in_dll(library, f"tail_{name}_stages")
    aligned = (ctypes.c_uint32 * layout.words).from_buffer_copy(words)
    polls = library.test_tail(ctypes.byref(table), len(work), aligned, expected.size, result)
    assert polls >= len(work)
    np.testing.assert_array_equal(np.array(result), expected.reshape(-1))


def test_layouts_are_told_in_few_rows() -> None:
    """Pixels of a channel are equally far apart; so are the channels of a vector in one word."""
    view = layout_view(layout_of(Tensor("y", (8, 3, 4), 0)))
    assert (view.columns, view.step_bytes, len(view.firsts)) == (12, 4, 8)
    assert layout_view(TensorLayout(Tensor("y", (4,), 0), (Region(0, 1),), (0, 1, 2, 3))).columns == 4
    odd = layout_view(TensorLayout(Tensor("y", (3,), 0), (Region(0, 2),), (4, 1, 2)))
    assert (odd.columns, odd.firsts) == (1, (4, 1, 2))
