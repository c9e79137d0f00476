"""Options of the commands that take a model instead of an app file, and how they refuse one."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from synergyc.cli.refusals import show
from synergyc.diagnostics import SynergyError

if TYPE_CHECKING:
    from synergyc.pipeline.single import ModelRequest

MODEL_HELP = (
    "MODEL is file.py:Class, package.module:Class, FILE.onnx, FILE.pt2 or a checkpoint of ai8x-training"
    " (docs/models.md)."
)
"""What the help of commands with these options ends with."""

Command = TypeVar("Command", bound=Callable[..., Any])
Value = TypeVar("Value")


class Shape(click.ParamType[tuple[int, ...]]):
    """Sizes such as ``1,28,28``."""

    name = "C,H,W"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[int, ...]:
        """Return the sizes as a tuple; fails if they are not one to three positive numbers."""
        if isinstance(value, tuple):
            return value
        parts = str(value).split(",")
        if not 1 <= len(parts) <= 3 or not all(part.isdecimal() and int(part) > 0 for part in parts):
            self.fail(f"{value!r} is not one to three positive sizes such as 3,32,32", param, ctx)
        return tuple(map(int, parts))


class Argument(click.ParamType[tuple[str, object]]):
    """A keyword argument such as ``width=0.5``; values are JSON, anything else is text."""

    name = "NAME=VALUE"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, object]:
        """Return name and value; fails if there is no name."""
        if isinstance(value, tuple):
            return value
        key, equals, text = str(value).partition("=")
        if not equals or not key.isidentifier():
            self.fail(f"{value!r} is not NAME=VALUE", param, ctx)
        try:
            return key, json.loads(text)
        except ValueError:
            return key, text


class LayerBits(click.ParamType[tuple[str, int]]):
    """Weight bits of one layer, such as ``conv1=4``."""

    name = "LAYER=BITS"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, int]:
        """Return the layer's name and its bits; fails if that is not what the text says."""
        if isinstance(value, tuple):
            return value
        layer, _, bits = str(value).rpartition("=")
        if not layer or bits not in {"8", "4", "2", "1"}:
            self.fail(f"{value!r} is not LAYER=BITS with 8, 4, 2 or 1 bits", param, ctx)
        return layer, int(bits)


def model_options(command: Command) -> Command:
    """Add the model argument and the options that say what ``ModelRequest`` holds."""
    for add in (
        click.option(
            "--devices", default=1, type=click.IntRange(min=1), help="Devices that may share the model."
        ),
        click.option("--fit", is_flag=True, help="Narrow the weights that lose least until the model fits."),
        click.option(
            "--layer-bits", multiple=True, type=LayerBits(), help="Weight bits of one layer, before --bits."
        ),
        click.option(
            "--bits",
            default="8",
            show_default=True,
            type=click.Choice(["8", "4", "2", "1"]),
            help="Weight bits.",
        ),
        click.option(
            "--calibrate",
            type=click.Path(path_type=Path),
            metavar="FILE.npy",
            help="Typical inputs (N, C, H, W).",
        ),
        click.option("--arg", "arguments", multiple=True, type=Argument(), help="Argument of the class."),
        click.option(
            "--weights", type=click.Path(path_type=Path), help="Weights: .safetensors, .pt or .pth."
        ),
        click.option(
            "--network",
            type=click.Path(path_type=Path),
            metavar="FILE.yaml",
            help="The vendor's description of a checkpoint's network.",
        ),
        click.option(
            "--input", "input_shape", type=Shape(), help="Shape of one input, where the file leaves it open."
        ),
        click.argument("model", metavar="MODEL"),
    ):
        command = add(command)
    return command


def request_of(
    model: str,
    input_shape: tuple[int, ...] | None,
    network: Path | None,
    weights: Path | None,
    arguments: tuple[tuple[str, object], ...],
    calibrate: Path | None,
    bits: str,
    layer_bits: tuple[tuple[str, int], ...],
    fit: bool,
    devices: int,
    *,
    plans: bool = False,
) -> ModelRequest:
    """Return what the options say; ``plans``: whether the command cuts a model over ``devices``."""
    from synergyc.pipeline.fitting import AUTO
    from synergyc.pipeline.single import ModelRequest

    if fit and (layer_bits or bits != "8"):
        raise click.UsageError("--fit chooses the bits: leave out --bits and --layer-bits")
    if devices > 1 and not (fit or plans):
        raise click.UsageError("--devices says what --fit may use: it has no effect without it")
    return ModelRequest(
        model,
        input_shape,
        weights,
        calibrate,
        AUTO if fit else int(bits),
        _once("--arg", arguments),
        layer_bits=_once("--layer-bits", layer_bits),
        devices=devices,
        network=network,
    )


def _once(option: str, pairs: tuple[tuple[str, Value], ...]) -> dict[str, Value]:
    """Return the pairs of an option as a table; fails if one name is given twice."""
    names = [name for name, _ in pairs]
    for name in names:
        if names.count(name) > 1:
            raise click.UsageError(f"{option} {name} is given {names.count(name)} times: which one counts?")
    return dict(pairs)


def spare_inputs(outputs: Iterable[Path], inputs: Iterable[Path | str | None]) -> None:
    """Fail if a file that is written would take the place of one that is read: both are there afterwards."""
    read = {Path(item).resolve() for item in inputs if item is not None}
    for path in outputs:
        if path.resolve() in read:
            raise click.UsageError(f"{path} is read and would be written over: name another file with -o")


@contextmanager
def refusal_as_json(as_json: bool) -> Iterator[None]:
    """With ``--json``, print what stands against a model as the document that the command owes."""
    try:
        yield
    except SynergyError as error:
        if not as_json:
            raise
        from synergyc.pipeline.single import reasons

        click.echo(json.dumps({"status": "refused", "reasons": reasons(error.diagnostics)}, indent=2))
        show(error.diagnostics)
        raise SystemExit(1) from None
