"""Tests text that stands for a boolean."""

from __future__ import annotations

import pytest

from airflow_provider_opencx.text import parse_boolean


@pytest.mark.parametrize(
    ("value", "boolean"),
    [
        (True, True),
        (False, False),
        ("true", True),
        ("False", False),
        (" TRUE\n", True),
        ("yes", None),
        ("", None),
        (1, None),
        (0, None),
        (None, None),
        ([True], None),
    ],
)
def test_boolean_is_read_from_text(value: object, boolean: bool | None) -> None:
    assert parse_boolean(value) is boolean
