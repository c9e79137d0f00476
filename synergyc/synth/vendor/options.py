"""The vendor tool's command line, as far as it changes what the accelerator is told."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from synergyc.diagnostics import did_you_mean, fail
from synergyc.synth.native.control import ControlOptions
from synergyc.synth.project.options import ProjectOptions

ALL_LAYERS = -1
"""In ``no_bias``: every layer."""


@dataclass(frozen=True)
class VendorOptions:
    """Options of ``ai8xize.py``; defaults are the tool's."""

    config_file: Path
    checkpoint_file: Path | None = None
    sample_input: Path | None = None
    device: str | None = None
    stop_after: int | None = None
    start_layer: int = 0
    skip_yaml_layers: int = 0
    skip_checkpoint_layers: int = 0
    weight_start: int = 0
    input_offset: int | None = None
    output_width: int | None = None
    no_bias: tuple[int, ...] = ()
    fifo: bool = False
    ignore_streaming: bool = False
    read_ahead: bool = False
    calcx4: bool = False
    streaming_layers: tuple[int, ...] = ()
    ignore_activation: bool = False
    ignore_bias_groups: bool = False
    ignore_bn: bool = False
    fixed_input: bool = False
    max_proc: int | None = None
    share_weights: bool = True
    overlap_data: bool = False
    allow_streaming: bool = False
    debug_snoop: bool = False
    reshape_inputs: bool = False
    synthesize_input: int | None = None
    synthesize_words: int = 8
    weight_input: Path | None = None
    bias_input: Path | None = None
    control: ControlOptions = field(default_factory=ControlOptions)
    project: ProjectOptions = field(default_factory=ProjectOptions)

    def drops_bias(self, layer: int) -> bool:
        """Tell whether the biases of ``layer`` are to be ignored."""
        return ALL_LAYERS in self.no_bias or layer in self.no_bias


def _number(text: str) -> int:
    return int(text, 0)


def _divider(text: str) -> int:
    if int(text) not in {1, 2, 4, 8, 16}:
        raise ValueError(text)
    return int(text)


def _pin(text: str) -> tuple[int, int]:
    """Return port and pin of ``2.5``."""
    port, dot, pin = text.partition(".")
    if not dot:
        raise ValueError(text)
    return int(port), int(pin)


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(item) for item in text.split(","))


def _processors(text: str) -> int:
    """Return a number of processors that fill memory instances, and quadrants if it is more than one."""
    count = int(text)
    if not 4 <= count <= 64 or count % (4 if count <= 16 else 16):
        raise ValueError(text)
    return count


def _trim(text: str) -> tuple[int, int, int]:
    internal, secondary, primary = (_number(item) for item in text.split(","))
    return internal, secondary, primary


def _identifier(text: str) -> str:
    if not text.isidentifier() or not text.isascii():
        raise ValueError(text)
    return text


