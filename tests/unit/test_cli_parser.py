"""Tests that one declaration of each command makes both parsers: the program's and Airflow's."""

from __future__ import annotations

import argparse
import shlex
from pathlib import Path

import pytest

from airflow_provider_opencx.__main__ import main
from airflow_provider_opencx.cli import commands as package
from airflow_provider_opencx.cli.airflow_commands import airflow_commands
from airflow_provider_opencx.cli.command import Command
from airflow_provider_opencx.cli.parser import COMMAND_MODULES, PROGRAM, arguments_of, build_parser, commands
from airflow_provider_opencx.get_provider_info import get_provider_info

every_command = pytest.mark.parametrize("command", commands(), ids=lambda command: command.name)


def typed(line: str, program: str) -> list[str]:
    """Return what is typed after the program's name, without where the results go."""
    assert line.startswith(f"{program} ")
    return shlex.split(line.removeprefix(program).split(" > ")[0])


def parser_of_airflow() -> argparse.ArgumentParser:
    from airflow.cli.cli_parser import _add_command

    parser = argparse.ArgumentParser(prog="airflow", exit_on_error=False)
    parsers = parser.add_subparsers()
    for command in airflow_commands():
        _add_command(parsers, command)
    return parser


def test_every_module_of_commands_is_in_the_list() -> None:
    modules = {file.stem for file in Path(package.__file__).parent.glob("*.py")} - {"__init__"}
    assert set(COMMAND_MODULES) == modules
    assert [command.name.replace(" ", "_") for command in commands()] == [*COMMAND_MODULES]


@every_command
def test_help_has_description_and_example(command: Command, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main([*command.name.split(), "--help"])
    shown = capsys.readouterr().out
    assert ended.value.code == 0
    assert " ".join(shown.split()).count(" ".join(command.help.split())) == 1
    for line in command.example.splitlines():
        assert f"  {line}\n" in shown


@every_command
def test_examples_can_be_parsed_in_both_doors(command: Command) -> None:
    lines = command.example.splitlines()
    assert lines
    for line in lines:
        options = vars(build_parser().parse_args(typed(line, PROGRAM)))
        in_airflow = vars(parser_of_airflow().parse_args(["opencx", *typed(line, PROGRAM)]))
        names = {*options} - {"command"}
        assert options["command"] is command
        assert {name: options[name] for name in names} == {name: in_airflow[name] for name in names}


@every_command
def test_help_in_airflow_has_its_own_example(command: Command, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        parser_of_airflow().parse_args(["opencx", *command.name.split(), "--help"])
    shown = capsys.readouterr().out
    assert ended.value.code == 0
    for line in command.example.splitlines():
        assert line.replace(PROGRAM, "airflow opencx") in shown
    for argument in arguments_of(command):
        assert argument.flags[-1] in shown or not argument.flags[-1].startswith("-")


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["unheard"],
        ["agents", "--unheard"],
        ["agents", "-o", "xml"],
        ["plan"],
        ["plan", "fleet.yaml", "--max-creates", "-1"],
        ["plan", "fleet.yaml", "--max-creates", "many"],
        ["validate"],
        ["simulate", "--port", "high"],
        ["simulate", "--host", "0.0.0.0"],
    ],
    ids=" ".join,
)
def test_wrong_usage_is_an_error_and_no_difference(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    try:
        code = main(arguments)
    except SystemExit as ended:
        code = int(ended.code or 0)
    shown = capsys.readouterr()
    assert (code, shown.out) == (1, "")
    assert "Error: " in shown.err


def test_provider_info_names_the_commands() -> None:
    module, _, function = str(get_provider_info()["cli"][0]).rpartition(".")  # type: ignore[index]
    assert (module, function) == (airflow_commands.__module__, airflow_commands.__name__)
