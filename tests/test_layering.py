"""The import rules of docs/architecture.md, checked on the source: each stage knows only what it may."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "synergyc"

# Part to the parts it may import besides itself; diagnostics may be imported everywhere.
ALLOWED = {
    "ir": set(),
    "targets": {"ir"},
    "config": {"targets"},
    "reference": {"ir"},
    "export": {"ir"},
    "frontend": {"ir"},
    "quantize": {"ir", "reference"},
    "legalize": {"ir", "targets"},
    "plan": {"ir", "targets"},
    "synth": {"ir", "targets"},
    "toolchain": set(),
    "firmware": {"ir", "targets", "plan", "synth", "toolchain"},
    "emulate": {"targets", "toolchain"},
    "manifest": set(),
    "report": {"ir", "targets", "plan", "manifest"},
}


def _imports(path: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module]
            if node.module == "synergyc":
                names = [f"synergyc.{alias.name}" for alias in node.names]
        found |= {name.split(".")[1] for name in names if name.startswith("synergyc.")}
    return found


@pytest.mark.parametrize("part", sorted(ALLOWED))
def test_part_imports_only_what_it_may(part: str) -> None:
    folder = PACKAGE / part
    files = sorted(folder.rglob("*.py")) if folder.is_dir() else [PACKAGE / f"{part}.py"]
    assert files, f"{part} has no source files"
    for path in files:
        foreign = _imports(path) - ALLOWED[part] - {part, "diagnostics"}
        assert not foreign, f"{path.relative_to(PACKAGE)} imports {sorted(foreign)}"


def test_every_part_has_a_rule() -> None:
    modules = {path.stem for path in PACKAGE.glob("*.py")}
    packages = {path.parent.name for path in PACKAGE.glob("*/__init__.py")}
    assert (modules | packages) - set(ALLOWED) == {
        *("__init__", "__main__", "api", "diagnostics", "pipeline", "cli")
    }


def test_help_does_not_import_torch() -> None:
    code = (
        "import sys, click.testing; from synergyc.cli.main import cli;"
        "r = click.testing.CliRunner().invoke(cli, ['--help']); assert r.exit_code == 0, r.output;"
        "bad = {'torch', 'unicorn', 'onnx', 'numpy'} & set(sys.modules); assert not bad, bad"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
