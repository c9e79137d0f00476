"""Wall time from generated C to PASS: ``python benchmarks/kat.py DIR --device MAX78000 [--bar-s 1.5]``.

DIR is a project folder of the vendor's generator. The command runs as a user runs it, in a process of its
own, compiler included; the best of several runs counts, as other load only ever adds. ``best_cpu_s`` is the
processor time of command and compiler together, which other load changes little.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
from pathlib import Path


def measure(folder: Path, device: str) -> tuple[float, float, dict[str, object]]:
    """Return wall time and processor time in seconds of one run, and what the run reported."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    begin = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-m", "synergyc", "kat", str(folder), "--device", device, "--json"],
        capture_output=True,
        text=True,
        check=False,
    )
    wall_s = time.perf_counter() - begin
    if done.returncode != 0:
        raise SystemExit(f"{folder} does not pass:\n{done.stderr}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu_s = after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
    return wall_s, cpu_s, json.loads(done.stdout)


def main() -> None:
    """Print one line of JSON; exit code 1 when the bar is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--device", required=True)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--bar-s", type=float, default=1.5)
    options = parser.parse_args()
    results = [measure(options.folder, options.device) for _ in range(options.runs)]
    best_s = min(wall_s for wall_s, _, _ in results)
    best_cpu_s = min(cpu_s for _, cpu_s, _ in results)
    report = results[0][2]
    row = {"project": str(options.folder), "device": options.device}
    row |= {"best_s": round(best_s, 3), "best_cpu_s": round(best_cpu_s, 3)}
    row |= {key: report[key] for key in ("instructions", "cycles", "time_s")}
    print(json.dumps(row))
    raise SystemExit(0 if best_s <= options.bar_s else 1)


if __name__ == "__main__":
    main()
