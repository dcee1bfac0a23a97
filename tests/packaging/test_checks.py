"""Tests that the hooks of commits run ``make check``, and that it finds broken links and misspelled words."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

BIN = Path(sys.executable).parent
SITE = "https://airflow-provider-opencx.readthedocs.io/en/stable"
REPOSITORY = "airflow-provider-opencx/airflow-provider-opencx"
ON_GITHUB = f"https://github.com/{REPOSITORY}"
RAW = f"https://raw.githubusercontent.com/{REPOSITORY}/main"


def make(target: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a target of the Makefile in a folder, with the programs of this environment."""
    command = ["make", "--old-file=.venv/.installed", target, f"BIN={BIN}"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


@pytest.fixture
def pages(source: Path, tmp_path: Path) -> Path:
    """A copy of all that a reader reads, with what checks it."""
    return shutil.copytree(source, tmp_path / "project")


def test_pre_commit_hooks_match_make_check(project: Path) -> None:
    configuration = project / ".pre-commit-config.yaml"
    subprocess.run([sys.executable, "-m", "pre_commit", "validate-config", str(configuration)], check=True)
    repositories = yaml.safe_load(configuration.read_text())["repos"]
    assert [repository["repo"] for repository in repositories] == ["local"]
    hooks = {hook["entry"] for hook in repositories[0]["hooks"]}
    [parts] = re.findall(r"^check: (.*)$", (project / "Makefile").read_text(), re.M)
    assert hooks == {f"make {part}" for part in parts.split()}


LINKS = {
    "docs/connect/nowhere.md": "file not found",
    "docs/connect/connection.md#no-such-heading": "cannot find fragment",
    f"{SITE}/connect/nowhere.html": "file not found",
    f"{SITE}/connect/connection.html#no-such-heading": "cannot find fragment",
    f"{ON_GITHUB}/blob/main/NOWHERE.md": "file not found",
    f"{ON_GITHUB}/tree/main/no_such_folder": "file not found",
    f"{RAW}/docs/images/nowhere.png": "file not found",
}
GOOD_LINKS = (
    f"{SITE}/connect/connection.html",
    f"{SITE}/connect/connection.html#test-it",
    f"{ON_GITHUB}/blob/main/README.md",
    f"{ON_GITHUB}/tree/main/example_dags",
    f"{RAW}/docs/images/demo.png",
)


def errors_of(page: str, output: str) -> list[str]:
    """Return the errors of a page, in lower case; lychee names each page above its errors."""
    _, _, errors = output.partition(f"\n[{page}]:\n")
    return [line.lower() for line in errors.partition("\n\n")[0].splitlines()]


def test_broken_links_are_found(pages: Path) -> None:
    if not (BIN / "lychee").exists():
        pytest.skip("lychee is not installed: make links installs it, where it exists for the kind of machine")
    links = [f"[link]({link})" for link in (*GOOD_LINKS, *LINKS)]
    with (pages / "README.md").open("a") as readme:
        readme.write("\n".join(["", *links]))
    done = make("links", pages)
    assert done.returncode != 0
    found = errors_of("README.md", done.stdout)
    expected = [
        (Path(link.split("#")[0]).stem, link.partition("#")[2], message) for link, message in sorted(LINKS.items())
    ]
    assert len(found) == len(expected), done.stdout
    for words in expected:
        assert any(all(word.lower() in line for word in words) for line in found), (words, done.stdout)


def test_misspelled_word_is_found(pages: Path) -> None:
    assert make("spelling", pages).returncode == 0
    word = "adress"  # codespell:ignore
    (pages / "docs" / "index.md").write_text(f"The {word}.")
    done = make("spelling", pages)
    assert done.returncode != 0
    assert f"{word} ==> address" in done.stdout
