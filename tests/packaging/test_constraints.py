"""What the provider needs goes with what an Airflow is installed with, and changes none of it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[2]
FILES = {file.stem.removeprefix("airflow-"): file for file in (PROJECT / "constraints").glob("*.txt")}


@pytest.mark.parametrize("airflow", sorted(FILES))
def test_provider_resolves_beside_airflow_and_its_constraints(airflow: str, tmp_path: Path) -> None:
    pinned = resolve(airflow, FILES[airflow], tmp_path)
    assert pinned <= {line.partition(" ;")[0] for line in FILES[airflow].read_text().splitlines()}


def resolve(airflow: str, constraints: Path, tmp_path: Path) -> set[str]:
    """Return what is installed with an Airflow, the provider and its extras under constraints, as pins."""
    airflow_itself = tmp_path / "airflow.in"
    airflow_itself.write_text(f"apache-airflow=={airflow}\n")
    command = [sys.executable, "-m", "uv", "pip", "compile", "--quiet", "--no-annotate", "--no-header"]
    options = ["--python-version", "3.12", "--extra", "simulator", "--extra", "redis", "--constraint", constraints]
    resolved = subprocess.run(
        [*command, airflow_itself, "pyproject.toml", *options], cwd=PROJECT, capture_output=True, text=True, check=False
    )
    assert resolved.returncode == 0, resolved.stderr
    return set(resolved.stdout.splitlines())


@pytest.mark.parametrize(
    ("airflow", "common_compat"), [("3.1.8", "1.12.0"), ("3.2.2", "1.14.1"), ("3.3.0", "1.19.0"), ("3.3.2", "1.23.0")]
)
def test_provider_takes_common_compat_of_airflow(airflow: str, common_compat: str, tmp_path: Path) -> None:
    pins = tmp_path / "constraints.txt"
    pins.write_text(f"apache-airflow=={airflow}\napache-airflow-providers-common-compat=={common_compat}\n")
    resolve(airflow, pins, tmp_path)
