"""``--reference`` and ``--trace layers``: which layer, channel and pixel first leaves the network.

Truth: torch's answer of the small network (tests/synth/small_network.py), and damage done on purpose.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from synergyc.cli.main import cli
from synergyc.diagnostics import SynergyError
from synergyc.pipeline.synth import synthesize_native
from tests.compilers import NEEDS_CROSS_COMPILER
from tests.synth.small_network import LAYERS, SmallNetwork, write_small_network

pytestmark = NEEDS_CROSS_COMPILER


@pytest.fixture
def network(tmp_path: Path) -> SmallNetwork:
    return write_small_network(tmp_path)


def project(network: SmallNetwork, chip: str, *options: str) -> Path:
    folder = network.folder / "project"
    synthesize_native([*network.arguments, *options], chip, folder)
    return folder


def kat(network: SmallNetwork, chip: str, *options: str) -> Result:
    files = [str(network.folder / name) for name in ("small.yaml", "small.pth.tar", "small.npy")]
    reference = ["--reference", *files[:2], "--sample", files[2]]
    return CliRunner().invoke(
        cli, ["kat", str(network.folder / "project"), "--device", chip, *reference, *options]
    )


@pytest.mark.parametrize("chip", ["MAX78000", "MAX78002"])
def test_all_layers_agree(network: SmallNetwork, chip: str) -> None:
    project(network, chip)
    result = kat(network, chip, "--json")
    assert result.exit_code == 0
    document = json.loads(result.stdout)
    assert document["reference"] == {"layers": LAYERS, "agrees": True, "difference": None}
    assert f"all {LAYERS} layers agree" in result.stderr


def test_a_damaged_weight_is_found_where_it_acts_first(network: SmallNetwork) -> None:
    """Processor 1 takes channel 1; the first byte of its weights is the top left tap of output channel 0.

    There it acts first on the pixel in row 1, column 1: rows and columns before see padding.
    """
    folder = project(network, "MAX78000")
    weights = folder / "weights.h"
    text = weights.read_text()
    chunk = re.search(r"0x50184000, 0x[0-9a-f]{8}, *(?:\\\n *)?0x([0-9a-f]{2})", text)
    assert chunk is not None
    start = chunk.start(1)
    tap = int(network.weights[0][0, 1, 0, 0]) & 0xFF
    assert int(chunk.group(1), 16) == tap
    weights.write_text(f"{text[:start]}{tap ^ 0x80:02x}{text[start + 2 :]}")
    result = kat(network, "MAX78000", "--json")
    assert result.exit_code == 1
    document = json.loads(result.stdout)
    assert document["status"] == "fail"
    difference = document["reference"]["difference"]
    assert difference["layer"] == "layer0"
    assert (difference["hardware_layer"], difference["channel"]) == (0, 0)
    answer = network.answer(1)[0]
    place = difference["row"], difference["column"]
    assert difference["expected"] == answer[place]
    assert difference["computed"] != answer[place]
    assert min(place) >= 1
    assert 0 < difference["differing"] <= answer.size
    assert "layer 'layer0'" in result.stderr


def test_a_damaged_expectation_is_not_the_networks_fault(network: SmallNetwork) -> None:
    folder = project(network, "MAX78000")
    output = folder / "sampleoutput.h"
    words = re.findall(r"0x[0-9a-f]{8}", output.read_text())
    output.write_text(output.read_text().replace(words[3], f"0x{int(words[3], 16) ^ 1:08x}"))
    result = kat(network, "MAX78000")
    assert result.exit_code == 1
    assert (
        f"all {LAYERS} layers agree with the reference: what is wrong comes before or after" in result.stderr
    )


def test_another_network_is_refused(network: SmallNetwork) -> None:
    project(network, "MAX78000", "--stop-after", "1")
    result = kat(network, "MAX78000")
    assert isinstance(result.exception, SynergyError)
    assert result.exception.diagnostics[0].rule == "kat-reference"
    (network.folder / "project" / "log.txt").write_text("ai8xize.py --stop-after 1 --prefix p --no-bias=5\n")
    assert kat(network, "MAX78000").exit_code == 0, "the generator's log says that it stopped there"


def test_a_missing_file_is_refused(network: SmallNetwork) -> None:
    project(network, "MAX78000")
    (network.folder / "small.pth.tar").unlink()
    result = kat(network, "MAX78000", "--json")
    assert result.exit_code == 1
    assert "small.pth.tar" in json.dumps(json.loads(result.stdout)["diagnostics"])


def test_a_sample_alone_is_wrong_usage(tmp_path: Path) -> None:
    arguments = ["kat", str(tmp_path), "--device", "MAX78000", "--sample", "x.npy"]
    assert CliRunner().invoke(cli, arguments).exit_code == 2


def test_tensors_of_a_trace_are_torchs(network: SmallNetwork) -> None:
    folder = project(network, "MAX78002")
    result = CliRunner().invoke(
        cli, ["kat", str(folder), "--device", "MAX78002", "--trace", "layers", "--json"]
    )
    assert result.exit_code == 0
    tensors = json.loads(result.stdout)["tensors"]
    assert len(tensors) == LAYERS
    for number in range(LAYERS):
        computed = np.load(tensors[str(number)])
        assert computed.dtype == (np.int32 if number == LAYERS - 1 else np.int8)
        wanted = network.answer(number + 1)
        np.testing.assert_array_equal(computed.reshape(wanted.shape), wanted)
