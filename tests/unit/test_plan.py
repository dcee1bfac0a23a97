"""Tests the plan that follows from a declaration and the agents that exist."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

import pytest

from airflow_provider_opencx.exceptions import (
    OpenCXAgentExistsError,
    OpenCXAgentNotFoundError,
    OpenCXAmbiguousNameError,
    OpenCXArgumentError,
    OpenCXPlanRefusedError,
)
from airflow_provider_opencx.phone_agents.fleet import FleetStep
from airflow_provider_opencx.phone_agents.plan import (
    FORMS,
    Adopt,
    Create,
    PhoneAgents,
    Refuse,
    Unchanged,
    Update,
    find_differences,
    find_mismatches,
    plan_create,
    plan_update,
    plan_upsert,
    require_agent,
)
from airflow_provider_opencx.resources.phone_agents import IDS_BY_NAMES, PhoneAgent, PhoneAgentChanges, PhoneAgentSpec


def agent(**fields: object) -> PhoneAgent:
    return PhoneAgent.from_response({"id": "1", "name": "a", "type": "outbound", **fields})


def listed(*agents: PhoneAgent) -> PhoneAgents:
    return PhoneAgents(agents)


def spec(**fields: object) -> PhoneAgentSpec:
    return PhoneAgentSpec.parse({"name": "a", **fields})


def test_plan_creates_agent_of_new_name() -> None:
    assert plan_upsert(spec(), listed(agent(name="another"), agent(name=None))) == Create(spec())
    assert plan_create(spec(), listed(), "fail") == Create(spec())


def test_plan_compares_only_declared_fields() -> None:
    assert plan_upsert(spec(), listed(agent(first_message="Hi", language=["fr"]))) == Unchanged(
        agent(first_message="Hi", language=["fr"])
    )


def test_plan_sends_only_differences() -> None:
    plan = plan_upsert(
        spec(first_message="Hi", language="en", voice_id="v", additional_fields={"mood": "calm"}),
        listed(agent(first_message="Hello", language=["en"], voice_id="v", mood="angry")),
    )
    assert isinstance(plan, Update)
    assert plan.changes.body() == {"first_message": "Hi", "mood": "calm"}
    assert [str(difference) for difference in plan.differences] == [
        "first_message: 'Hello' -> 'Hi'",
        "mood: 'angry' -> 'calm'",
    ]


@pytest.mark.parametrize(
    ("written", "existing"),
    [
        ({"language": ["es", "en"]}, {"language": ["en", "es"]}),
        ({"language": "EN"}, {"language": "en"}),
        ({"language": None}, {"language": []}),
        ({"handoff_phone_number": "+14155550100"}, {"handoff_phone_number": "+1 415-555-0100"}),
        ({"action_ids": ["x", "y"]}, {"actionIds": ["y", "x"]}),
        ({"speed": 1}, {"speed": 1.0}),
        ({"first_message": None}, {"first_message": "Hello?"}),
        ({"use_org_knowledgebase": None}, {"use_org_knowledgebase": False}),
        ({"handoff_phone_number": None}, {}),
    ],
)
def test_plan_treats_equivalent_values_as_equal(written: dict[str, object], existing: dict[str, object]) -> None:
    assert plan_upsert(spec(**written), listed(agent(**existing))) == Unchanged(agent(**existing))


@pytest.mark.parametrize(
    ("written", "existing"),
    [
        ({"action_ids": []}, {"actionIds": None}),
        ({"action_ids": None}, {"actionIds": []}),
        ({"handoff_phone_number": None}, {"handoff_phone_number": "+14155550100"}),
        ({"first_message": ""}, {"first_message": None}),
        ({"instructions": ["1", "2"]}, {"instructions": ["2", "1"]}),
        ({"voice_id": None}, {"voice_id": "v"}),
        ({"speed": 1.1}, {}),
        ({"type": "outbound"}, {"type": "inbound"}),
    ],
)
def test_plan_sends_values_that_differ_in_meaning(written: dict[str, object], existing: dict[str, object]) -> None:
    plan = plan_upsert(spec(**written), listed(agent(**existing)))
    assert isinstance(plan, Update)
    assert plan.changes.declared_fields == written


@pytest.mark.parametrize("name", ["  a ", "a"])
def test_plan_finds_name_tidied_by_service(name: str) -> None:
    assert plan_upsert(spec(), listed(agent(name=name))) == Unchanged(agent(name=name))


def test_plan_refuses_ambiguous_name() -> None:
    for plan in (
        plan_upsert(spec(), listed(agent(), agent(id="2"))),
        plan_create(spec(), listed(agent(), agent(id="2")), "adopt"),
    ):
        assert isinstance(plan, Refuse)
        assert isinstance(plan.error, OpenCXAmbiguousNameError)
        assert plan.error.agent_ids == ["1", "2"]
        assert "1, 2" in str(plan.error)


def test_plan_refuses_model_change() -> None:
    plan = plan_upsert(spec(model="oppie-vox-2", first_message="Hi"), listed(agent(model="oppie-vox")))
    assert isinstance(plan, Refuse)
    assert "cannot be changed" in str(plan.error)
    assert plan_upsert(spec(model="oppie-vox"), listed(agent(model="oppie-vox"))) == Unchanged(agent(model="oppie-vox"))
    assert plan_upsert(spec(model="oppie-vox-2"), listed(agent())) == Unchanged(agent())


def test_plan_changes_inbound_only_when_declared() -> None:
    inbound = agent(type="inbound")
    for plan in (plan_upsert(spec(), listed(inbound)), plan_create(spec(), listed(inbound), "adopt")):
        assert isinstance(plan, Refuse)
        assert isinstance(plan.error, OpenCXPlanRefusedError)
        assert "is inbound, while no type is written, which means outbound." in str(plan.error)
        assert "type='outbound'; if it is to stay inbound, write type='inbound'; otherwise" in str(plan.error)
    create = plan_create(spec(type="outbound"), listed(inbound), "adopt")
    assert "is inbound, while an outbound agent is declared." in str(create)
    assert isinstance(plan_upsert(spec(type="outbound"), listed(inbound)), Update)
    assert isinstance(plan_update(PhoneAgentChanges.parse({"first_message": "Hi"}), inbound, listed(inbound)), Update)


def test_plan_adopts_or_refuses_existing_agent() -> None:
    existing = agent(first_message="Hello")
    adopted = plan_create(spec(first_message="Hi"), listed(existing), "adopt")
    assert isinstance(adopted, Adopt)
    assert [difference.field for difference in adopted.differences] == ["first_message"]
    refused = plan_create(spec(), listed(existing), "fail")
    assert isinstance(refused, Refuse)
    assert isinstance(refused.error, OpenCXAgentExistsError)


def test_approval_of_create_does_not_allow_update() -> None:
    declared = spec(first_message="Hi")
    approved = FleetStep(declared, plan_upsert(declared, listed())).as_dict()
    assert FleetStep(declared, plan_upsert(declared, listed())).is_approved_by(approved)
    update = FleetStep(declared, plan_upsert(declared, listed(agent(first_message=None))))
    assert update.action == "update"
    assert not update.is_approved_by(approved)


def test_plan_refuses_rename_to_used_name() -> None:
    agents = [agent(), agent(id="2", name="b")]
    plan = plan_update(PhoneAgentChanges.parse({"name": "b"}), agents[0], listed(*agents))
    assert isinstance(plan, Refuse)
    assert isinstance(plan.error, OpenCXAmbiguousNameError)


def test_plan_finds_mismatches_of_written_fields_only() -> None:
    declared = spec(first_message="Hi", voice_id=None, handoff_phone_number=None, speed=1.5)
    answered = agent(first_message="Hello", voice_id="default", handoff_phone_number="+14155550100", language=["en"])
    mismatches = [mismatch.field for mismatch in find_mismatches(declared, answered)]
    assert mismatches == ["first_message", "handoff_phone_number", "speed"]


@pytest.mark.parametrize(
    "selector", [{}, {"agent_id": "1", "agent_name": "a"}, {"agent_id": ""}, {"agent_name": " "}, {"agent_id": 1}]
)
def test_plan_refuses_wrong_selector(selector: dict[str, str]) -> None:
    with pytest.raises(OpenCXArgumentError, match="agent_"):
        require_agent(listed(agent()), **selector)


def test_plan_raises_for_missing_agent() -> None:
    with pytest.raises(OpenCXAgentNotFoundError, match="phone agent 2"):
        require_agent(listed(agent()), agent_id="2")
    with pytest.raises(OpenCXAgentNotFoundError, match="named 'b'"):
        require_agent(listed(agent()), agent_name="b")


def test_plan_compares_additional_fields() -> None:
    declared = spec(additional_fields={"label": "x", "copy": "y"})
    assert plan_upsert(declared, listed(agent(label="x", copy="y"))) == Unchanged(agent(label="x", copy="y"))
    plan = plan_upsert(declared, listed(agent()))
    assert isinstance(plan, Update)
    assert [difference.actual for difference in plan.differences] == [None, None]


@pytest.mark.parametrize(
    ("existing", "declared", "refused_by"),
    [
        ("inbound", None, {"create", "upsert"}),
        ("inbound", "inbound", set()),
        ("inbound", "outbound", {"create"}),
        ("outbound", None, set()),
        ("outbound", "inbound", {"create"}),
        ("outbound", "outbound", set()),
        (None, None, set()),
        (None, "inbound", set()),
        (None, "outbound", set()),
    ],
)
def test_plan_refuses_other_type_but_not_unknown_type(
    existing: str | None, declared: str | None, refused_by: set[str]
) -> None:
    wanted = spec() if declared is None else spec(type=declared)
    agents = listed(agent(type=existing))
    plans = {"create": plan_create(wanted, agents, "adopt"), "upsert": plan_upsert(wanted, agents)}
    assert {verb for verb, plan in plans.items() if isinstance(plan, Refuse)} == refused_by


def agent_with(field: str, value: object) -> PhoneAgent:
    return agent(**(value if isinstance(value, dict) and field == "additional_fields" else {field: value}))


class Compared(NamedTuple):
    """What a declared value is compared with: what means the same is left alone, what differs is sent."""

    declared: object
    same: list[object]
    different: list[object]


# These differ by letter case, white space, punctuation and Unicode composition.
TEXT = Compared("\u00c9 b-1", ["\u00c9 b-1"], ["\u00e9 b-1", "\u00c9 b-1 ", "\u00c9b1", "E\u0301 b-1", "", None])
SWITCH = Compared(True, [True], [False, None])
IN_ANY_ORDER = Compared(["x", "y"], [["x", "y"], ["y", "x"]], [["X", "y"], ["x"], ["x", "y", "z"], [], None])
IN_ORDER = Compared(["x", "y"], [["x", "y"]], [["y", "x"], ["X", "y"], ["x"], ["x", "y", "z"], [], None])

COMPARED: dict[str, Compared] = {
    "name": Compared("\u00c9 b", ["\u00c9 b", " \u00c9 b\n", "E\u0301 b"], ["\u00e9 b", "\u00c9  b", "\u00c9b"]),
    "type": Compared("outbound", ["outbound"], ["inbound", "Outbound", None]),
    "language": Compared(
        ["en", "es"], [["en", "es"], ["es", "en"], ["EN", "Es"]], [["en"], ["en", "es", "fr"], ["e n", "es"], []]
    ),
    "voice_id": TEXT,
    "first_message": TEXT,
    "instructions": IN_ORDER,
    "handoff_phone_number": Compared(
        "+1 (415) 555-0100",
        ["+14155550100", "+1 (415) 555-0100", "+1.415.555/0100"],
        ["+14155550101", "14155550100", "", None],
    ),
    "use_org_knowledgebase": SWITCH,
    "action_ids": IN_ANY_ORDER,
    "accent": TEXT,
    "speed": Compared(1, [1, 1.0], [1.1, None]),
    "interruptible": SWITCH,
    "data_collection_fields": IN_ANY_ORDER,
    "data_collection_webhook_url": Compared(
        "https://example.com/A-b",
        ["https://example.com/A-b"],
        ["https://example.com/a-b", "https://example.com/Ab", "https://example.com/A-b ", None],
    ),
    "model": Compared("oppie-vox", ["oppie-vox"], ["Oppie-Vox", "oppievox", "oppie-vox "]),
    "flow": Compared(
        {"a": ["x", "y"], "b": 1},
        [{"a": ["x", "y"], "b": 1}, {"b": 1, "a": ["x", "y"]}],
        [{"a": ["y", "x"], "b": 1}, {"A": ["x", "y"], "b": 1}, ["a", "b"], None],
    ),
    "manual_mode": SWITCH,
    "custom_llm": TEXT,
    "additional_fields": Compared(
        {"newer": ["x", "y"]},
        [{"newer": ["x", "y"]}],
        [{"newer": ["y", "x"]}, {"newer": ["X", "y"]}, {"Newer": ["x", "y"]}, {"newer": None}],
    ),
}


@pytest.mark.parametrize("field", [field for field in PhoneAgentChanges.model_fields if field not in IDS_BY_NAMES])
def test_plan_compares_each_field_by_meaning(field: str) -> None:
    declared, same, different = COMPARED[field]
    changes = PhoneAgentChanges.parse({field: declared})
    for value in same:
        existing = agent_with(field, value)
        assert plan_update(changes, existing, listed(existing)) == Unchanged(existing)
        assert find_mismatches(changes, existing) == ()
    for value in different:
        existing = agent_with(field, value)
        plan = plan_update(changes, existing, listed(existing))
        if field == "model":
            assert isinstance(plan, Refuse), value
        else:
            assert isinstance(plan, Update), value
            assert plan.changes == changes
        [mismatch] = find_mismatches(changes, existing)
        assert mismatch.wanted in changes.declared_fields.values()


class Null(NamedTuple):
    """What becomes of a field that is declared as ``None``.

    :param values: what the service may have in its place.
    :param reached_by: those of them for which nothing is sent.
    :param service_chooses: whether they are the service's own choice, and as asked.
    """

    values: list[object]
    reached_by: list[object]
    service_chooses: bool


TEXTS: list[object] = ["Hello?", "hello?", "oppie-vox", ""]
SWITCHES: list[object] = [True, False]
LISTS: list[object] = [["x"], []]

NULLS: dict[str, Null] = {
    "language": Null([["en"], ["en", "es"]], [], True),
    "voice_id": Null(TEXTS, [], True),
    "first_message": Null(TEXTS, ["Hello?"], True),
    "instructions": Null(LISTS, [], False),
    "handoff_phone_number": Null(["+14155550100", ""], [], False),
    "use_org_knowledgebase": Null(SWITCHES, [False], True),
    "action_ids": Null(LISTS, [], False),
    "accent": Null(TEXTS, [], False),
    "speed": Null([1.0, 0.0], [], True),
    "interruptible": Null(SWITCHES, [True], True),
    "data_collection_fields": Null(LISTS, [], False),
    "data_collection_webhook_url": Null(["https://example.com/", ""], [], False),
    "model": Null(TEXTS, TEXTS, True),
    "flow": Null([{"a": 1}, *LISTS, *TEXTS, *SWITCHES], [], False),
    "manual_mode": Null(SWITCHES, [], True),
    "custom_llm": Null(TEXTS, [], False),
    "additional_fields": Null([{"newer": value} for value in [*TEXTS, *SWITCHES, *LISTS]], [], False),
}

NULLABLE = [field for field in PhoneAgentChanges.model_fields if field not in ("name", "type", *IDS_BY_NAMES)]


def declared_null(field: str) -> dict[str, object]:
    return {field: {"newer": None} if field == "additional_fields" else None}


@pytest.mark.parametrize("field", NULLABLE)
def test_plan_sends_null_until_documented_default(field: str) -> None:
    changes = PhoneAgentChanges.parse(declared_null(field))
    assert plan_update(changes, agent(), listed(agent())) == Unchanged(agent())
    for value in NULLS[field].values:
        existing = agent_with(field, value)
        plan = plan_update(changes, existing, listed(existing))
        if value in NULLS[field].reached_by:
            assert plan == Unchanged(existing)
        else:
            assert isinstance(plan, Update), value
            assert plan.changes == changes


@pytest.mark.parametrize("field", NULLABLE)
def test_plan_accepts_service_value_for_null(field: str) -> None:
    declared = spec(**declared_null(field))
    approved = FleetStep(declared, plan_upsert(declared, listed())).as_dict()
    for value in NULLS[field].values:
        existing = agent_with(field, value)
        as_asked = find_mismatches(declared, existing) == ()
        assert as_asked == NULLS[field].service_chooses, value
        # What is as asked is done: a retry of an approved plan goes on with the others.
        is_approved = FleetStep(declared, plan_upsert(declared, listed(existing))).is_approved_by(approved)
        assert is_approved == NULLS[field].service_chooses, value


class Moment(NamedTuple):
    """What is declared of an agent, and what the agent has."""

    declared: dict[str, object]
    existing: dict[str, object]

    @property
    def step(self) -> FleetStep:
        declared = spec(**self.declared)
        return FleetStep(declared, plan_upsert(declared, listed(agent(**self.existing))))

    def is_approved_by(self, earlier: Moment) -> bool:
        return self.step.is_approved_by(json.loads(json.dumps(earlier.step.as_dict())))


@pytest.mark.parametrize(
    ("approved", "later"),
    [
        (
            Moment({"first_message": "Hi"}, {"first_message": "Hey"}),
            Moment({"first_message": "Ho"}, {"first_message": "Ho"}),
        ),
        (Moment({"voice_id": "v"}, {"voice_id": "v"}), Moment({"voice_id": None}, {"voice_id": "v"})),
        (Moment({"action_ids": []}, {}), Moment({"action_ids": None}, {})),
        (Moment({"additional_fields": {"newer": True}}, {}), Moment({"additional_fields": {"newer": 1}}, {})),
        (
            Moment({"additional_fields": {"newer": "x"}}, {"newer": True}),
            Moment({"additional_fields": {"newer": "x"}}, {"newer": 1}),
        ),
        (Moment({"flow": {"on": [False]}}, {}), Moment({"flow": {"on": [0]}}, {})),
    ],
    ids=["what is there now", "null", "null for empty", "1 for true", "from 1, not true", "0 for false, deep inside"],
)
def test_approval_covers_declared_values(approved: Moment, later: Moment) -> None:
    assert approved.is_approved_by(approved)
    assert later.is_approved_by(later)
    assert not later.is_approved_by(approved)


@pytest.mark.parametrize("field", FORMS)
def test_approval_covers_values_of_the_same_meaning(field: str) -> None:
    declared, same, different = COMPARED[field]
    approved = Moment({field: declared}, agent_with_difference(field))
    for value in same:
        # Who declares it, or what the service shows of it, may be written in another way than when it was approved.
        assert Moment({field: value}, agent_with_difference(field)).is_approved_by(approved)
        back = Moment({field: different[0]}, {field: declared})
        assert Moment({field: different[0]}, {field: value}).is_approved_by(back)
    for value in different:
        if value is not None and (other := declarable(field, value)):
            assert not Moment(other, agent_with_difference(field)).is_approved_by(approved), value


def agent_with_difference(field: str) -> dict[str, object]:
    """What an agent has that is not as declared; its name is the one by which it is found."""
    return {} if field == "name" else {field: None}


def declarable(field: str, value: object) -> dict[str, object] | None:
    try:
        PhoneAgentSpec.parse({"name": "a", field: value})
    except OpenCXArgumentError:
        return None
    return {field: value}


def test_approval_ignores_key_order() -> None:
    assert Moment({"flow": {"a": 1, "b": 2}}, {}).is_approved_by(Moment({"flow": {"b": 2, "a": 1}}, {}))


def test_approval_needs_digest_where_changes_were_all_approved() -> None:
    approved = Moment({"first_message": "Hi", "handoff_phone_number": "+14155550100"}, {}).step.as_dict()
    later = Moment({"first_message": "Hi"}, {}).step
    assert all(change in approved["changes"] for change in later.as_dict()["changes"])
    assert not later.is_approved_by(approved), "without its handoff number, nobody has approved the agent"


def test_approval_needs_changes_where_digest_is_same() -> None:
    approved = Moment({"first_message": "Hi"}, {"first_message": "Hey"}).step.as_dict()
    later = Moment({"first_message": "Hi"}, {"first_message": "A colleague's new greeting"}).step
    assert later.as_dict()["declaration"] == approved["declaration"]
    assert not later.is_approved_by(approved), "nobody has approved to overwrite the colleague's greeting"


@pytest.mark.parametrize(
    ("field", "declared", "actual"),
    [
        ("flow", {"record": True}, {"record": 1}),
        ("flow", [False], [0]),
        ("interruptible", True, 1),
        ("manual_mode", False, 0),
        ("speed", 1.0, True),
        ("data_collection_fields", ["{'name': 'a'}"], [{"name": "a"}]),
    ],
)
def test_boolean_is_no_number_and_object_no_text(field: str, declared: Any, actual: Any) -> None:
    differences = find_differences(spec(**{field: declared}), agent(**{field: actual}))
    assert [difference.field for difference in differences] == [field]
