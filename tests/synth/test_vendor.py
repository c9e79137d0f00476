"""Reading the vendor tool's input: defaults, derived values, and wrong input with its place."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from synergyc.diagnostics import SynergyError
from synergyc.synth.native import ControlOptions
from synergyc.synth.vendor import VendorNetwork, parse_options, read_vendor
from synergyc.targets import load_chip

YAML = """\
arch: tiny
dataset: tiny
layers:
  - processors: 0x7
    op: conv2d
    kernel_size: 3x3
    pad: 1
    activate: ReLU
    out_offset: 0x4000
  - processors: 0x000000000000000f
    op: linear
    flatten: true
    out_offset: 0x0000
    output_width: 32
"""


def write(
    folder: Path, text: str = YAML, *, arch: str = "tiny", bits: int = 8, scale: int = 100
) -> list[str]:
    """Write the three files; return the arguments that name them."""
    rng = np.random.default_rng(0)
    state = {
        "conv.op.weight": torch.tensor(rng.integers(-scale, scale, (4, 3, 3, 3)), dtype=torch.float32),
        "conv.op.bias": torch.tensor([1.0, -2.0, 3.0, -4.0]) * 2 ** (bits - 1),
        "conv.output_shift": torch.tensor([-1.0]),
        "conv.weight_bits": torch.tensor([float(bits)]),
        "fc.op.weight": torch.tensor(rng.integers(-scale, scale, (5, 80)), dtype=torch.float32),
    }
    (folder / "net.yaml").write_text(text)
    torch.save({"epoch": 0, "arch": arch, "state_dict": state}, folder / "net.pth.tar")
    np.save(folder / "net.npy", rng.integers(-128, 128, (3, 4, 5)))
    options = {"--config-file": "net.yaml", "--checkpoint-file": "net.pth.tar", "--sample-input": "net.npy"}
    return [word for key, name in options.items() for word in (key, str(folder / name))]


def read(arguments: list[str], chip: str = "max78000") -> VendorNetwork:
    return read_vendor(parse_options(arguments), load_chip(chip))


def refusal(folder: Path, text: str = YAML, **options: object) -> tuple[str, str, int]:
    """Return rule, message and line of the refusal."""
    with pytest.raises(SynergyError) as error:
        read(write(folder, text, **options))  # type: ignore[arg-type]
    first = error.value.diagnostics[0]
    return first.rule, first.message, first.location.line if first.location else 0


def test_what_is_left_open_is_derived(tmp_path: Path) -> None:
    placed = read(write(tmp_path)).placed
    first, second = placed.layers
    assert first.output_processors == 0xF  # the next layer's processors
    assert second.output_processors == 0x1F  # packed from processor 0
    assert second.in_offset_bytes == 0x4000  # where the layer before wrote
    assert first.layer.output_shift == -1
    assert first.layer.bias is not None
    assert first.layer.bias.tolist() == [1, -2, 3, -4]
    assert second.layer.in_shape == (4, 4, 5)
    assert second.layer.wide
    assert placed.quadrants == (0,)


def test_narrow_weights_scale_biases(tmp_path: Path) -> None:
    first = read(write(tmp_path, bits=4, scale=8)).placed.layers[0].layer
    assert first.weight_bits == 4
    assert first.hardware_shift == -1 + 4
    assert first.bias is not None
    assert first.bias.tolist() == [1, -2, 3, -4]


def test_a_conv1d_layer_without_padding_changes_the_default_of_all(tmp_path: Path) -> None:
    # Section 8, pitfall 12.
    text = YAML.replace("    pad: 1\n", "")
    assert read(write(tmp_path, text)).placed.layers[0].layer.padding == (1, 1)
    flat = "  - processors: 0x1\n    op: conv1d\n    kernel_size: 3\n    out_offset: 0\n"
    first = parse_first_padding(tmp_path, text + flat)
    assert first == (1, 0)


def parse_first_padding(folder: Path, text: str) -> tuple[int, int]:
    from synergyc.synth.vendor.config import load_config

    (folder / "flat.yaml").write_text(text)
    return load_config(folder / "flat.yaml").layers[0].pad


def test_stop_after_ends_the_network(tmp_path: Path) -> None:
    placed = read([*write(tmp_path), "--stop-after", "0"]).placed
    assert len(placed.layers) == 1
    assert placed.layers[0].output_processors == 0xF  # the map that it would have had


def test_layers_can_be_skipped(tmp_path: Path) -> None:
    arguments = write(tmp_path)
    np.save(tmp_path / "net.npy", np.zeros((4, 4, 5), dtype=np.int64))
    skip = ["--skip-yaml-layers", "1", "--skip-checkpoint-layers", "1"]
    placed = read([*arguments, *skip, "--input-offset", "0x2000"]).placed
    assert [layer.hardware_layer for layer in placed] == [0]
    assert placed.layers[0].layer.flatten


JUMPS = """\
arch: tiny
dataset: tiny
layers:
  - {processors: 0x7, op: conv2d, pad: 1, out_offset: 0x4000, output_processors: 0xf, next_sequence: copy}
  - {processors: 0xf, op: linear, flatten: true, out_offset: 0x5000, output_width: 32, next_sequence: stop}
  - {processors: 0xf, op: none, out_offset: 0x2000, next_sequence: 1, simulated_sequence: stop, name: copy}
