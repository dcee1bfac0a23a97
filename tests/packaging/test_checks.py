"""What is checked before a commit is what ``make check`` checks."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import yaml


def test_pre_commit_hooks_match_make_check(project: Path) -> None:
    configuration = project / ".pre-commit-config.yaml"
    subprocess.run([sys.executable, "-m", "pre_commit", "validate-config", str(configuration)], check=True)
    repositories = yaml.safe_load(configuration.read_text())["repos"]
    assert [repository["repo"] for repository in repositories] == ["local"]
    hooks = {hook["entry"] for hook in repositories[0]["hooks"]}
    [parts] = re.findall(r"^check: (.*)$", (project / "Makefile").read_text(), re.M)
    assert hooks == {f"make {part}" for part in parts.split()}
