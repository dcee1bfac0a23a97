"""Tests CONTRIBUTING.md: it names every file in its place, the imports of each part, and every command of make."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from page_examples import PROJECT

PACKAGE = PROJECT / "airflow_provider_opencx"
TEXT = (PROJECT / "CONTRIBUTING.md").read_text()
NAME = re.compile(r"`([\w./-]+)`")
BUILT = {"__pycache__", "_build", "__init__.py"}


def rows(heading: str) -> list[list[str]]:
    """Return the cells of each row of the table whose heading begins so."""
    [table] = re.findall(rf"^\| {re.escape(heading)}.*\n\| --- .*\n((?:\|.*\n)+)", TEXT, re.M)
    return [[cell.strip() for cell in line.strip().strip("|").split("|")] for line in table.splitlines()]


def named(cell: str) -> list[str]:
    return NAME.findall(cell)


def content(folder: Path) -> list[str]:
    """Return the files and folders of a folder, each folder with a slash; without what is built and not written."""
    return sorted(
        f"{path.name}/" if path.is_dir() else path.name for path in folder.iterdir() if path.name not in BUILT
    )


PARTS = rows("In `airflow_provider_opencx/`")
SHARED = next(named(first) for first, what, _ in PARTS if what.startswith("**The shared modules**"))


def test_map_of_the_package_names_each_part_once() -> None:
    assert sorted(part for first, *_ in PARTS for part in named(first)) == content(PACKAGE)


@pytest.mark.parametrize("heading", re.findall(r"^\| (In `\w[\w/]*/`(?: and `\w+/`)?) \| \|$", TEXT, re.M))
def test_map_of_a_folder_names_each_module_once(heading: str) -> None:
    modules = [module for folder in named(heading) for module in content(PACKAGE / folder)]
    assert sorted(module for first, _ in rows(heading) for module in named(first)) == sorted(modules)


def test_map_names_each_folder_outside_the_package() -> None:
    names = {name for first, _ in rows("Outside the package") for name in named(first)}
    assert all((PROJECT / name).exists() for name in names)
    folders = {f"docs/{name}" for name in content(PROJECT / "docs") if name.endswith("/")}
    assert folders | {f"dev/{name}" for name in content(PROJECT / "dev")} <= names


def test_each_command_of_make_is_explained() -> None:
    [targets] = re.findall(r"^\.PHONY: (.*)$", (PROJECT / "Makefile").read_text(), re.M)
    assert set(targets.split()) == set(re.findall(r"`make ([\w-]+)", TEXT))


def imports(path: Path) -> Iterator[str]:
    """Yield what a module of the package imports of the package, as the map writes it."""
    for node in ast.walk(ast.parse(path.read_text())):
        match node:
            case ast.ImportFrom(module=str(module), level=0):
                names = [f"{module}.{alias.name}" for alias in node.names]
            case ast.Import():
                names = [alias.name for alias in node.names]
            case ast.ImportFrom():
                raise AssertionError(f"{path} has a relative import")
            case _:
                continue
        for name in names:
            first, *parts = name.split(".")
            while first == PACKAGE.name and parts:  # the last part may be a name of a module
                found = PACKAGE.joinpath(*parts)
                if found.with_suffix(".py").exists() or found.is_dir():
                    yield "/".join(parts) + ("/" if found.is_dir() else ".py")
                    break
                parts.pop()


def modules_of(parts: list[str]) -> list[Path]:
    """Return the modules of parts of the package."""
    paths = [PACKAGE / part for part in parts]
    return [path for part in paths for path in [part, *sorted(part.rglob("*.py"))] if path.suffix == ".py"]


def is_in(module: str, parts: list[str]) -> bool:
    return any(module == part or (part.endswith("/") and module.startswith(part)) for part in parts)


@pytest.mark.parametrize(
    ("own", "may_import"), [pytest.param(named(first), last, id=named(first)[0]) for first, _, last in PARTS]
)
def test_part_imports_what_the_map_says(own: list[str], may_import: str) -> None:
    allowed = [*own, *([] if may_import.startswith("nothing") else SHARED)]
    others = [module for path in modules_of(own) for module in imports(path) if not is_in(module, allowed)]
    if may_import.startswith("everything except"):
        refused, *_ = may_import.split(";")
        assert [module for module in others if is_in(module, named(refused))] == []
    else:
        assert [module for module in others if not is_in(module, named(may_import))] == []


@pytest.mark.parametrize(
    ("part", "imported", "importer"),
    [
        ("cli/", "hooks/opencx.py", "cli/airflow_connections.py"),
        ("simulator/", "client/locks.py", "simulator/pytest_plugin.py"),
        ("metrics.py", "client/transport.py", "metrics.py"),
    ],
)
def test_import_that_the_map_allows_to_one_module_is_made_by_it_alone(part: str, imported: str, importer: str) -> None:
    parts = SHARED if part in SHARED else [part]
    assert [path for path in modules_of(parts) if imported in imports(path)] == [PACKAGE / importer]
