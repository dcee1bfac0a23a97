"""Tests the simulator with Schemathesis against the OpenAPI document of each generation."""

from __future__ import annotations

import re
import subprocess
import sys
from importlib.resources import as_file, files
from pathlib import Path

import pytest

from airflow_provider_opencx.simulator import Simulator

KEY = "test-key"

# A sequence that is canceled or continuous, for example, refuses what is valid for another one, and an agent the voices
# and actions that its organization does not have.
CONFIGURATION = """
[[operations]]
include-operation-id = [
    "startSequence", "cancelSequence", "addContactsToSequence", "createPhoneAgent", "updatePhoneAgent",
]
checks.positive_data_acceptance.expected-statuses = ["2xx", "400", "401", "403", "404", "429", "5xx"]
"""


@pytest.mark.parametrize("generation", ["2024", "2025", "2026"])
def test_schemathesis_finds_no_errors(generation: str, routes: dict[str, tuple[str, str]], tmp_path: Path) -> None:
    schemathesis = Path(sys.executable).with_name("st")
    tmp_path.joinpath("schemathesis.toml").write_text(CONFIGURATION)
    documents = files("airflow_provider_opencx.simulator").joinpath("openapi")
    with (
        as_file(documents.joinpath(f"{generation}.yaml")) as document,
        Simulator((KEY,), generation=generation, requests_per_minute=None) as simulator,
    ):
        done = subprocess.run(
            [
                *(schemathesis, "run", document, "--url", simulator.url, "--header", f"Authorization: Bearer {KEY}"),
                *("--checks", "all", "--mode", "all", "--max-examples", "40", "--seed", "1", "--workers", "1"),
                # It expects 405, but the service's framework, Fastify, responds with 404.
                *("--exclude-checks", "unsupported_method"),
                *("--generation-database", "none", "--no-color"),
            ],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )
        requested = {record.operation for record in simulator.requests if record.operation}
    print(f"Schemathesis, generation {generation}:{done.stdout.partition('SUMMARY')[2]}{done.stderr}")
    assert done.returncode == 0, done.stdout
    generated, passed = map(int, re.findall(r"([0-9]+) (?:generated|passed),", done.stdout)[:2])
    assert generated == passed > 300
    assert requested == set(routes)
