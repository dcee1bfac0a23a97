"""Tests the output of commands: programs can read it, and a person sees every character."""

from __future__ import annotations

import io
import json
from contextlib import redirect_stdout

import pytest
import yaml

from airflow_provider_opencx.cli.output import is_plain, write, write_value

ROWS = [
    {"name": "Spring", "id": "agent-1", "number": "+14155550100", "hidden": 1},
    {"name": "An agent whose name is long enough to reach beyond the end of any line " * 3, "id": "a" * 90},
]
COLUMNS = {"name": "Name", "id": "Id", "number": "Number"}

ODD_TEXTS = {
    "two lines": "a\nb\n",
    "a line that ends in blanks": "a  \nb",
    "what moves the cursor": "\x1b[2Jgone",
    "a control character of one byte": "\x9b2J",
    "from right to left": "abc\u202edcba",
    "nothing seen": "a\u200bb\u00adc\u3164d",
    "half of a character": "\ud83d",
    "an emoji": "\U0001f600 ok",
    "letters with marks": "Grüße, Ünïcode, 日本語",
    "a number": "2026",
    "a boolean": "no",
    "a backslash": "a\\u200b",
    "a quotation mark": "\"'",
    "long": "word " * 100,
}
odd_texts = pytest.mark.parametrize("text", ODD_TEXTS.values(), ids=ODD_TEXTS.keys())


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    """A terminal of 60 columns."""
    terminal = Terminal()
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "60")
    monkeypatch.delenv("NO_COLOR", raising=False)
    return terminal


@odd_texts
@pytest.mark.parametrize("output", ["json", "yaml"])
def test_results_are_read_as_they_were(output: str, text: str, capsys: pytest.CaptureFixture[str]) -> None:
    value = [{"name": text, text: ["x", None, True, 1.5]}]
    write_value(value, output)
    printed = capsys.readouterr().out
    printed.encode()
    assert all(character.isprintable() for character in printed.replace("\n", ""))
    if output == "json":
        assert json.loads(printed) == value
    elif text != "\ud83d":  # which YAML has no way to write
        assert yaml.safe_load(printed) == value


def test_texts_of_several_lines_are_blocks_in_yaml(capsys: pytest.CaptureFixture[str]) -> None:
    write_value({"first_message": "Hello.\nGoodbye.\n"}, "yaml")
    assert capsys.readouterr().out == "first_message: |\n  Hello.\n  Goodbye.\n"


def test_table_in_a_pipe_is_plain_and_whole(capsys: pytest.CaptureFixture[str]) -> None:
    write(ROWS, COLUMNS, "table")
    heading, first, second = capsys.readouterr().out.splitlines()
    assert heading.split() == ["Name", "Id", "Number"]
    assert first.split() == ["Spring", "agent-1", "+14155550100"]
    assert second == f"{ROWS[1]['name']}  {'a' * 90}"
    assert heading.index("Id") == first.index("agent-1") == second.index("a" * 90)


def test_table_on_a_terminal_has_its_width_and_cuts_nothing(terminal: Terminal) -> None:
    with redirect_stdout(terminal):
        write(ROWS, COLUMNS, "table")
    shown = terminal.getvalue()
    assert "\x1b[1m" in shown
    lines = [line for line in shown.splitlines() if "\x1b" not in line]
    assert max(map(len, lines)) <= 60
    assert "…" not in shown
    assert sum(line.count("a") for line in lines) >= 90


@pytest.mark.parametrize(("variable", "value"), [("NO_COLOR", "1"), ("TERM", "dumb")])
def test_terminal_without_colours_gets_plain_text(
    variable: str, value: str, terminal: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, value)
    with redirect_stdout(terminal):
        write(ROWS, COLUMNS, "table")
    assert is_plain(terminal)
    assert "agent-1" in terminal.getvalue()
    assert "\x1b" not in terminal.getvalue()


@odd_texts
def test_table_obeys_nothing_that_others_wrote(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    write([{"name": text, "id": "agent-1"}], COLUMNS, "table")
    printed = capsys.readouterr().out
    assert len(printed.splitlines()) == 2
    assert all(character.isprintable() for character in printed.replace("\n", ""))
    assert printed.rstrip().endswith("agent-1")
