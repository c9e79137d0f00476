"""Build hook: compiles the emulator's block hook where a C compiler is found.

The package works without it, only slower. ``python hatch_build.py`` compiles it in place, for work in a
checkout.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sysconfig
from pathlib import Path
from typing import Any

SOURCE = Path("synergyc/emulate/native/block_clock.c")
LIBRARY = SOURCE.with_suffix(".so")


def compile_library(root: Path) -> Path | None:
    """Return the compiled library inside ``root``, or None when there is no working C compiler."""
    compiler = shlex.split(os.environ.get("CC", "cc"))
    if shutil.which(compiler[0]) is None:
        return None
    # No build identifier and no paths: the same source gives the same bytes.
    command = [*compiler, "-O2", "-std=c11", "-shared", "-fPIC", "-fvisibility=hidden", "-Wl,--build-id=none"]
    result = subprocess.run([*command, "-o", str(LIBRARY), str(SOURCE)], cwd=root, check=False)
    return root / LIBRARY if result.returncode == 0 else None


try:
    from hatchling.builders.hooks.plugin.interface import BuildHookInterface
except ImportError:  # run as a script, outside a build
    pass
else:

    class NativeBuildHook(BuildHookInterface[Any]):
        """Adds the compiled block hook to the wheel and marks the wheel as built for this platform."""

        PLUGIN_NAME = "custom"

        def initialize(self, version: str, build_data: dict[str, Any]) -> None:
            """Compile before the files of the wheel are gathered."""
            if self.target_name != "wheel" or compile_library(Path(self.root)) is None:
                return
            platform = sysconfig.get_platform().replace("-", "_").replace(".", "_")
            build_data["pure_python"] = False
            build_data["tag"] = f"py3-none-{platform}"
            build_data["artifacts"].append(str(LIBRARY))


if __name__ == "__main__":
    built = compile_library(Path(__file__).parent)
    print(built or "no C compiler found: the emulator will use its Python hook")
