"""Tests that the assertions of each script of the documentation hold, against a simulator where it needs one."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from page_examples import examples_folder

from airflow_provider_opencx.simulator import Simulator

SCRIPTS = examples_folder() / "scripts"


@pytest.mark.parametrize("script", sorted(SCRIPTS.iterdir()), ids=lambda script: script.name)
def test_docs_script_runs_without_error(script: Path, airflow_database: None, opencx_default: Simulator) -> None:
    done = subprocess.run([sys.executable, script], env=os.environ, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
