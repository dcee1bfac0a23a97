"""Tests the workflows of GitHub: what they run exists, and a release needs no password and few permissions."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from airflow_provider_opencx import __version__

WORKFLOWS = Path(__file__).resolve().parents[2] / ".github" / "workflows"
FILES = sorted(WORKFLOWS.glob("*.yml"))
MAJOR_VERSION = r"(actions/[a-z-]+@v[0-9]+|pypa/gh-action-pypi-publish@release/v1)"


def read(file: Path) -> dict[str, Any]:
    """Read a workflow; its ``on`` is true for YAML."""
    workflow: dict[str, Any] = yaml.safe_load(file.read_text())
    return workflow


def steps(workflow: dict[str, Any]) -> list[dict[str, Any]]:
    return [step for job in workflow["jobs"].values() for step in job["steps"]]


@pytest.fixture(scope="module")
def publish() -> dict[str, Any]:
    return read(WORKFLOWS / "publish.yml")


def test_workflows_are_these() -> None:
    assert [file.name for file in FILES] == ["ci.yml", "publish.yml"]


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_steps_run_what_exists(file: Path, project: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (project / "Makefile").read_text(), re.M))
    for step in steps(read(file)):
        assert ("uses" in step) != ("run" in step)
        assert set(re.findall(r"\bmake ([a-z-]+)", step.get("run", ""))) <= targets
        for path in re.findall(r"(?:^|\s)((?:\.ci|dev)/\S+)", step.get("run", "")):
            assert (project / path).exists(), path


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_actions_have_major_versions(file: Path) -> None:
    actions = [step["uses"] for step in steps(read(file)) if "uses" in step]
    assert [action for action in actions if not re.fullmatch(MAJOR_VERSION, action)] == []


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_workflows_use_no_secret(file: Path) -> None:
    content = "\n".join(line for line in file.read_text().splitlines() if not line.lstrip().startswith("#"))
    assert re.findall(r"secrets|password|api.token|username", content, re.I) == []


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_steps_take_nothing_that_others_wrote_into_their_scripts(file: Path) -> None:
    """What stands in ``${{ }}`` becomes part of the script; a tag can hold what a shell runs."""
    assert [step["run"] for step in steps(read(file)) if "${{" in step.get("run", "")] == []


def test_ci_runs_what_a_change_must_pass(project: Path) -> None:
    ci = read(WORKFLOWS / "ci.yml")
    assert ci["permissions"] == {"contents": "read"}
    assert set(ci[True]) == {"push", "pull_request"}
    [pythons] = [step["with"]["python-version"] for step in steps(ci) if "setup-python" in step.get("uses", "")]
    assert {"3.11", "3.13"} == set(pythons.split())
    assert steps(ci)[-1]["run"] == ".ci/run"
    assert os.access(project / ".ci" / "run", os.X_OK)


def test_only_the_job_that_publishes_can_prove_who_it_is(publish: dict[str, Any]) -> None:
    assert publish["permissions"] == {}
    assert {name: job["permissions"] for name, job in publish["jobs"].items()} == {
        "build": {"contents": "read"},
        "publish": {"id-token": "write", "attestations": "write"},
        "attach": {"contents": "write"},
    }
    assert publish["jobs"]["publish"]["environment"] == "pypi"
    assert {name: job.get("needs") for name, job in publish["jobs"].items()} == {
        "build": None,
        "publish": "build",
        "attach": "publish",
    }


def test_release_is_published_from_what_make_dist_made(publish: dict[str, Any]) -> None:
    assert publish[True] == {"release": {"types": ["published"]}}
    jobs = publish["jobs"]
    runs = [step["run"] for step in jobs["build"]["steps"] if "run" in step]
    assert runs[-1] == "make dist"
    assert "exit 1" in runs[0]  # before anything is built
    uses = [step.get("uses", "").partition("@")[0] for step in jobs["publish"]["steps"]]
    assert uses[-1] == "pypa/gh-action-pypi-publish"
    assert {"actions/attest-build-provenance", "actions/attest-sbom"} <= set(uses)
    assert not any("checkout" in action for action in uses)  # it runs no code of the repository
    [attested] = [step["with"] for step in jobs["publish"]["steps"] if "attest-sbom" in step.get("uses", "")]
    written = attested["sbom-path"].replace("${{ needs.build.outputs.version }}", __version__)
    assert written == f"sbom/airflow-provider-opencx-{__version__}.cdx.json"


@pytest.mark.parametrize(
    ("tag", "published"),
    [
        (f"v{__version__}", True),
        (__version__, False),
        ("v0.0.9", False),
        (f"v{__version__}.1", False),
        (f"v{__version__}rc1", False),
        ("", False),
        (f'v{__version__}"; true; "', False),
    ],
)
def test_tag_that_is_not_the_version_is_refused(
    tag: str, published: bool, publish: dict[str, Any], project: Path, tmp_path: Path
) -> None:
    [script] = [step["run"] for step in publish["jobs"]["build"]["steps"] if step.get("id") == "tag"]
    output = tmp_path / "output"
    done = subprocess.run(
        ["bash", "-e", "-o", "pipefail", "-c", script],  # as GitHub runs it
        cwd=project,
        env={"PATH": os.environ["PATH"], "TAG": tag, "GITHUB_OUTPUT": str(output)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode == 0) == published, done.stdout + done.stderr
    assert output.exists() == published
    if published:
        assert output.read_text() == f"version={__version__}\n"
    else:
        assert f"the tag must be v{__version__}" in done.stdout
