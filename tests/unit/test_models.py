"""Tests the models: strict when they write, tolerant when they read."""

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
        ({"name": "\u200b\ufe0f\u3164 "}, "name: holds nothing that can be seen"),
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


@pytest.mark.parametrize("answer", [None, [], "text", {}, {"id": None}, {"id": 7}, {"id": 5, "phone_number": 5}])
def test_models_refuse_response_that_is_no_agent(answer: object) -> None:
    with pytest.raises(OpenCXResponseError, match="not an agent"):
        PhoneAgent.from_response(answer)


@pytest.mark.parametrize(
    ("written", "sent"),
    [
        ("+15550000000", "+15550000000"),
        ("+1 (415) 555-0100", "+14155550100"),
        ("+1 415.555.0100", "+14155550100"),
        ("+49 30 / 555\N{NO-BREAK SPACE}010", "+4930555010"),
        ("+49 30 \N{EN DASH} 555\N{NON-BREAKING HYPHEN}010", "+4930555010"),
        ("+39 (0)6 1234567", "+39061234567"),
        ("+1 555 000 0000", "+15550000000"),
    ],
)
def test_phone_number_is_sent_without_spacing(written: str, sent: str) -> None:
    assert PhoneAgentChanges(handoff_phone_number=written).body() == {"handoff_phone_number": sent}


@pytest.mark.parametrize(
    ("written", "says", "meant"),
    [
        ("+49 (0)30 555010", "has digits in it that are dialled only inside its country", "+4930555010"),
        ("+49030555010", "has digits in it that are dialled only inside its country", "+4930555010"),
        ("+44 (0)20 7946 0123", "has digits in it that are dialled only inside its country", "+442079460123"),
        ("+9\u0667\u06615550100", "has digits other than 0 to 9", "+9715550100"),
        ("+\uff11\uff14\uff11\uff15\uff15\uff15\uff15\uff10\uff11\uff10\uff10", "has digits other", "+14155550100"),
        ("\u202a+49 30 555010\u202c", "has invisible characters in it", "+4930555010"),
        ("0049 30 555010", "must begin with + in place of 00", "+4930555010"),
        ("0049 (0)30 555010", "must begin with + in place of 00", "+4930555010"),
        ("0415 555", "must begin with + and the code of its country", None),
        ("4155550100", "must begin with + and the code of its country", None),
        ("+49 30 555010 ext. 5", "has an extension", "+4930555010"),
        ("+49 30 555010 x5", "has an extension", "+4930555010"),
        ("+49 30 555010#5", "has an extension", "+4930555010"),
        ("+1-800-FLOWERS", "has letters in it", "+18003569377"),
        ("tel:+49-30-555010", "has letters in it", "+4930555010"),
        ("+14155550100 / +14155550101", "must be one phone number", None),
        ("+49*30555010", "must hold nothing but +, digits and spacing", "+4930555010"),
        ("+911", "is too short", None),
        ("+15550100", "is without its area code", None),
        ("+12345678901234", "is too long for a phone number of its country", None),
        ("+999123456789", "does not begin with the code of a country", None),
        ("+" + "1" * 5000, "is too long for a phone number", None),
        ("", "must not be empty", None),
    ],
)
def test_phone_number_that_nobody_can_call_is_refused(written: str, says: str, meant: str | None) -> None:
    with pytest.raises(OpenCXArgumentError) as wrong:
        PhoneAgentChanges(handoff_phone_number=written)
    message = str(wrong.value)
    assert message.startswith("handoff_phone_number: ")
    assert says in message
    assert (message.rpartition("; did you mean ")[2] == f"{meant!r}?") is (meant is not None)
    if meant is not None:
        assert PhoneAgentChanges(handoff_phone_number=meant).handoff_phone_number == meant


@pytest.mark.parametrize(
    ("written", "sent"),
    [
        ("EN", ["en"]),
        (["EN", "en", "Es"], ["en", "es"]),
        ("pt-BR", ["pt-BR"]),
        ("zh-Hans", ["zh-Hans"]),
        ("es-419", ["es-419"]),
        ("fil", ["fil"]),
    ],
)
def test_language_is_sent_as_codes(written: object, sent: list[str]) -> None:
    assert PhoneAgentChanges.parse({"language": written}).body() == {"language": sent}


RENDERED_LISTS = ["['en', 'fr']", '["en"]', "('en', 'fr')", "[]", " ['a']\n", "[1]"]
LIST_FIELDS = ["language", "instructions", "action_ids", "data_collection_fields"]


@pytest.mark.parametrize("field", LIST_FIELDS)
@pytest.mark.parametrize("text", RENDERED_LISTS)
def test_list_of_which_a_template_made_text_is_refused_with_the_way_to_pass_one(field: str, text: str) -> None:
    with pytest.raises(OpenCXArgumentError) as wrong:
        PhoneAgentChanges.parse({field: text})
    assert str(wrong.value) == (
        f"{field}: must be a list, and is text that was one: a template gives text. Give the output of a task"
        " (task.output), or set render_template_as_native_obj=True in the Dag"
    )


@pytest.mark.parametrize("field", LIST_FIELDS[1:])
def test_one_text_is_no_list_of_texts(field: str) -> None:
    with pytest.raises(OpenCXArgumentError, match=f"^{field}: must be a list[: ]"):
        PhoneAgentChanges.parse({field: "Ask for the name"})


@pytest.mark.parametrize(
    ("language", "says"),
    [
        ("en,fr", "'en,fr' is several codes in one text; write a list: ['en', 'fr']"),
        ("en, pt-BR", "'en, pt-BR' is several codes in one text; write a list: ['en', 'pt-BR']"),
        ("en fr", "is several codes in one text"),
        ("English", "did you mean 'en'?"),
        ("FRANÇAIS", "did you mean 'fr'?"),
        ("日本語", "did you mean 'ja'?"),
        ("en_US", "did you mean 'en-US'?"),
        ("multi", "'multi' is not the code of a language, such as 'en', 'pt-BR' or 'zh-Hans'"),
        ("e", "is not the code of a language"),
        ("en-", "is not the code of a language"),
        ("\uff45\uff4e", "is not the code of a language"),
        ("None", "is not the code of a language"),
        ("x" * 100_000, "is not the code of a language"),
        ("", "must name at least one language code"),
        (["en", " "], "must name at least one language code"),
        (["en", "English"], "did you mean 'en'?"),
    ],
)
def test_language_that_is_no_code_is_refused(language: object, says: str) -> None:
    with pytest.raises(OpenCXArgumentError) as wrong:
        PhoneAgentChanges.parse({"language": language})
    assert str(wrong.value).startswith("language: ")
    assert says in str(wrong.value)