_VALUES: dict[str, Callable[[str], Any]] = {
    "config-file": Path,
    "checkpoint-file": Path,
    "sample-input": Path,
    "weight-input": Path,
    "bias-input": Path,
    "device": str,
    "stop-after": _number,
    "start-layer": _number,
    "skip-yaml-layers": _number,
    "skip-checkpoint-layers": _number,
    "weight-start": _number,
    "input-offset": _number,
    "output-width": _number,
    "synthesize-input": _number,
    "synthesize-words": _number,
    "max-proc": _processors,
    "streaming-layers": _numbers,
}
_FLAGS: dict[str, tuple[str, bool]] = {
    "allow-streaming": ("allow_streaming", True),
    "calcx4": ("calcx4", True),
    "debug-snoop": ("debug_snoop", True),
    "fifo": ("fifo", True),
    "fixed-input": ("fixed_input", True),
    "ignore-activation": ("ignore_activation", True),
    "ignore-bias-groups": ("ignore_bias_groups", True),
    "ignore-bn": ("ignore_bn", True),
    "ignore-streaming": ("ignore_streaming", True),
    "no-deduplicate-weights": ("share_weights", False),
    "overlap-data": ("overlap_data", True),
    "read-ahead": ("read_ahead", True),
    "reshape-inputs": ("reshape_inputs", True),
}
_CONTROL_FLAGS: dict[str, tuple[str, bool]] = {
    "write-zero-registers": ("write_zero_registers", True),
    "no-mexpress": ("express", False),
    "no-pipeline": ("pipeline", False),
    "avg-pool-rounding": ("average_rounding", True),
    "simple1b": ("one_bit_xor", True),
    "ext-rdy": ("external_ready", True),
    "one-shot": ("one_shot", True),
    "fifo-go": ("fifo_go", True),
    "powerdown": ("power_down_unused", True),
    "zero-sram": ("clear_memories", True),
    "link-layer": ("link_layers", True),
    "init-tram": ("clear_line_buffers", True),
    "zero-unused": ("clear_unused", True),
    "snoop-loop": ("snoop_loop", True),
    "old-kernel-loader": ("fill_gaps", True),
    "new-kernel-loader": ("fill_gaps", False),
    "mexpress": ("express", True),
    "pipeline": ("pipeline", True),
}
_CONTROL_VALUES = {
    "ready-sel": "ready_select",
    "ready-sel-fifo": "ready_select_fifo",
    "ready-sel-aon": "ready_select_aon",
    "override-start": "stream_start",
    "override-delta1": "stream_column",
    "override-delta2": "stream_row",
    "override-rollover": "stream_buffer",
    "increase-start": "stream_lag",
    "increase-delta1": "more_column",
    "increase-delta2": "more_row",
    "repeat-layers": "repeat",
}
_PROJECT_FLAGS: dict[str, tuple[str, bool]] = {
    "softmax": ("softmax", True),
    "unload": ("unload", True),
    "no-unload": ("unload", False),
    "no-kat": ("check", False),
    "no-wfi": ("sleep", False),
    "forever": ("forever", True),
    "stop-start": ("stop_start", True),
    "verify-writes": ("verify_writes", True),
    "verify-kernels": ("verify_weights", True),
    "mlator": ("gather", True),
    "energy": ("energy", True),
    "no-fifo-wait": ("fifo_wait", False),
    "pll": ("pll", True),
    "no-pll": ("pll", False),
    "apb": ("pll", False),
    "balance-speed": ("slow_load", True),
    "max-speed": ("slow_load", False),
}
_PROJECT_VALUES: dict[str, tuple[str, Callable[[str], Any]]] = {
    "prefix": ("prefix", _identifier),
    "timer": ("timer", _number),
    "boost": ("boost", _pin),
    "debugwait": ("wait_s", _number),
    "clock-divider": ("clock_divider", _divider),
    "switch-delay": ("switch_delay_ms", _number),
    "clock-trim": ("clock_trim", _trim),
    "max-checklines": ("check_words", _number),
    "max-verify-length": ("check_words", _number),
}
# Options that change messages, names, checks and simulations of the tool, not what its program does.
_IGNORED_FLAGS = {
    "compact-data", "compact-weights", "debug", "debug-computation", "debug-latency",
    "debug-new-streaming", "display-checkpoint", "embedded-code", "ignore-energy-warning",
    "ignore-mlator-warning", "log", "log-intermediate", "log-last-only", "log-pooling", "legacy-test",
    "mlator-noverify", "no-compact-data", "no-error-stop", "no-log", "no-progress",
    "no-timer", "no-version-check", "no-warn-zero", "overwrite", "short-log", "pretend-zero-sram",
    "rtl-preload-weights", "verbose", "verbose-all",
}  # fmt: skip
_IGNORED_VALUES = {
    "api-filename", "autogen", "autogen_list", "board-name", "c-filename", "define", "define-default-arm",
    "define-default-riscv", "eclipse-includes", "eclipse-openocd-args", "eclipse-variables", "input-filename",
    "kernel-format", "log-filename", "output-bias-filename", "output-config-filename", "output-data-filename",
    "output-filename", "output-pass-filename", "output-weights-filename", "queue-name", "runtest-filename",
    "sample-filename", "sample-numpy-filename", "sample-output-filename", "slow-load", "test-dir", "timeout",
    "top-level", "unroll-8bit", "unroll-mlator", "unroll-wide", "upstream", "version-check-interval",
    "weight-filename", "yamllint",
}  # fmt: skip
_FOR_SIMULATION = "it is for simulations of the chip's design, not for firmware"
_FOR_RISCV = "it needs the RISC-V core, and firmware here runs on the main core"
_REFUSED = {
    **dict.fromkeys(
        (
            "apb-base", "input-csv", "input-csv-format", "input-csv-period", "input-csv-retrace",
            "input-fifo", "input-pix-clk", "input-split", "input-sync", "legacy-kernels", "result-output",
            "rtl", "rtl-preload", "rtl-sim", "test-bist",
        ),
        _FOR_SIMULATION,
    ),
    **dict.fromkeys(
        (
            "deepsleep", "fast-fifo", "fast-fifo-quad", "no-riscv-flash", "riscv", "riscv-cache",
            "riscv-debug", "riscv-exclusive", "riscv-flash",
        ),
        _FOR_RISCV,
    ),
    "ignore-hw-limits": "limits of the chip hold for everybody",
}  # fmt: skip
"""Options of the tool that are not followed, and why."""
_WANTED = {
    "boost": "port and pin, such as 2.5",
    "clock-trim": "three numbers, such as 0x1ff,0,0",
    "clock-divider": "1, 2, 4, 8 or 16",
    "max-proc": "4, 8, 12, 16, 32, 48 or 64",
    "streaming-layers": "numbers of layers, such as 0,1",
    "no-bias": "numbers of layers, such as 0,2",
    "prefix": "a C identifier",
}
"""What the values of options are, where they are not numbers."""
_SHORT = {"-e": "--embedded-code", "-v": "--verbose", "-L": "--log", "-D": "--debug"}
_KNOWN = {
    *_VALUES, *_FLAGS, *_CONTROL_FLAGS, *_CONTROL_VALUES, *_PROJECT_FLAGS, *_PROJECT_VALUES,
    *_IGNORED_FLAGS, *_IGNORED_VALUES, "no-bias",
}  # fmt: skip


