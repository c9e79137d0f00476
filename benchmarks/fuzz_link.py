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

from tests.firmware.host_link import protocol_sources

HOST = Path(__file__).parent.parent / "tests" / "firmware" / "host"


def build_fuzzer(folder: Path, clang: str, *, secure: bool) -> Path:
    """Compile the protocol, the harness and the fuzzer into ``folder``."""
    sources = [*protocol_sources(folder, clang, secure=secure), str(HOST / "harness.c"), str(HOST / "fuzz.c")]
    flags = ["-std=c11", "-O1", "-g", "-fsanitize=fuzzer,address,undefined", "-fno-sanitize-recover=all"]
    binary = folder / "fuzz"
    subprocess.run([clang, *flags, *sources, "-o", str(binary)], check=True)
    return binary


@click.command()
@click.option("--seconds", default=600, show_default=True, help="How long.")
@click.option("--corpus", type=click.Path(path_type=Path), help="Folder where inputs are kept.")
@click.option("--secure", is_flag=True, help="Secured links.")
def main(seconds: int, corpus: Path | None, secure: bool) -> None:
    """Run the fuzzer; exit 1 if it finds anything."""
    clang = shutil.which("clang")
    if clang is None:
        raise click.UsageError("needs clang: apt-get install clang")
    with tempfile.TemporaryDirectory() as name:
        binary = build_fuzzer(Path(name), clang, secure=secure)
        inputs = corpus or Path(name) / "corpus"
        inputs.mkdir(parents=True, exist_ok=True)
        options = [f"-max_total_time={seconds}", "-max_len=4096", "-print_final_stats=1"]
        done = subprocess.run([str(binary), *options, str(inputs)], check=False)
    raise SystemExit(1 if done.returncode else 0)


if __name__ == "__main__":
    main()
