"""Tests that the pages show no example that no test runs, and that their signatures and lists are complete."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest
from page_examples import DOCS, PAGES, PROJECT, blocks, examples

from airflow_provider_opencx import exceptions
from airflow_provider_opencx.resources.phone_agents import PhoneAgent
from airflow_provider_opencx.simulator.contract import load_contract
from airflow_provider_opencx.simulator.generations import GENERATIONS

SHOWN_WITHOUT_BEING_RUN = {"text", "{toctree}", "{include}", "{eval-rst}"}
WHERE_WE_ARE = (
    r"https://airflow-provider-opencx\.readthedocs\.io/en/stable/"
    r"|https://github\.com/airflow-provider-opencx/airflow-provider-opencx/(blob|tree)/main/"
    r"|https://raw\.githubusercontent\.com/airflow-provider-opencx/airflow-provider-opencx/main/"
)
"""Absolute, because a package index shows the README as well."""
JSON_TYPES = {
    "string": "text",
    "boolean": "true or false",
    "number": "number",
    "integer": "whole number",
    "array": "list of texts",
}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(PROJECT)))
def test_code_of_page_is_an_example_or_a_piece_of_what_other_tests_run(page: Path) -> None:
    for block in blocks(page):
        if block.piece_of:
            whole = examples().get(block.piece_of) or (PROJECT / block.piece_of).read_text()
            pieces = (block.text, textwrap.indent(block.text, "    "))
            assert any(piece in whole for piece in pieces), f"not in {block.piece_of}: {block.text}"
        else:
            assert block.example or block.language in SHOWN_WITHOUT_BEING_RUN, block.text


def test_docs_table_has_each_key_of_agent_as_pages_of_api_describe_it() -> None:
    page = (DOCS / "reference" / "models.md").read_text()
    rows = re.findall(r"^\| `(\w+)` \| ([^|]+) \| (yes|no) \| (\d{4}) \|", page, re.M)
    agents = {
        generation: load_contract(generation).schemas["PhoneAgentDto"]["properties"] for generation in GENERATIONS
    }
    assert [key for key, *_ in rows] == list(PhoneAgent(id="1").as_dict())
    for key, *described in rows:
        having = [generation for generation in GENERATIONS if key in agents[generation]]
        assert described == [*json_type(agents[having[-1]][key]), having[0]], key


def json_type(schema: dict[str, Any]) -> tuple[str, str]:
    """The type of a field in words, and whether it may be null."""
    if "enum" in schema:
        return "text", "yes" if None in schema["enum"] else "no"
    if "type" not in schema:
        return "any JSON", "yes"
    kind, *null = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
    return JSON_TYPES[kind], "yes" if null else "no"


def test_readme_links_to_what_exists() -> None:
    readme = (PROJECT / "README.md").read_text()
    links = re.findall(r"\]\(([^)#]+)[^)]*\)", readme) + re.findall(r"^\[[^]]+\]: ([^#\s]+)", readme, re.M)
    ours = [re.sub(WHERE_WE_ARE, "", link) for link in links if re.match(WHERE_WE_ARE, link)]
    assert len(ours) > 30
    files = ["docs/index.md" if link == "" else re.sub(r"^(.*)\.html$", r"docs/\1.md", link) for link in ours]
    assert [file for file in files if not (PROJECT / file).exists()] == []
    assert [link for link in links if not link.startswith("https://")] == []


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The documentation as text, built as strictly as it is published."""
    pytest.importorskip("sphinx", reason="the dependency group docs is not installed")
    folder, home = tmp_path_factory.mktemp("docs"), tmp_path_factory.mktemp("home")
    command = [sys.executable, "-m", "sphinx", "--quiet", "--fail-on-warning", "--keep-going", "--builder", "text"]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW_")}
    done = subprocess.run(
        [*command, DOCS, folder], env=environment | {"HOME": str(home)}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert list(home.iterdir()) == []  # where Airflow would have made a configuration
    return folder


def test_each_picture_is_shown_by_a_page() -> None:
    text = "".join(page.read_text() for page in PAGES)
    assert [picture.name for picture in sorted((DOCS / "images").iterdir()) if picture.name not in text] == []


def test_docs_show_operator_signature(built: Path) -> None:
    upsert = (built / "agents" / "upsert.txt").read_text()
    signature = upsert.split("class OpenCXUpsertPhoneAgentOperator(")[1].split("\n)")[0]
    assert "\n   name: str | XComArg,\n" in signature
    assert "language: Sequence[str] | str | XComArg | LeftOut | None = LEFT_OUT," in signature
    assert "on_mismatch: Literal['fail', 'warn'] = 'fail'," in signature
    assert "opencx_conn_id: str | XComArg = 'opencx_default'," in signature
    assert "**kwargs: Unpack[LimitedOperatorArguments]," in signature
    assert "retry_delay" not in signature


def test_docs_list_every_error(built: Path) -> None:
    page = (built / "operate" / "errors.txt").read_text()
    names = [name for name, value in vars(exceptions).items() if name.startswith("OpenCX") and isinstance(value, type)]
    assert [name for name in names if f"exception {name}" not in page] == []
