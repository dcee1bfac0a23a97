"""Tests that a declaration with a secret of the connection is refused before anything is sent or stored."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator

import pytest

from airflow_provider_opencx.exceptions import OpenCXArgumentError
from airflow_provider_opencx.hooks.opencx import OpenCXHook
from airflow_provider_opencx.resources.phone_agents import PhoneAgentChanges, PhoneAgentSpec
from airflow_provider_opencx.simulator import Simulator

KEY = "ocx_live_declared-s3cret"
PASSWORD = "r3dis/p@ssword"
ENCODED_PASSWORD = "r3dis%2Fp%40ssword"

FIELDS: dict[str, Callable[[str], object]] = {
    "name": lambda secret: f"Agent {secret}",
    "voice_id": lambda secret: secret,
    "voice": lambda secret: secret,
    "first_message": lambda secret: f"Key {secret}, thank you",
    "instructions": lambda secret: ["x", secret],
    "training_scenarios": lambda secret: [f"About {secret}"],
    "action_ids": lambda secret: [secret],
    "actions": lambda secret: [secret],
    "accent": lambda secret: secret,
    "data_collection_fields": lambda secret: [f"{secret}\n"],
    "data_collection_webhook_url": lambda secret: f"https://example.com/?key={secret}",
    "model": lambda secret: secret,
    "flow": lambda secret: {"nodes": [{secret: 1}]},
    "custom_llm": lambda secret: secret,
    "additional_fields": lambda secret: {"newer": {"deep": [secret]}},
}
"""Each field that holds text, with a secret in it."""

NOT_TEXT = {
    "type",
    "language",
    "handoff_phone_number",
    "use_org_knowledgebase",
    "speed",
    "interruptible",
    "manual_mode",
}
"""Fields that take none of these secrets: their own checks refuse it."""


def test_table_walks_every_field() -> None:
    assert FIELDS.keys() | NOT_TEXT == PhoneAgentChanges.model_fields.keys()


@pytest.fixture
def simulator() -> Iterator[Simulator]:
    with Simulator(api_keys=(KEY,), generation="2025") as running:
        yield running


@pytest.fixture
def hook(simulator: Simulator, monkeypatch: pytest.MonkeyPatch) -> OpenCXHook:
    connection = {
        "conn_type": "opencx",
        "host": simulator.url,
        "password": KEY,
        "extra": {"coordination": f"redis://:{ENCODED_PASSWORD}@127.0.0.1:1/0"},
    }
    monkeypatch.setenv("AIRFLOW_CONN_OPENCX_DEFAULT", json.dumps(connection))
    return OpenCXHook()


WAYS: dict[str, Callable[[OpenCXHook, PhoneAgentSpec], object]] = {
    "create": lambda hook, spec: hook.create_phone_agent(spec),
    "upsert": lambda hook, spec: hook.upsert_phone_agent(spec),
    "update": lambda hook, spec: hook.update_phone_agent(agent_name="Existing", changes=spec),
    "plan": lambda hook, spec: hook.plan_phone_agents([PhoneAgentSpec(name="other"), spec]),
}


@pytest.mark.parametrize("secret", [KEY, PASSWORD, ENCODED_PASSWORD], ids=["key", "password", "encoded password"])
@pytest.mark.parametrize("field", FIELDS)
@pytest.mark.parametrize("way", WAYS)
def test_declaration_with_secret_is_refused(
    way: str, field: str, secret: str, hook: OpenCXHook, simulator: Simulator
) -> None:
    fields = {"name": "a", field: FIELDS[field](secret)}
    spec = PhoneAgentSpec(**fields)  # type: ignore[arg-type]
    before = len(simulator.requests)
    with pytest.raises(OpenCXArgumentError, match="holds a secret of connection 'opencx_default'") as refused:
        WAYS[way](hook, spec)
    assert not any(hidden in str(refused.value) for hidden in (KEY, PASSWORD, ENCODED_PASSWORD))
    assert len(simulator.requests) == before


@pytest.mark.parametrize(
    "spelled",
    [KEY, KEY.upper(), KEY[:12], KEY[12:24].title(), base64.b64encode(KEY.encode()).decode()],
    ids=["as it is", "in capitals", "its beginning", "its end", "in Base64"],
)
@pytest.mark.parametrize("way", WAYS)
def test_name_that_no_list_would_show_is_refused(
    way: str, spelled: str, hook: OpenCXHook, simulator: Simulator
) -> None:
    """The key is taken out of responses in these spellings: the agent would be created again and again."""
    before = len(simulator.requests)
    with pytest.raises(OpenCXArgumentError, match=r"name.*: holds a secret of connection 'opencx_default'"):
        WAYS[way](hook, PhoneAgentSpec(name=f"Agent {spelled}"))
    assert len(simulator.requests) == before


@pytest.mark.parametrize("field", ["language", "handoff_phone_number"])
def test_part_of_a_key_is_in_no_message(field: str) -> None:
    """Airflow masks the whole of a secret in its logs, and not a part of it."""
    key = "ocx_live_" + "s3cret" * 20
    with pytest.raises(OpenCXArgumentError) as refused:
        PhoneAgentSpec(name="a", **{field: key})  # type: ignore[arg-type]
    assert key[:12] not in str(refused.value)
