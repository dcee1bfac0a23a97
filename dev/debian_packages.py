"""Finds the programs that some tests need, such as a browser and two databases, and installs them on Debian.

They come from Debian's packages. ``python dev/debian_packages.py`` installs what is missing where it may, as root on
a Debian machine; elsewhere it says what to do, and the tests that need a program are skipped.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

# The package that brings each program.
PACKAGES = {
    "chromium": "chromium",
    "curl": "curl",
    "redis-server": "redis-server",
    "postgres": "postgresql",
    "tmux": "tmux",
}

# Debian keeps the servers of PostgreSQL, of which several versions may be there, out of the PATH.
_OFF_THE_PATH = {"postgres": ("/usr/lib/postgresql", "*/bin/postgres")}


def find(program: str) -> Path | None:
    """Return where a program is, or ``None``."""
    if program in _OFF_THE_PATH:
        folder, pattern = _OFF_THE_PATH[program]
        return max(Path(folder).glob(pattern), key=lambda path: float(path.parts[-3]), default=None)
    found = shutil.which(program)
    return Path(found) if found else None


def how_to_get(program: str) -> str:
    """Return a sentence that tells a person how to get a program."""
    return f"{program} is not installed; on Debian: apt-get install {PACKAGES[program]}"


def main() -> None:
    """Install what is missing, or say how."""
    missing = _missing()
    if missing and shutil.which("apt-get") and os.geteuid() == 0:
        _install([PACKAGES[program] for program in missing])
        missing = _missing()
    if missing:
        print("Some tests will be skipped.", *map(how_to_get, missing), sep="\n")


def _missing() -> list[str]:
    return [program for program in PACKAGES if find(program) is None]


def _install(packages: Sequence[str]) -> None:
    # No package starts its service, by init or by systemd: the tests start servers of their own.
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive", "RUNLEVEL": "1", "SYSTEMD_OFFLINE": "1"}
    print(f"Installing Debian's packages of programs that some tests drive: {', '.join(packages)}.")
    print("This takes a minute or two, once ...", flush=True)
    # One by one: what one release of Debian does not have should not keep the others away.
    for command in (["update"], *(["install", "--yes", "--no-install-recommends", package] for package in packages)):
        patiently = ["apt-get", "--quiet=2", "--option", "DPkg::Lock::Timeout=300"]
        subprocess.run([*patiently, *command], env=environment, check=False, stdout=subprocess.DEVNULL)


if __name__ == "__main__":
    main()
