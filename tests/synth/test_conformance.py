"""Native programs against what the vendor tool's own C writes.

Truth: traces of the C that ai8x-synthesis generates (conformance data; revision named in its README). A case
is equal if every function leaves the same words at the same addresses. Weights are compared as slots.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from synergyc.diagnostics import SynergyError
from synergyc.synth.native import generate
from synergyc.synth.vendor import VendorNetwork, parse_options, read_vendor
from synergyc.synth.verify import verify
from synergyc.targets import load_chip
from tests.synth.states import accesses, differences, final_state, load_trace, loaded, weight_memory

_BESIDE = Path(__file__).parents[3] / "shared" / "data" / "conformance"
DATA = Path(os.environ.get("SYNERGYC_CONFORMANCE_DIR", _BESIDE))
VENDOR = os.environ.get("AI8X_SYNTHESIS_DIR")
"""The data lacks the bias arrays of the tool's test networks; they are taken from here where it is set."""

KNOWN_DIFFERENCES = {
    **dict.fromkeys(
        (f"t.cifar10-hwc.cifar10-bias.s1.zero-unused.{chip}" for chip in ("78000", "78002")),
        "the tool writes zeros over the registers of the last layer instead of those of unused ones",
    ),
    "t.layers.verify-writes.write-zero-registers.78002": "the tool writes zeros for streaming registers that"
    " layers from 8 on do not have, onto those of other layers (section 8, pitfall 3)",
}
LEAST_EQUAL = 330
"""Cases that must be equal without the vendor's folder (357 with it)."""

STATUS: Counter[str] = Counter()


def _cases() -> list[Any]:
    index = DATA / "index.json"
    if not index.is_file():
        reason = "no conformance data: set SYNERGYC_CONFORMANCE_DIR"
        return [pytest.param(None, marks=pytest.mark.skip(reason=reason), id="none")]
    cases = json.loads(index.read_text())
    return [pytest.param(case, id=case["id"]) for case in cases if case["inputs"]]


def _arguments(words: Sequence[str]) -> list[str]:
    """Make the paths of files absolute."""
    files = {"--config-file", "--checkpoint-file", "--sample-input"}
    return [
        str(DATA / "inputs" / word) if before in files else word
        for before, word in zip(["", *words], words, strict=False)
    ]


def _read(case: dict[str, Any]) -> VendorNetwork:
    roots = [DATA / "inputs", *([Path(VENDOR)] if VENDOR else [])]
    return read_vendor(parse_options(_arguments(case["args"])), load_chip(case["device"]), root=roots)


@pytest.mark.parametrize("case", _cases())
def test_same_words_as_the_vendor_tool(case: dict[str, Any]) -> None:
    if case["id"] in KNOWN_DIFFERENCES:
        pytest.skip(KNOWN_DIFFERENCES[case["id"]])
    try:
        network = _read(case)
    except SynergyError as error:
        message = error.diagnostics[0].message
        missing = error.diagnostics[0].rule == "vendor-file" and not VENDOR
        STATUS["missing"] += 1
        assert missing, message
        pytest.skip("bias arrays are not in the data")
    cnn = network.chip.cnn
    program = generate(network.placed, network.chip, network.control)
    trace = load_trace(DATA / "traces" / f"{case['id']}.json.gz")
    found = []
    for function, steps in (
        ("cnn_init", program.init),
        ("cnn_load_bias", program.bias),
        ("cnn_configure", program.configure),
        ("cnn_start", program.start),
    ):
        states = final_state(accesses(steps)), final_state(trace.of(function))
        found += [f"{function} {line}" for line in differences(*states)]
    weights = weight_memory(accesses(program.weights), cnn), weight_memory(trace.of("cnn_load_weights"), cnn)
    found += [f"weights {line}" for line in differences(*weights)]
    sampled = not {"--fixed-input", "--fifo"} & set(case["args"])
    if sampled:
        data = loaded(program.inputs, network.samples)
        found += [f"input {line}" for line in differences(data, final_state(trace.of("load_input")))]
    assert not found
    STATUS["equal"] += 1
    if network.placed.fifo and "--ignore-streaming" not in case["args"]:
        # The tool has checked its own streams; the reader looks at other networks only.
        assert verify(network.placed, network.chip) == ()


def test_enough_cases_were_equal() -> None:
    if not STATUS:
        pytest.skip("no conformance case was run")
    print(f"conformance: {dict(STATUS)}")
    if sum(STATUS.values()) > LEAST_EQUAL:
        assert STATUS["equal"] >= LEAST_EQUAL
