"""Tests that values written as YAML are read back unchanged, by the reader of fleet files and by PyYAML."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import JsonValue

from airflow_provider_opencx.exported_files.yaml_text import (
    comment_lines,
    field_lines,
    mapping_lines,
    with_comment,
)
from airflow_provider_opencx.phone_agents.fleet_files.reader import read_fleet

LETTERS = st.characters(exclude_categories=["Cs"])
TRAPS = st.sampled_from(
    [
        *(
            "\n",
            "\r",
            "\r\n",
            "\t",
            " ",
            "  ",
            "\x85",
            "\u2028",
            "\u2029",
            "\ufeff",
            "\u200b",
            "\u0301",
            "\x07",
            "\x7f",
        ),
        *(
            '"',
            "'",
            "\\",
            "\\n",
            ": ",
            " #",
            "#",
            "- ",
            "? ",
            "|",
            ">",
            "---",
            "...",
            "${A}",
            "{{ a }}",
            "&a",
            "*a",
            "%",
        ),
        *(
            "!a",
            "no",
            "on",
            "~",
            "=",
            "<<",
            "0123",
            "1e3",
            "12:30",
            "null",
            "a",
            "Grüße",
            "नमस्ते",
            "\U0001f468\u200d\U0001f469",
        ),
    ]
)
TEXTS = st.one_of(st.text(LETTERS), st.lists(TRAPS, max_size=8).map("".join)).filter(lambda text: "${" not in text)
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXTS,
    lambda values: st.lists(values, max_size=4) | st.dictionaries(TEXTS, values, max_size=4),
    max_leaves=12,
)


def read(lines: list[str]) -> tuple[object, object]:
    """Return what the reader of fleet files and PyYAML read in an entry."""
    text = "".join(f"{line}\n" for line in ["agents:", "  - name: x", *lines])
    with TemporaryDirectory() as folder:
        file = Path(folder, "fleet.yaml")
        file.write_text(text, encoding="utf-8", newline="")
        fleet = read_fleet(file)
    [declaration] = fleet
    assert [warning for warning in fleet.warnings if "null" not in warning.message] == []
    return declaration, yaml.safe_load(text)["agents"][0]


def assert_read_back(field: str, value: JsonValue) -> None:
    wanted = {"name": "x", field: value}
    for found in read(field_lines(field, value, 4)):
        assert repr(found) == repr(wanted)  # true is not 1, and 1 is not 1.0


@given(TEXTS)
def test_text_is_read_back(text: str) -> None:
    assert_read_back("first_message", text)
    assert_read_back("instructions", [text, text])


@given(VALUES)
@example(["Need help?", "Why? Because"])
def test_value_is_read_back(value: JsonValue) -> None:
    assert_read_back("flow", value)


@given(st.dictionaries(st.one_of(TEXTS, st.text(LETTERS, min_size=200)), VALUES, min_size=1, max_size=4))
def test_keys_are_read_back(value: dict[str, JsonValue]) -> None:
    assert_read_back("flow", value)
    assert yaml.safe_load("\n".join([*mapping_lines(value), ""])) == value


@given(TEXTS, TEXTS)
def test_comment_stays_in_its_lines(comment: str, text: str) -> None:
    lines = field_lines("first_message", text, 4)
    lines[0] = with_comment(lines[0], comment) if len(lines) == 1 else lines[0]
    lines = [*comment_lines(comment, 4), *lines, *comment_lines(comment, 4)]
    for found in read(lines):
        assert found == {"name": "x", "first_message": text}


@pytest.mark.parametrize(
    ("value", "lines"),
    [
        ("Hello there", ["k: Hello there"]),
        ("Don't", ["k: Don't"]),
        ("Grüße aus Köln", ["k: Grüße aus Köln"]),
        ("नमस्ते", ["k: नमस्ते"]),
        *((text, [f'k: "{text}"']) for text in ("no", "on", "12:30", "0123", "1e3", "~", "=", "<<", "", "Yes", "y")),
        *((text, [f'k: "{text}"']) for text in ("2026-03-01", "+14155550100", "a: b", "a #b", "{{ a }}", "- a", " a")),
        ("a\u200bb", [r'k: "a\u200bb"']),
        ("a\u00a0b", [r'k: "a\u00a0b"']),
        ('say "a\\b"', [r'k: "say \"a\\b\""']),
        ("one\n\n  two: #3\\", ["k: |-", "  one", "", "    two: #3\\"]),
        ("one\ntwo\n", ["k: |", "  one", "  two"]),
        ("one \n two\n\n", [r'k: "one \n\ '.rstrip(), r"  \ two\n\ ".rstrip(), r'  \n"']),
        ("one\r\ntwo", ['k: "one\\r\\n\\', '  two"']),
        ([], ["k: []"]),
        (["en", "no"], ['k: [en, "no"]']),
        (["a" * 90], ["k:", f"  - {'a' * 90}"]),
        (["a\nb"], ["k:", "  - |-", "    a", "    b"]),
        ([{"a": 1, "b": [{}]}, [True, None]], ["k:", "  - a: 1", "    b:", "      - {}", "  - - true", "    - null"]),
        ({"no": 1e300, "b c": -0.5}, ["k:", '  "no": 1.0e+300', '  "b c": -0.5']),
    ],
)
def test_a_person_reads_it_easily(value: JsonValue, lines: list[str]) -> None:
    assert field_lines("k", value) == lines
