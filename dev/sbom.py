"""Writes the bill of materials (SBOM) of a release: everything that is installed with the provider and its extras.

``python dev/sbom.py WHEEL FOLDER``, which ``make dist`` runs, installs the wheel into an empty environment, with the
versions that ``constraints.txt`` pins, and writes what is there then as CycloneDX, in JSON. Two runs write the same.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

from packaging.utils import parse_wheel_filename

PROJECT = Path(__file__).resolve().parent.parent

_SPECIFICATION = "1.6"
_DYNAMIC_VERSION = 'dynamic = ["version"]'


def write_sbom(wheel: Path, folder: Path, *, validate: bool = True) -> Path:
    """Write the bill of materials of a wheel into a folder, and return the file.

    :param validate: whether to check it against CycloneDX's schema, which takes most of the time.
    """
    name, version, *_ = parse_wheel_filename(wheel.name)
    file = folder / f"{name}-{version}.cdx.json"
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="opencx-sbom-") as temporary:
        environment = _installed(wheel, Path(temporary) / "venv")
        described = _with_version(str(version), Path(temporary) / "pyproject.toml")
        form = (*_form(described), "--validate" if validate else "--no-validate")
        _python("cyclonedx_py", "environment", *form, "--output-file", str(file), str(environment))
    return file


def _installed(wheel: Path, environment: Path) -> Path:
    """Make an environment that has the wheel, what it needs and what its extras need, and nothing else."""
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]
    requirement = f"{wheel.resolve()}[{','.join(project['optional-dependencies'])}]"
    _python("uv", "venv", "--quiet", "--python", sys.executable, str(environment))
    pins = ("--constraint", str(PROJECT / "constraints.txt"))
    _python("uv", "pip", "install", "--quiet", "--python", str(environment), *pins, requirement)
    return environment


def _with_version(version: str, file: Path) -> Path:
    """Write a copy of pyproject.toml that has the version: CycloneDX reads no version that hatchling finds."""
    text = (PROJECT / "pyproject.toml").read_text()
    if _DYNAMIC_VERSION not in text:
        raise ValueError(f"pyproject.toml does not say {_DYNAMIC_VERSION}")
    file.write_text(text.replace(_DYNAMIC_VERSION, f'version = "{version}"'))
    return file


def _form(described: Path) -> tuple[str, ...]:
    """Return what is written: the provider as the root, in a form that is always the same."""
    return (
        *("--pyproject", str(described), "--mc-type", "library"),
        *("--output-format", "JSON", "--spec-version", _SPECIFICATION, "--output-reproducible"),
    )


def _python(*arguments: str) -> None:
    subprocess.run([sys.executable, "-m", *arguments], check=True)


if __name__ == "__main__":
    print(write_sbom(Path(sys.argv[1]), Path(sys.argv[2])))
