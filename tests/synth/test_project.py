"""Generated projects: compiled without warnings, run on the emulated chip, compared with torch.

Truth: the small network's answer comes from torch (``small_network``); for the vendor's networks it is the
known answer that the vendor's tool wrote (conformance data).
"""

from __future__ import annotations

import gzip
import json
import re
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from synergyc.diagnostics import SynergyError
from synergyc.emulate.kat import KatReport, run
from synergyc.emulate.kat.build import STANDIN, board_of, render_chip_header
from synergyc.pipeline.synth import synthesize_native
from synergyc.targets import load_chip
from synergyc.toolchain import cross_tool
from tests.compilers import NEEDS_CROSS_COMPILER
from tests.synth.small_network import LAYERS, YAML, SmallNetwork, Values, write_small_network
from tests.synth.test_conformance import DATA, VENDOR

COMPILER = cross_tool("gcc")
CHIPS = ["MAX78000", "MAX78002"]
OFFSET, LINES = 0x2000, re.compile(r"0x[0-9a-f]{8}")


@pytest.fixture
def network(tmp_path: Path) -> SmallNetwork:
    return write_small_network(tmp_path)


def synthesize(network: SmallNetwork, chip: str, *options: str, name: str = "project") -> Path:
    folder = network.folder / name
    synthesize_native([*network.arguments, *options], chip, folder)
    return folder


def kat(folder: Path, chip: str) -> KatReport:
    return run(folder, chip, limit_s=30.0)


def expected_words(folder: Path) -> dict[int, tuple[int, int]]:
    """Return mask and value by address, read from the C."""
    numbers = [int(word, 16) for word in LINES.findall((folder / "sampleoutput.h").read_text())]
    words = {}
    position = 0
    while numbers[position]:
        address, mask, count = numbers[position : position + 3]
        for index in range(count):
            words[address + 4 * index] = (mask, numbers[position + 3 + index])
        position += 3 + count
    assert position == len(numbers) - 1
    return words


@pytest.mark.parametrize("chip", CHIPS)
def test_the_known_answer_is_torchs(network: SmallNetwork, chip: str) -> None:
    words = expected_words(synthesize(network, chip))
    base = load_chip(chip).cnn.data_address(0) + OFFSET
    answer = {base + 4 * channel: value for channel, value in enumerate(network.answer()[:4].tolist())}
    second = load_chip(chip).cnn.data_address(1) + OFFSET
    answer[second] = network.answer()[4]
    assert words == {address: (0xFFFFFFFF, value & 0xFFFFFFFF) for address, value in answer.items()}