"""


def test_layers_run_in_the_order_that_they_name(tmp_path: Path) -> None:
    """Registers stay in the order of numbers; jumps become links, where the chip has them."""
    arguments = write(tmp_path, JUMPS)
    with pytest.raises(SynergyError, match="next_sequence of layer 0 cannot be 2"):
        read(arguments)
    network = read(arguments, "max78002")
    assert [layer.follower for layer in network.placed] == [2, None, 1]
    assert [layer.stops for layer in network.placed] == [False, True, False]
    assert (network.placed.first_layer, network.placed.last_layer) == (0, 1)
    assert [layer.name for layer in network.execution] == ["layer0", "layer2"]
    assert [output.tensor.name for output in network.placed.outputs] == ["layer2"]


def test_snoop_units_are_for_chips_that_have_them(tmp_path: Path) -> None:
    arguments = write(tmp_path, YAML.replace("layers:", f"snoop: {list(range(32))}\nlayers:"))
    with pytest.raises(SynergyError, match="no registers for snoop"):
        read(arguments)
    assert read(arguments, "max78002").placed.snoop == tuple(range(24))


SHARED = """\
arch: tiny
dataset: tiny
layers:
  - {processors: 0x7, op: conv2d, pad: 1, out_offset: 0x4000}
  - {processors: 0xf, op: linear, flatten: true, out_offset: 0x2000, output_processors: 0x1f}
  - {processors: 0xf, op: linear, flatten: true, out_offset: 0x1000, weight_source: 1, in_offset: 0x4000,
     in_channels: 80, in_sequences: 0}
  - {processors: 0x1f, op: conv2d, kernel_size: 1x1, pad: 0, out_offset: 0, bypass: true}
