"""Builds what would be published, a wheel and an sdist, from a copy of the project."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

FILES = (
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "LICENSE",
    "Makefile",
    "README.md",
    "SECURITY.md",
    "constraints.txt",
    "noxfile.py",
    "pyproject.toml",
    ".gitignore",
    ".pre-commit-config.yaml",
    ".readthedocs.yaml",
)
FOLDERS = (
    ".ci",
    ".github",
    "airflow_provider_opencx",
    "benchmarks",
    "constraints",
    "dev",
    "docs",
    "example_dags",
    "tests",
)
LEAVE_OUT = shutil.ignore_patterns("__pycache__", "*.pyc", "_build", ".pytest_cache")


@pytest.fixture(scope="session")
def project() -> Path:
    """The top of the repository."""
    return Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def build() -> Callable[[Path, Path], tuple[Path, Path]]:
    """Builds the wheel and the sdist of a source tree."""

    def build(source: Path, into: Path) -> tuple[Path, Path]:
        command = [sys.executable, "-m", "hatchling", "build", "-d", str(into)]
        subprocess.run(command, cwd=source, check=True, capture_output=True)
        return next(into.glob("*.whl")), next(into.glob("*.tar.gz"))

    return build


@pytest.fixture(scope="session")
def source(project: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of what is published of the project, with such litter as work on it leaves behind."""
    copy = tmp_path_factory.mktemp("source") / "project"
    copy.mkdir()
    for name in FILES:
        shutil.copy(project / name, copy)
    for name in FOLDERS:
        shutil.copytree(project / name, copy / name, ignore=LEAVE_OUT)
    return copy


@pytest.fixture(scope="session")
def published(source: Path) -> set[str]:
    """The names of the files that the sdist should hold, before anybody has worked there."""
    return {str(file.relative_to(source)) for file in source.rglob("*") if file.is_file()}


@pytest.fixture(scope="session")
def built(
    source: Path,
    published: set[str],
    build: Callable[[Path, Path], tuple[Path, Path]],
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[Path, Path]:
    """The wheel and the sdist."""
    for litter in (
        "airflow_provider_opencx/__pycache__/connection.cpython-311.pyc",
        "docs/_build/html/index.html",
        ".nox/log",
        ".venv/pyvenv.cfg",
    ):
        assert litter not in published
        (source / litter).parent.mkdir(parents=True)
        (source / litter).write_text("")
    return build(source, tmp_path_factory.mktemp("dist"))
