"""Layers in C between a daemon and its system, put there by the dynamic linker (ld.so(8), LD_PRELOAD)."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path


def compiler() -> str | None:
    """Return the C compiler that layers need, None where there is none."""
    return shutil.which("cc")


def built_layer(name: str, folder: Path) -> dict[str, str]:
    """Compile `name`.c beside this module; return the environment that puts it under a process."""
    library = folder / f"{name}.so"
    cc = compiler()
    assert cc is not None, "a C compiler is needed: apt install gcc libc6-dev"
    source = Path(__file__).with_name(f"{name}.c")
    subprocess.run(
        [cc, "-shared", "-fPIC", "-O1", "-Wall", "-Werror", "-o", library, source, "-ldl"],
        check=True,
        timeout=60,
    )
    return {"LD_PRELOAD": str(library)}
