"""Tests the XComs that a task pushes in addition to an agent."""

from __future__ import annotations

import pytest

from airflow_provider_opencx.xcoms import xcoms_of


@pytest.mark.parametrize(
    ("agent", "xcoms"),
    [
        (
            {"id": "1", "name": "a", "phone_number": "+14155550100", "type": "outbound"},
            {"id": "1", "name": "a", "phone_number": "+14155550100"},
        ),
        ({"id": "1", "name": None, "phone_number": None}, {"id": "1"}),
        ({"id": "1", "name": "a", "phone_number": " "}, {"id": "1", "name": "a"}),
        ({"id": "1", "name": "a", "phone_number": ["+1"]}, {"id": "1", "name": "a"}),
        ({"id": "1"}, {"id": "1"}),
    ],
)
def test_xcoms_hold_what_the_agent_has(agent: dict[str, object], xcoms: dict[str, str]) -> None:
    assert xcoms_of(agent) == xcoms
