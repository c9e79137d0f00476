"""The vendor tool's command line, as far as it changes what the accelerator is told."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from synergyc.diagnostics import did_you_mean, fail
from synergyc.synth.native.control import ControlOptions

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
    control: ControlOptions = field(default_factory=ControlOptions)

    def drops_bias(self, layer: int) -> bool:
        """Tell whether the biases of ``layer`` are to be ignored."""
        return ALL_LAYERS in self.no_bias or layer in self.no_bias


def _number(text: str) -> int:
    return int(text, 0)


_VALUES: dict[str, Callable[[str], Any]] = {
    "config-file": Path,
    "checkpoint-file": Path,
    "sample-input": Path,
    "device": str,
    "stop-after": _number,
    "start-layer": _number,
    "skip-yaml-layers": _number,
    "skip-checkpoint-layers": _number,
    "weight-start": _number,
    "input-offset": _number,
    "output-width": _number,
}
_FLAGS = {"fifo", "ignore-streaming"}
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
}
_CONTROL_VALUES = {
    "ready-sel": "ready_select",
    "ready-sel-fifo": "ready_select_fifo",
    "ready-sel-aon": "ready_select_aon",
}
# Options without effect on registers and memories before the start, or only on the sample.
_IGNORED_FLAGS = {
    "allow-streaming", "compact-data", "display-checkpoint", "embedded-code", "energy", "fixed-input",
    "legacy-test", "log-intermediate", "log-last-only", "max-speed", "mlator", "mlator-noverify",
    "no-error-stop", "no-kat", "no-pll", "no-progress", "no-unload", "no-version-check", "no-wfi",
    "overlap-data", "overwrite", "reshape-inputs", "softmax", "verbose", "verify-kernels", "verify-writes",
}  # fmt: skip
_IGNORED_VALUES = {
    "api-filename", "board-name", "boost", "c-filename", "debugwait", "max-checklines", "max-verify-length",
    "prefix", "sample-filename", "sample-numpy-filename", "sample-output-filename", "synthesize-input",
    "synthesize-words", "test-dir", "timer", "weight-filename", "yamllint",
}  # fmt: skip
_KNOWN = {
    *_VALUES, *_FLAGS, *_CONTROL_FLAGS, *_CONTROL_VALUES, *_IGNORED_FLAGS, *_IGNORED_VALUES, "no-bias",
}  # fmt: skip


def parse_options(arguments: Sequence[str]) -> VendorOptions:
    """Return the options in ``arguments``; raises SynergyError for one that is unknown or not supported."""
    values: dict[str, Any] = {}
    control: dict[str, Any] = {}
    words = _Words(arguments)
    while (name := words.option()) is not None:
        key = name.replace("-", "_")
        if name in _FLAGS:
            values[key] = True
        elif name in _VALUES:
            values[key] = words.value(name, _VALUES[name])
        elif name in _CONTROL_FLAGS:
            switch, value = _CONTROL_FLAGS[name]
            control[switch] = value
        elif name in _CONTROL_VALUES:
            control[_CONTROL_VALUES[name]] = words.value(name, _number)
        elif name == "no-bias":
            values[key] = words.optional_value(name, _numbers, (ALL_LAYERS,))
        elif name in _IGNORED_VALUES:
            words.value(name, str)
    if "config_file" not in values:
        raise fail("vendor-option", "option --config-file is required")
    return VendorOptions(**values, control=replace(ControlOptions(), **control))


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(item) for item in text.split(","))


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
        if not word.startswith("--"):
            raise fail("vendor-option", f"unexpected argument {word!r}")
        name, given, value = word[2:].partition("=")
        self._given = value if given else None
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
            raise fail("vendor-option", f"option --{name} needs a number, not {text!r}") from error

    def optional_value(self, name: str, convert: Callable[[str], Any], default: Any) -> Any:
        """Return the value that follows, or ``default`` if an option follows."""
        if self._given is None and (not self._words or self._words[0].startswith("--")):
            return default
        return self.value(name, convert)