"""


def test_weights_of_another_layer_and_of_none(tmp_path: Path) -> None:
    layers = read(write(tmp_path, SHARED), "max78002").placed.layers
    weights = [np.asarray(layer.layer.weight) for layer in layers]
    assert np.array_equal(weights[2], weights[1])
    assert layers[2].weight_slot == layers[1].weight_slot
    assert weights[3].tolist() == np.ones((5, 5, 1, 1)).tolist()
    assert layers[3].layer.output_shift == 7


def test_options_of_the_control_registers() -> None:
    options = parse_options(["--config-file=n.yaml", "--zero-sram", "--no-mexpress", "--no-bias", "--fifo"])
    assert options.control == ControlOptions(clear_memories=True, express=False)
    assert options.fifo
    assert options.drops_bias(7)
    assert not parse_options(["--config-file", "n.yaml", "--no-bias", "1,2"]).drops_bias(0)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--config-file", "n.yaml", "--fiffo"], "unsupported option --fiffo"),
        (["--config-file"], "needs a value"),
        (["--config-file", "n.yaml", "--stop-after", "x"], "needs a number, not 'x'"),
        (["net.yaml"], "unexpected argument 'net.yaml'"),
        (["--fifo"], "--config-file is required"),
    ],
)
def test_wrong_options_are_refused(arguments: list[str], message: str) -> None:
    with pytest.raises(SynergyError, match=message):
        parse_options(arguments)


@pytest.mark.parametrize(
    ("old", "new", "rule", "message", "line"),
    [
        ("processors: 0x7", "processor: 0x7", "vendor-key", "unknown key 'processor'", 4),
        ("processors: 0x7", "processors: 0", "vendor-value", "must be a map", 4),
        ("op: conv2d", "op: conv4d", "vendor-value", "unknown operator 'conv4d'", 5),
        ("kernel_size: 3x3", "kernel_size: 5x5", "vendor-value", "must be 1x1 or 3x3", 6),
        ("pad: 1", "pad: -1", "vendor-value", "must be a number from 0 on", 7),
        ("activate: ReLU", "activate: tanh", "vendor-value", "tanh", 8),
        ("activate: ReLU", "buffer_shift: 2", "vendor-unsupported", "unsupported key 'buffer_shift'", 8),
        ("activate: ReLU", "weight_source: fc", "vendor-value", "there is no layer 'fc'", 8),
        ("activate: ReLU", "snoop_sequence: 7", "vendor-value", "which never runs", 4),
        ("activate: ReLU", "sequence: -1", "vendor-value", "must be a number of its own", 4),
        ("activate: ReLU", "operation: linear", "vendor-key", "'operation' means the same as 'op'", 8),
        ("dataset: tiny", "dataset: tiny\nsnoop: [1]", "vendor-value", "must be a list of 32 numbers", 3),
        ("dataset: tiny", "dataset: tiny\ndata_buffer: []", "vendor-unsupported", "'data_buffer'", 3),
        ("dataset: tiny", "datasets: tiny", "vendor-yaml", "needs the keys", 0),
        ("    pad: 1", "    pad: 1\n    pad: 2", "vendor-yaml", "duplicate key", 8),
        ("output_width: 32", "output_width: 16", "vendor-value", "must be 8 or 32", 14),
        ("output_width: 32", "in_sequences: [7]", "vendor-value", "must name earlier layers", 10),
        ("output_width: 32", "next_sequence: 0", "vendor-value", "next_sequence of layer 1 cannot be 0", 10),
        ("    flatten: true\n", "", "processor-map", "does not hold 80 channels", 0),
    ],
)
def test_wrong_descriptions_are_refused_at_their_line(
    tmp_path: Path, old: str, new: str, rule: str, message: str, line: int
) -> None:
    assert old in YAML
    found = refusal(tmp_path, YAML.replace(old, new, 1))
    assert (found[0], found[2]) == (rule, line)
    assert message in found[1]


def test_checkpoints_that_do_not_match_are_refused(tmp_path: Path) -> None:
    assert refusal(tmp_path, arch="other")[0] == "vendor-arch"
    assert refusal(tmp_path, scale=300)[0] == "vendor-range"
    assert refusal(tmp_path, YAML.replace("3x3", "1x1").replace("pad: 1", "pad: 0"))[0] == "vendor-weights"
    assert refusal(tmp_path, YAML + YAML[YAML.index("  - processors: 0x000") :])[0] == "vendor-weights"


@pytest.mark.parametrize(
    ("key", "values", "message"),
    [
        ("conv.op.weight", torch.full((4, 3, 3, 3), 0.37), "are not whole numbers"),
        ("conv.op.weight", torch.full((4, 3, 3, 3), float("nan")), "are not whole numbers"),
        ("bn.bn.weight", torch.ones(4), "batch normalization must be folded"),
        ("conv.op.bias", torch.zeros(3), "one bias for each output channel"),
        ("conv.weight_bits", torch.tensor([3.0]), "weights must have"),
        ("conv.output_shift", torch.tensor([30.0]), "output shift is out of range"),
    ],
)
def test_checkpoints_that_were_not_prepared_are_refused(
    tmp_path: Path, key: str, values: torch.Tensor, message: str
) -> None:
    arguments = write(tmp_path, scale=3)
    checkpoint = torch.load(tmp_path / "net.pth.tar", weights_only=True)
    checkpoint["state_dict"][key] = values
    torch.save(checkpoint, tmp_path / "net.pth.tar")
    with pytest.raises(SynergyError, match=message):
        read(arguments)


def test_weights_keep_their_stored_width(tmp_path: Path) -> None:
    """Zeros and ones are no reason for 1 bit or for -1/+1 weights, which the vendor's tool makes of them."""
    arguments = write(tmp_path)
    checkpoint = torch.load(tmp_path / "net.pth.tar", weights_only=True)
    checkpoint["state_dict"]["conv.op.weight"] = torch.zeros(4, 3, 3, 3)
    checkpoint["state_dict"]["fc.op.weight"] = torch.ones(5, 80)
    torch.save(checkpoint, tmp_path / "net.pth.tar")
    layers = read(arguments, "max78002").placed.layers
    assert [(layer.layer.weight_bits, layer.binary) for layer in layers] == [(8, False), (8, False)]


def test_samples_that_do_not_match_are_refused(tmp_path: Path) -> None:
    arguments = write(tmp_path)
    for sample, message in (
        (np.zeros((3, 4, 5)), "must be int64"),
        (np.full((3, 4, 5), 200), "must fit 8 bits"),
        (np.array([{}], dtype=object), "not a readable array"),
    ):
        np.save(tmp_path / "net.npy", sample)
        with pytest.raises(SynergyError, match=message):
            read(arguments)
