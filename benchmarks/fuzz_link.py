"""Fuzz the link protocol's C code on this machine: ``python benchmarks/fuzz_link.py --seconds 600``.

Needs clang with libFuzzer. What it checks is in ``tests/firmware/host/fuzz.c``; the address and undefined
behaviour sanitizers look on.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from pathlib import Path

import click

from synergyc.firmware.render import render
from tests.firmware.host_link import PROTOCOL_SOURCES
from tests.firmware.samples import two_devices

HOST = Path(__file__).parent.parent / "tests" / "firmware" / "host"


def build_fuzzer(folder: Path, clang: str) -> Path:
    """Compile the protocol, the harness and the fuzzer into ``folder``."""
    for name, text in render(two_devices()["chest"]).items():
        (folder / name).write_text(text, encoding="utf-8")
    sources = [str(folder / name) for name in PROTOCOL_SOURCES]
    sources += [str(HOST / "harness.c"), str(HOST / "fuzz.c")]
    flags = ["-std=c11", "-O1", "-g", "-fsanitize=fuzzer,address,undefined", "-fno-sanitize-recover=all"]
    binary = folder / "fuzz"
    subprocess.run([clang, *flags, f"-I{folder}", *sources, "-o", str(binary)], check=True)
    return binary


@click.command()
@click.option("--seconds", default=600, show_default=True, help="How long.")
@click.option("--corpus", type=click.Path(path_type=Path), help="Folder where inputs are kept.")
def main(seconds: int, corpus: Path | None) -> None:
    """Run the fuzzer; exit 1 if it finds anything."""
    clang = shutil.which("clang")
    if clang is None:
        raise click.UsageError("needs clang: apt-get install clang")
    with tempfile.TemporaryDirectory() as name:
        binary = build_fuzzer(Path(name), clang)
        inputs = corpus or Path(name) / "corpus"
        inputs.mkdir(parents=True, exist_ok=True)
        options = [f"-max_total_time={seconds}", "-max_len=4096", "-print_final_stats=1"]
        done = subprocess.run([str(binary), *options, str(inputs)], check=False)
    raise SystemExit(1 if done.returncode else 0)


if __name__ == "__main__":
    main()