def parse_options(arguments: Sequence[str]) -> VendorOptions:
    """Return the options in ``arguments``; raises SynergyError for one that is unknown or not supported."""
    values: dict[str, Any] = {}
    control: dict[str, Any] = {}
    project: dict[str, Any] = {}
    words = _Words(arguments)
    while (name := words.option()) is not None:
        key = name.replace("-", "_")
        if name in _FLAGS:
            switch, value = _FLAGS[name]
            values[switch] = value
        elif name in _VALUES:
            values[key] = words.value(name, _VALUES[name])
        elif name in _CONTROL_FLAGS:
            switch, value = _CONTROL_FLAGS[name]
            control[switch] = value
        elif name in _CONTROL_VALUES:
            control[_CONTROL_VALUES[name]] = words.value(name, _number)
        elif name in _PROJECT_FLAGS:
            switch, value = _PROJECT_FLAGS[name]
            project[switch] = value
        elif name in _PROJECT_VALUES:
            switch, convert = _PROJECT_VALUES[name]
            project[switch] = words.value(name, convert)
        elif name == "no-bias":
            values[key] = words.optional_value(name, _numbers, (ALL_LAYERS,))
        elif name in _IGNORED_VALUES:
            words.value(name, str)
    if "config_file" not in values:
        raise fail("vendor-option", "option --config-file is required")
    return VendorOptions(**values, control=ControlOptions(**control), project=ProjectOptions(**project))


class _Words:
    """The words of a command line, taken one after the other."""

    def __init__(self, arguments: Sequence[str]) -> None:
        self._words = list(arguments)
        self._given: str | None = None

    def option(self) -> str | None:
        """Return the name of the next option, None at the end."""
        if not self._words:
            return None
        word = self._words.pop(0)
        word = _SHORT.get(word, word)
        if not word.startswith("--"):
            raise fail("vendor-option", f"unexpected argument {word!r}")
        name, given, value = word[2:].partition("=")
        self._given = value if given else None
        if name in _REFUSED:
            raise fail("vendor-option", f"unsupported option --{name}: {_REFUSED[name]}")
        if name not in _KNOWN:
            raise fail("vendor-option", f"unsupported option --{name}", hint=did_you_mean(name, _KNOWN))
        return name

    def value(self, name: str, convert: Callable[[str], Any]) -> Any:
        """Return the value that follows, converted."""
        if self._given is None and not self._words:
            raise fail("vendor-option", f"option --{name} needs a value")
        text = self._given if self._given is not None else self._words.pop(0)
        try:
            return convert(text)
        except ValueError as error:
            raise fail(
                "vendor-option", f"option --{name} needs {_WANTED.get(name, 'a number')}, not {text!r}"
            ) from error

    def optional_value(self, name: str, convert: Callable[[str], Any], default: Any) -> Any:
        """Return the value that follows, or ``default`` if an option follows."""
        if self._given is None and (not self._words or self._words[0].startswith("--")):
            return default
        return self.value(name, convert)