@pytest.mark.parametrize("chip", CHIPS)
def test_bytes_of_the_known_answer_are_torchs(network: SmallNetwork, chip: str) -> None:
    words = expected_words(synthesize(network, chip, "--stop-after", "1"))
    answer = network.answer(2)
    assert answer.min() < 0 < answer.max()
    for channel, pixels in enumerate(answer.reshape(8, -1).tolist()):
        base = load_chip(chip).cnn.data_address(channel // 4)
        for pixel, value in enumerate(pixels):
            mask, word = words[base + 4 * pixel]
            assert mask == 0xFFFFFFFF
            assert word >> 8 * (channel % 4) & 0xFF == value & 0xFF


# Each changes the program; together they meet every branch of the templates.
OPTIONS: list[tuple[str, ...]] = [
    (),
    ("--stop-after", "1", "--softmax", "--timer", "0", "--debugwait", "0"),
    ("--no-wfi", "--boost", "2.5", "--no-mexpress", "--verify-writes", "--softmax"),
    ("--zero-sram", "--write-zero-registers", "--forever", "--weight-start", "100", "--no-bias"),
    ("--fifo", "--no-unload", "--max-checklines", "2", "--prefix", "other", "--clock-divider", "4"),
    ("--energy", "--verify-kernels", "--mlator", "--stop-after", "1"),
    ("--old-kernel-loader", "--no-mexpress", "--verify-kernels", "--init-tram", "--zero-unused"),
]
SECOND_GENERATION: list[tuple[str, ...]] = [
    ("--one-shot", "--link-layer"),
    ("--no-pll", "--no-pipeline"),
    ("--max-speed", "--switch-delay", "3", "--fixed-input"),
]
RUNS = [
    pytest.param(chip, options, id=f"{chip}{''.join(options)}")
    for chip, listed in (("MAX78000", OPTIONS), ("MAX78002", OPTIONS + SECOND_GENERATION))
    for options in listed
]


@NEEDS_CROSS_COMPILER
@pytest.mark.parametrize(("chip", "options"), RUNS)
def test_it_runs_to_its_own_pass(network: SmallNetwork, chip: str, options: tuple[str, ...]) -> None:
    report = kat(synthesize(network, chip, *options), chip)
    assert report.status == "pass", (report.diagnostics, report.console)
    assert report.accelerator_runs == LAYERS or "--one-shot" not in options


@NEEDS_CROSS_COMPILER
@pytest.mark.parametrize("first", ["0x0000000000000700", "0x0000000000000007"], ids=["apart", "shared"])
def test_four_outputs_at_a_time_give_the_same(network: SmallNetwork, first: str) -> None:
    """Weights of 4 bits in the four physical memories; the answer is checked to be the plain one.

    Where layers share processors, the vendor's placement would let their weights meet.
    """
    text = YAML.replace("0x0000000000000007", first)
    if first.endswith("700"):
        text = text.replace("0x00000000000000ff", "0x0000000000ff0000")
    network = write_small_network(network.folder, yaml=text)
    plain = expected_words(synthesize(network, "MAX78002", name="plain"))
    network = write_small_network(network.folder, yaml=text.replace("4\n", "4\n    calcx4: true\n", 1))
    folder = synthesize(network, "MAX78002")
    assert (folder / "weights.h").read_text() != (network.folder / "plain" / "weights.h").read_text()
    assert expected_words(folder) == plain
    report = kat(folder, "MAX78002")
    assert report.status == "pass", report.diagnostics


@NEEDS_CROSS_COMPILER
def test_a_wrong_answer_is_noticed(network: SmallNetwork) -> None:
    folder = synthesize(network, CHIPS[0])
    words = (folder / "sampleoutput.h").read_text()
    last = LINES.findall(words)[-2]
    (folder / "sampleoutput.h").write_text(words.replace(last, f"0x{int(last, 16) ^ 1:08x}"))
    report = kat(folder, CHIPS[0])
    assert report.status == "fail"
    assert f"expected 0x{int(last, 16) ^ 1:08x}" in report.console


@NEEDS_CROSS_COMPILER
@pytest.mark.parametrize("chip", CHIPS)
@pytest.mark.parametrize(("layers", "option"), [(2, "--unload"), (2, "--mlator"), (3, "--mlator")])
def test_unloaded_values_are_torchs_channel_by_channel(
    network: SmallNetwork, chip: str, layers: int, option: str
) -> None:
    """With ``--mlator`` 8-bit values come through the byte gatherer of the emulated accelerator."""
    folder = synthesize(network, chip, "--stop-after", str(layers - 1), option)
    assert ("gather_bytes" in (folder / "cnn.c").read_text()) == (option == "--mlator" and layers < LAYERS)
    main = (folder / "main.c").read_text()
    call = "    cnn_unload(results);\n"
    assert call in main
    show = (
        '    for (size_t i = 0; i < CNN_OUTPUT_WORDS; i++) printf("value %08x\\n", (unsigned)results[i]);\n'
    )
    (folder / "main.c").write_text(main.replace(call, call + show))
    words = re.findall(r"value ([0-9a-f]{8})", kat(folder, chip).console)
    memory = np.array([int(word, 16) for word in words], dtype="<u4").tobytes()
    answer: Values = network.answer(layers).reshape(-1)
    assert np.frombuffer(memory, "<i4" if layers == LAYERS else "i1").tolist() == answer.tolist()


@NEEDS_CROSS_COMPILER
def test_class_probabilities_are_those_of_softmax(network: SmallNetwork) -> None:
    console = kat(synthesize(network, CHIPS[0], "--softmax"), CHIPS[0]).console
    shown = [float(value) for value in re.findall(r"class \d: ([0-9.]+)%", console)]
    logits = network.answer() / 2.0**14
    powers = np.exp(logits - logits.max())
    assert shown == pytest.approx((100 * powers / powers.sum()).tolist(), abs=0.11)


@NEEDS_CROSS_COMPILER
@pytest.mark.parametrize("chip", CHIPS)
@pytest.mark.parametrize("options", OPTIONS, ids="".join)
def test_no_warnings(network: SmallNetwork, chip: str, options: tuple[str, ...]) -> None:
    folder = synthesize(network, chip, *options)
    for source in sorted(folder.glob("*.c")):
        _compile(source, chip)


@NEEDS_CROSS_COMPILER
def test_two_networks_link_with_prefixes(network: SmallNetwork) -> None:
    """All files of both, under one main function of the firmware's own; the headers in one file as well."""
    objects, headers = [], ""
    for prefix in ("one", "two"):
        folder = synthesize(network, CHIPS[0], "--softmax", "--prefix", prefix, name=prefix)
        main = folder / "main.c"
        main.write_text(
            main.read_text().replace("int main(void)", f"int {prefix}_main(void);\nint {prefix}_main(void)")
        )
        objects += [_compile(folder / name, CHIPS[0]) for name in ("cnn.c", "softmax.c", "main.c")]
        for name in ("cnn.h", "sampledata.h", "sampleoutput.h", "weights.h"):
            headers += f'#include "../{prefix}/{name}"\n'
    calls = "int both(void);\nint both(void) { return one_cnn_init() & two_cnn_init(); }\n"
    (network.folder / "one" / "both.c").write_text(f'#include "mxc.h"\n{headers}{calls}')
    objects.append(_compile(network.folder / "one" / "both.c", CHIPS[0]))
    linked = network.folder / "both.o"
    subprocess.run([COMPILER, "-nostdlib", "-r", "-o", linked, *objects], check=True)
    names = subprocess.run(["arm-none-eabi-nm", linked], check=True, capture_output=True, text=True).stdout
    wanted = ("cnn_init", "cnn_time", "load_input", "check_output")
    assert {f"{prefix}_{name}" for prefix in ("one", "two") for name in wanted} <= set(names.split())


def _compile(source: Path, chip: str) -> Path:
    """Compile with all warnings as errors; return the object file."""
    data = load_chip(chip)
    (source.parent / "chip.h").write_text(render_chip_header(data, board_of(data)))
    target = source.with_suffix(".o")
    warnings = ["-std=c11", "-Os", "-Wall", "-Wextra", "-Wpedantic", "-Wshadow", "-Wconversion", "-Werror"]
    includes = ["-I", str(source.parent), "-isystem", str(STANDIN)]
    subprocess.run(
        [COMPILER, "-mcpu=cortex-m4", "-mthumb", *warnings, *includes, "-c", source, "-o", target], check=True
    )
    return target


def test_every_weight_is_in_flash_once_and_nothing_else_is_large(network: SmallNetwork) -> None:
    """Weights, sample and answer are constants: no array without const, but for the results."""
    folder = synthesize(network, CHIPS[0])
    code = "".join(path.read_text() for path in folder.glob("*.c"))
    arrays = re.findall(r"^(static.*)\[[A-Z_]*\](?: =|;)", code, re.MULTILINE)
    assert [text for text in arrays if "const" not in text] == ["static uint32_t results"]
    assert code.count("= KERNELS") == 1


def test_equal_input_gives_equal_text(network: SmallNetwork) -> None:
    one, two = (synthesize(network, CHIPS[0], name=name) for name in ("one", "two"))
    assert {path.name: path.read_bytes() for path in one.iterdir()} == {
        path.name: path.read_bytes() for path in two.iterdir()
    }


def test_input_that_fifos_do_not_take_is_refused(network: SmallNetwork) -> None:
    wide = YAML.replace("processors: 0x0000000000000007", "processors: 0x0000000000000031")
    network = write_small_network(network.folder, yaml=wide)
    with pytest.raises(SynergyError):
        synthesize(network, CHIPS[0], "--fifo")


# Small cases: 1-D and 2-D, several passes, FIFOs, streaming, element-wise layers.
CASES = ["upsample", "eltwise", "fifostream-pool.fifo", "passthrough", "widein", "conv1d-dilation8-k2-pad0"]


def _cases() -> list[Any]:
    if not (DATA / "index.json").is_file():
        return [pytest.param(None, marks=pytest.mark.skip(reason="no conformance data"), id="none")]
    cases = json.loads((DATA / "index.json").read_text())
    chosen = []
    for name in CASES:
        for chip in ("78000", "78002"):
            found = [c for c in cases if name in c["id"] and c["id"].endswith(chip) and c["inputs"]]
            chosen += sorted(found, key=lambda c: int(c["output_words"]))[:1]
    return [pytest.param(case, id=case["id"]) for case in chosen]


@NEEDS_CROSS_COMPILER
@pytest.mark.parametrize("case", _cases())
def test_the_vendors_networks_have_the_vendors_answer(case: dict[str, Any], tmp_path: Path) -> None:
    files = {"--config-file", "--checkpoint-file", "--sample-input"}
    arguments = [
        str(DATA / "inputs" / word) if before in files else word
        for before, word in zip(["", *case["args"]], case["args"], strict=False)
    ]
    try:
        synthesize_native(arguments, case["device"], tmp_path / "project")
    except SynergyError as error:
        if VENDOR or error.diagnostics[0].rule != "vendor-file":
            raise
        pytest.skip("bias arrays are not in the data")
    with gzip.open(DATA / "traces" / f"{case['id']}.json.gz", "rt") as file:
        blocks = json.load(file)["expected"]
    theirs = {
        int(address, 16) + 4 * index: (int(mask, 16), int(word, 16) & int(mask, 16))
        for address, mask, values in blocks
        for index, word in enumerate(re.findall("........", values))
        if int(mask, 16)
    }
    assert expected_words(tmp_path / "project") == theirs
    report = kat(tmp_path / "project", case["device"])
    assert report.status == "pass", report.diagnostics
