"""What is written is checked before it is sent; what is read is taken as it comes."""

from __future__ import annotations

import inspect

import pytest

from airflow_provider_opencx.exceptions import OpenCXArgumentError, OpenCXResponseError
from airflow_provider_opencx.resources.models import CheckedModel
from airflow_provider_opencx.resources.phone_agents import PhoneAgent, PhoneAgentChanges, PhoneAgentSpec
from airflow_provider_opencx.resources.voices import Voice


def test_models_distinguish_omitted_null_and_empty() -> None:
    assert PhoneAgentSpec.parse({"name": "a"}).body() == {"name": "a"}
    assert PhoneAgentSpec.parse({"name": "a", "action_ids": None}).body() == {"name": "a", "actionIds": None}
    assert PhoneAgentSpec.parse({"name": "a", "action_ids": []}).body() == {"name": "a", "actionIds": []}


def test_models_default_to_outbound_on_create() -> None:
    assert PhoneAgentSpec.parse({"name": "a"}).for_creation().body() == {"name": "a", "type": "outbound"}
    inbound = PhoneAgentSpec.parse({"name": "a", "type": "inbound"})
    assert inbound.for_creation().body() == {"name": "a", "type": "inbound"}


def test_models_write_every_field_of_every_generation() -> None:
    fields: dict[str, object] = {
        "name": "a",
        "type": "outbound",
        "language": ["en", "es"],
        "voice_id": "v",
        "first_message": "Hi",
        "instructions": ["i"],
        "handoff_phone_number": "+14155550100",
        "use_org_knowledgebase": True,
        "accent": "british",
        "speed": 1.1,
        "interruptible": False,
        "data_collection_fields": ["f"],
        "data_collection_webhook_url": "https://example.com/hook",
        "model": "oppie-vox-2",
        "flow": {"steps": [1]},
        "manual_mode": True,
        "custom_llm": "c",
    }
    body = PhoneAgentSpec.parse({**fields, "action_ids": ["x"], "additional_fields": {"newer": 1}}).body()
    assert body == {**fields, "actionIds": ["x"], "newer": 1}


@pytest.mark.parametrize(
    ("written", "sent"),
    [
        ({"language": "de"}, {"language": ["de"]}),
        ({"language": ["en", "en", " es "]}, {"language": ["en", "es"]}),
        ({"name": "  Zoë "}, {"name": "Zoë"}),
        ({"name": "Zoe\u0308"}, {"name": "Zoë"}),
        ({"handoff_phone_number": "+1 (415) 555-0100"}, {"handoff_phone_number": "+14155550100"}),
        ({"use_org_knowledgebase": "true"}, {"use_org_knowledgebase": True}),
        ({"actionIds": ["x"]}, {"actionIds": ["x"]}),
    ],
)
def test_models_normalize_values_for_api(written: dict[str, object], sent: dict[str, object]) -> None:
    assert PhoneAgentChanges.parse(written).body() == sent


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({}, "name: is required"),
        ({"name": " "}, "name: must not be empty"),
        ({"name": None}, "name: must be text"),
        ({"name": "a", "type": "sideways"}, "type: "),
        ({"name": "a", "type": None}, "type: must be 'inbound' or 'outbound'"),
        ({"name": "a", "language": []}, "language: must name at least one language code"),
        ({"name": "a", "language": ["en", "ar"]}, "language: 'ar' must be the only language"),
        ({"name": "a", "language": False}, "write Norwegian in quotes"),
        ({"name": "a", "handoff_phone_number": "0415 555"}, "handoff_phone_number: must be an E.164"),
        ({"name": "a", "data_collection_webhook_url": "ftp://x"}, "data_collection_webhook_url: must be an http"),
        ({"name": "a", "speed": float("nan")}, "speed: "),
        ({"name": "a", "greeting": "Hi"}, "greeting: "),
        ({"name": "a", "additional_fields": {"actionIds": []}}, "'action_ids', which is an argument of its own"),
        ({"name": "a", "action_ids": "{{ not rendered }}"}, "action_ids: "),
    ],
)
def test_models_name_wrong_field(fields: dict[str, object], says: str) -> None:
    for make in (PhoneAgentSpec.parse, lambda fields: PhoneAgentSpec(**fields)):
        with pytest.raises(OpenCXArgumentError) as wrong:
            make(fields)
        assert says in str(wrong.value)
        assert "\n" not in str(wrong.value)


@pytest.mark.parametrize("model", [PhoneAgent, PhoneAgentChanges, PhoneAgentSpec, Voice])
def test_models_raise_provider_error_from_constructor(model: type[CheckedModel]) -> None:
    with pytest.raises(OpenCXArgumentError, match="name: must be text") as wrong:
        model(name=5)
    assert wrong.value.is_permanent
    assert wrong.value.__cause__ is None
    assert "name" in inspect.signature(model).parameters


@pytest.mark.parametrize(("answered", "read"), [(None, []), ("en", ["en"]), (["en", "es"], ["en", "es"])])
def test_models_read_language_as_list(answered: object, read: list[str]) -> None:
    assert PhoneAgent.from_response({"id": "1", "language": answered}).language == read


def test_models_keep_unknown_fields_and_values() -> None:
    agent = PhoneAgent.from_response({"id": "1", "type": "hybrid", "model": "oppie-vox-9", "mood": {"calm": 1}})
    assert agent.as_dict() | {"type": "hybrid", "model": "oppie-vox-9", "mood": {"calm": 1}} == agent.as_dict()
    assert agent.as_dict()["phone_number"] is None


@pytest.mark.parametrize("answer", [None, [], "text", {}, {"id": None}, {"id": 7}, {"id": "1", "phone_number": 5}])
def test_models_refuse_response_that_is_no_agent(answer: object) -> None:
    with pytest.raises(OpenCXResponseError, match="not an agent"):
        PhoneAgent.from_response(answer)
