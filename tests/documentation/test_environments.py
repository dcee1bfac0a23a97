"""Tests that the steps for one fleet in two organizations do what their page says."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from page_examples import examples_folder

from airflow_provider_opencx.simulator import Simulator

EXAMPLES = examples_folder()
KEYS = {"staging": "key-of-staging", "production": "key-of-production"}
HAVE = {
    "staging": [
        ("Test: Renewal", "voice of staging", "+14155550100"),
        ("Test: Reminder", "voice of staging", "+14155550100"),
    ],
    "production": [
        ("Renewal", "voice of production", "+4930555010"),
        ("Reminder", "voice of production", "+4930555010"),
    ],
}


def test_docs_one_fleet_is_planned_and_applied_in_two_organizations(tmp_path: Path) -> None:
    shutil.copytree(EXAMPLES / "environments", tmp_path, dirs_exist_ok=True)
    shutil.copy(EXAMPLES / "dags" / "environments.yaml", tmp_path)
    with Simulator(api_keys=[*KEYS.values()], requests_per_minute=None) as simulator:
        environment = {
            **os.environ,
            **{f"{name.upper()}_KEY": key for name, key in KEYS.items()},
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "OPENCX_API_URL": simulator.url,
        }
        for name, key in KEYS.items():
            simulator.set_voices([{"voice_id": f"voice of {name}", "name": "Bruno"}], api_key=key)
            done = subprocess.run(
                ["bash", "-euc", (tmp_path / f"{name}.sh").read_text()],
                env=environment,
                cwd=tmp_path,
                capture_output=True,
                text=True,
                check=False,
            )
            assert done.returncode == 0, done.stderr
        fields = ("name", "voice_id", "handoff_phone_number")
        have = {
            name: [tuple(agent[each] for each in fields) for agent in simulator.agents(key)]
            for name, key in KEYS.items()
        }
    assert have == HAVE
