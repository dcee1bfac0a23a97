"""Tests that a single response is not trusted: the list must confirm what was written."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import replace
from functools import partial
from types import SimpleNamespace

import pytest
from pydantic import JsonValue

from airflow_provider_opencx.client import locks
from airflow_provider_opencx.client.operation import Request, Response
from airflow_provider_opencx.exceptions import (
    OpenCXError,
    OpenCXNameMismatchError,
    OpenCXRequestRefusedPermanentError,
    OpenCXUnconfirmedError,
    OpenCXUnknownOutcomeError,
)
from airflow_provider_opencx.intents import Intent, IntentStore
from airflow_provider_opencx.phone_agents import listing as agents_listing
from airflow_provider_opencx.phone_agents.listing import list_agents
from airflow_provider_opencx.phone_agents.plan import Create, PhoneAgents, Plan, Update, plan_upsert
from airflow_provider_opencx.phone_agents.writes import PhoneAgentResource
from airflow_provider_opencx.reconciliation import creates, listing, progress
from airflow_provider_opencx.reconciliation.apply import apply_plan, apply_plans
from airflow_provider_opencx.reconciliation.progress import Planned
from airflow_provider_opencx.reconciliation.resource import Outcome
from airflow_provider_opencx.resources.phone_agents import PhoneAgent, PhoneAgentSpec

from .replies import Replies

SPEC = PhoneAgentSpec.parse({"name": "a", "model": "oppie-vox-2", "first_message": "Hi"})
STORED = {"id": "pa_1", **SPEC.for_creation().body()}
SPARSE = {"id": "pa_1"}
OTHER = {"id": "pa_0", "name": "another"}


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """The time as it is for what is applied: it passes where the provider sleeps, or a test says so."""
    clock = SimpleNamespace(now=1_000.0, monotonic=lambda: clock.now, time=lambda: clock.now)
    clock.sleep = lambda seconds: setattr(clock, "now", clock.now + seconds)
    for module in (creates, listing, progress, agents_listing):
        monkeypatch.setattr(module, "time", clock)
    monkeypatch.setattr(locks, "_intents", {})
    return clock


def outcome_of(plan: Plan, *bodies: object, spec: PhoneAgentSpec = SPEC) -> Outcome:
    """Apply a plan whose requests get these bodies as responses, one after another; the last one again and again."""
    left = list(bodies)

    def respond(request: Request) -> Response:
        return response_with(left.pop(0) if len(left) > 1 else left[0])

    agents = PhoneAgents([PhoneAgent.from_response(OTHER)])
    planned = Planned(plan, spec, lambda agents: plan_upsert(spec, agents))
    client = Replies(respond)
    outcome = apply_plan(client, PhoneAgentResource(client), planned, agents)
    assert len(left) == 1
    return outcome


def response_with(body: object, status: int = 200) -> Response:
    return Response(status, body=json.dumps(body).encode())


def test_created_agent_may_appear_late(clock: SimpleNamespace) -> None:
    outcome = outcome_of(Create(SPEC), [OTHER], SPARSE, [OTHER], [OTHER], [OTHER, STORED])
    assert (outcome.decision, outcome.item.name, outcome.mismatches) == ("created", "a", ())


@pytest.mark.parametrize("response", [STORED, SPARSE, {**STORED, "first_message": "Hello"}, {**STORED, "id": "pa_9"}])
def test_created_agent_that_no_list_shows_is_no_success(response: object, clock: SimpleNamespace) -> None:
    began = clock.now
    with pytest.raises(OpenCXUnconfirmedError, match=r"pa_\d\), and no list has shown it") as error:
        outcome_of(Create(SPEC), [OTHER], response, [OTHER])
    assert (error.value.is_permanent, error.value.agent_id) == (False, response["id"])  # type: ignore[index]
    assert clock.now - began == 60


def test_updated_agent_that_no_list_shows_updated_is_no_success(clock: SimpleNamespace) -> None:
    before = PhoneAgent.from_response({**STORED, "first_message": "Hello"})
    plan = plan_upsert(SPEC, PhoneAgents([before]))
    with pytest.raises(OpenCXUnconfirmedError, match="the list still shows it as it was before"):
        outcome_of(plan, STORED, [before.as_dict()])
    assert outcome_of(plan, STORED, [before.as_dict()], [before.as_dict()], [STORED]).item.first_message == "Hi"


def test_mismatch_is_believed_where_list_and_response_agree(clock: SimpleNamespace) -> None:
    otherwise = {**STORED, "first_message": "Hello"}
    began = clock.now
    outcome = outcome_of(Create(SPEC), [OTHER], otherwise, [OTHER, otherwise])
    assert [str(mismatch) for mismatch in outcome.mismatches] == ["first_message: 'Hello' -> 'Hi'"]
    assert clock.now == began
    locks._intents.clear()
    assert outcome_of(Create(SPEC), [OTHER], STORED, [OTHER, otherwise], [OTHER, STORED]).mismatches == ()


def test_apply_ignores_model_the_service_omits() -> None:
    without_model = {name: value for name, value in STORED.items() if name != "model"}
    plan = plan_upsert(SPEC, PhoneAgents([PhoneAgent.from_response({**without_model, "first_message": "Hello"})]))
    assert isinstance(plan, Update)
    assert plan.changes.body() == {"first_message": "Hi"}
    assert outcome_of(plan, without_model, [without_model]).mismatches == ()
    other_model = {**without_model, "model": "another"}
    [mismatch] = outcome_of(plan, other_model, [other_model]).mismatches
    assert mismatch.field == "model"


class Service:
    """A service with a list, which a test makes lag, lie or change."""

    def __init__(self, clock: SimpleNamespace, *existing: dict[str, JsonValue]) -> None:
        self.clock = clock
        self.stored = list(existing)
        self.lags_for = 0.0
        self.lists: list[list[JsonValue]] = []
        self.tidies = lambda name: name
        self.shows_at: dict[str, float] = {}
        self.client = Replies(self.respond)

    @property
    def sent(self) -> list[str]:
        return [request.operation.method for request in self.client.sent]

    def respond(self, request: Request) -> Response:
        if request.operation.method == "POST":
            agent = {"id": f"pa_{len(self.stored) + 1}", **request.body}  # type: ignore[dict-item]
            agent["name"] = self.tidies(agent["name"])
            self.stored.append(agent)
            self.shows_at[agent["id"]] = self.clock.now + self.lags_for
            return response_with(agent)
        if self.lists:
            return response_with(self.lists.pop(0))
        return response_with([a for a in self.stored if self.shows_at.get(str(a["id"]), 0) <= self.clock.now])

    def upsert(
        self, *names: str, intents: IntentStore | None = None, allow_near_name: bool = False
    ) -> list[Outcome | OpenCXError]:
        agents = list_agents(self.client)
        planned = []
        for name in names:
            spec = PhoneAgentSpec(name=name)
            replan = partial(plan_upsert, spec, allow_near_name=allow_near_name)
            planned.append(Planned(replan(agents), spec, replan))
        return apply_plans(self.client, PhoneAgentResource(self.client), planned, agents, intents=intents)


def test_list_that_was_empty_once_makes_no_second_agent(clock: SimpleNamespace) -> None:
    service = Service(clock, *({"id": f"pa_{n}", "name": f"{n}", "type": "outbound"} for n in range(20)))
    for lists in ([[]], [[], []], [service.stored[:3]], [[], service.stored[:3]]):
        service.lists = list(lists)
        assert {type(result) for result in service.upsert(*(str(n) for n in range(20)))} == {Outcome}
        assert len(service.stored) == 20


@pytest.mark.parametrize(
    ("existing", "sent"),
    [([{"id": "pa_0", "name": "another"}], ["GET", "GET", "POST", "GET"]), ([], ["GET", "GET", "GET", "POST", "GET"])],
    ids=["others exist", "nobody exists"],
)
def test_create_costs_two_reads_before_and_one_after(
    existing: list[dict[str, JsonValue]], sent: list[str], clock: SimpleNamespace
) -> None:
    service = Service(clock, *existing)
    service.upsert("a")
    assert service.sent == sent


def test_first_name_stored_otherwise_stops_creates(clock: SimpleNamespace) -> None:
    service = Service(clock, {"id": "pa_0", "name": "another"})
    service.tidies = str.upper
    results = service.upsert(*(f"name {n}" for n in range(20)))
    assert [type(result) for result in results] == [OpenCXNameMismatchError] * 20
    assert "'NAME 0'" in str(results[0])
    assert str(results[1]).startswith("Not sent, because others failed: OpenCX created")
    assert service.sent.count("POST") == 1


TIDIED = [
    ("A & B", "A &amp; B"),
    ("A  B\tC", "A B C"),
    ("\N{FULLWIDTH LATIN CAPITAL LETTER A}1", "A1"),
    ("x" * 70, "x" * 64),
    ("&lt;b&gt;", "&amp;lt;b&amp;gt;"),
]


@pytest.mark.parametrize(("declared", "stored"), TIDIED)
def test_agent_stored_under_tidied_name_is_not_created_again(
    declared: str, stored: str, clock: SimpleNamespace
) -> None:
    service = Service(clock, {"id": "pa_0", "name": "another"})
    service.tidies = lambda name: stored
    for kind in ("OpenCXNameMismatchError", "OpenCXNearNameError", "OpenCXNearNameError"):
        [result] = service.upsert(declared)
        assert (type(result).__name__, result.is_permanent) == (kind, True)  # type: ignore[union-attr]
        assert repr(stored) in str(result)
    assert service.sent.count("POST") == 1


@pytest.mark.parametrize(("name", "existing"), [("A & B", "A &amp; B"), ("A B", "A  B"), ("a", "A")])
@pytest.mark.parametrize("lags_for", [0, 40, 100, 170])
def test_allowed_near_name_does_not_stand_in_for_agent_that_list_does_not_show_yet(
    lags_for: float, name: str, existing: str, clock: SimpleNamespace
) -> None:
    service = Service(clock, {"id": "pa_0", "name": existing, "type": "outbound"})
    service.lags_for = lags_for
    recorded = Recorded()
    for _ in range(3):
        [result] = service.upsert(name, intents=recorded, allow_near_name=True)
    assert [agent["name"] for agent in service.stored] == [existing, name]
    assert isinstance(result, Outcome)
    assert result.item.name == name


def respond_with(*statuses: int, **headers: str) -> list[Response]:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return [Response(status, named, json.dumps({"statusCode": status}).encode()) for status in statuses]


FAILURE, SUCCESS, REFUSAL = respond_with(503, 200, 422)
ANOTHER_REFUSAL = replace(REFUSAL, body=json.dumps({"statusCode": 422, "message": "no such voice"}).encode())


@pytest.mark.parametrize(
    ("responses", "sent"),
    [
        ([FAILURE] * 5 + [SUCCESS] * 5, 5),
        ([FAILURE] * 4 + [SUCCESS] + [FAILURE] * 4 + [SUCCESS], 10),
        (respond_with(429, 500, 408, 502, 504, 200), 5),
        ([REFUSAL] * 20, 5),
        ([REFUSAL, REFUSAL, SUCCESS] * 5, 15),
        ([REFUSAL, ANOTHER_REFUSAL] * 5, 10),
        ([REFUSAL] * 4 + [ANOTHER_REFUSAL] * 6, 9),
        ([REFUSAL] * 4 + [FAILURE] + [REFUSAL] * 4 + [SUCCESS], 10),
        (respond_with(400, 404, 409, 413, 422, 200), 6),
        ([FAILURE] * 4 + [REFUSAL] + [FAILURE] * 4 + [SUCCESS], 10),
        ([REFUSAL] * 4 + [FAILURE] * 5 + [SUCCESS], 9),
        (respond_with(401, 200), 1),
        (respond_with(403, 200), 1),
        (respond_with(302, 200), 1),
        (respond_with(429, 200, retry_after="61"), 1),
        (respond_with(503, 200, retry_after="61"), 1),
        (respond_with(503, 200, retry_after="60"), 2),
    ],
    ids=lambda value: None if isinstance(value, int) else " ".join(str(response.status_code) for response in value),
)
def test_circuit_breaker_stops_at_what_every_agent_meets(responses: list[Response], sent: int) -> None:
    specs = [PhoneAgentSpec.parse({"name": f"{number}", "first_message": "Hi"}) for number in range(len(responses))]
    agents = [PhoneAgent(id=f"pa_{spec.name}", name=spec.name, type="outbound") for spec in specs]
    existing = PhoneAgents(agents)
    planned = [Planned(plan_upsert(spec, existing), spec, lambda agents: pytest.fail("no create")) for spec in specs]
    of_agent = iter(zip(agents, responses, strict=True))

    def respond(request: Request) -> Response:
        if request.operation.method == "GET":
            return response_with([{**agent.as_dict(), "first_message": "Hi"} for agent in agents])
        agent, response = next(of_agent)
        if not response.is_success:
            return response
        return replace(response, body=json.dumps({**agent.as_dict(), "first_message": "Hi"}).encode())

    client = Replies(respond)
    results = apply_plans(client, PhoneAgentResource(client), planned, existing)
    written = [request.path for request in client.sent if request.operation.method == "PATCH"]
    assert written == [f"/phone/pa_{number}" for number in range(sent)]
    unsent = [result for result in results if "Not sent, because others failed" in str(result)]
    assert unsent == results[sent:]


REFUSALS = {
    "no agent": lambda name, agent_id: "no such voice",
    "the name": lambda name, agent_id: f"'{name}' has no such voice",
    "the id": lambda name, agent_id: f"{agent_id}: no such voice",
}


@pytest.mark.parametrize("agent_id", ["pa_{}", "pa\n{} /"])
@pytest.mark.parametrize(
    "names",
    [
        [f"agent {n}" for n in range(20)],
        [chr(97 + n) * 150 for n in range(20)],
        [f'it\'s "{chr(97 + n)}"\n\u200b.' for n in range(20)],
    ],
    ids=["short", "long", "odd"],
)
@pytest.mark.parametrize(
    ("method", "says"), [("POST", "no agent"), ("POST", "the name"), *(("PATCH", says) for says in REFUSALS)]
)
def test_refusals_that_differ_in_the_agent_alone_are_equal(
    method: str, says: str, names: list[str], agent_id: str, clock: SimpleNamespace
) -> None:
    existing: list[dict[str, JsonValue]] = [{"id": agent_id.format(n), "name": name} for n, name in enumerate(names)]
    service = Service(clock, *(existing if method == "PATCH" else [OTHER]))
    ids = dict(zip(names, existing, strict=True))
    respond, refused = service.respond, []

    def refuse(request: Request) -> Response:
        if request.operation.method != method:
            return respond(request)
        name = names[len(refused)]
        refused.append(name)
        return response_with({"statusCode": 422, "message": REFUSALS[says](name, ids[name]["id"])}, 422)

    service.client = Replies(refuse)
    specs = [PhoneAgentSpec.parse({"name": name, "voice_id": "v"}) for name in names]
    results = apply_specs(service.client, specs)
    assert len(refused) == 5
    assert all(str(result).startswith("Not sent, because others failed:") for result in results[5:])
    assert {type(result) for result in results} == {OpenCXRequestRefusedPermanentError}


def apply_specs(client: Replies, specs: list[PhoneAgentSpec]) -> list[Outcome | OpenCXError]:
    agents = list_agents(client)
    planned = [
        Planned(plan_upsert(spec, agents), spec, lambda agents, spec=spec: plan_upsert(spec, agents)) for spec in specs
    ]
    return apply_plans(client, PhoneAgentResource(client), planned, agents)


def test_form_of_language_that_worked_is_kept_for_updates(clock: SimpleNamespace) -> None:
    existing: list[dict[str, JsonValue]] = [{"id": f"pa_{n}", "name": f"{n}", "language": ["en"]} for n in range(5)]
    service = Service(clock, *existing)
    respond, sent = service.respond, []

    def takes_text_alone(request: Request) -> Response:
        if request.operation.method == "GET":
            return respond(request)
        language = (request.body or {})["language"]  # type: ignore[index, call-overload]
        sent.append(type(language))
        if not isinstance(language, str):
            return response_with({"statusCode": 400}, 400)
        agent_id = request.path.rpartition("/")[2]
        service.stored = [
            {**agent, "language": [language]} if agent["id"] == agent_id else agent for agent in service.stored
        ]
        return response_with(None, 200)

    service.client = Replies(takes_text_alone)
    specs = [PhoneAgentSpec(name=f"{n}", language=["de"]) for n in range(5)]
    assert {type(result) for result in apply_specs(service.client, specs)} == {Outcome}
    assert sent == [list, *[str] * 5]


def test_fleet_reads_stale_list_again_before_create(clock: SimpleNamespace) -> None:
    service = Service(clock, {"id": "pa_0", "name": "another"})
    respond = service.respond

    def slowly(request: Request) -> Response:
        clock.now += 4 * (request.operation.method == "POST")
        return respond(request)

    service.client = Replies(slowly)
    assert len(service.upsert(*(str(n) for n in range(10)))) == 10
    assert service.sent == [
        "GET",
        "GET",
        *["POST"] * 3,
        "GET",
        *["POST"] * 3,
        "GET",
        *["POST"] * 3,
        "GET",
        "POST",
        "GET",
    ]
    assert len(service.stored) == 11


class Recorded:
    """Intents as they survive a process."""

    def __init__(self, **intents: Intent) -> None:
        self.intents = dict(intents)

    def read(self, names: Iterable[str]) -> dict[str, Intent]:
        return {name: intent for name, intent in self.intents.items() if name in [*names]}

    def write(self, intents: dict[str, Intent]) -> None:
        self.intents.update(intents)

    def delete(self, names: Iterable[str]) -> None:
        for name in names:
            self.intents.pop(name, None)


def test_intent_of_earlier_try_prevents_create_while_list_may_lag(clock: SimpleNamespace) -> None:
    service = Service(clock, {"id": "pa_0", "name": "another"})
    recorded = Recorded(a=Intent(clock.now))
    for _ in range(3):
        [result] = service.upsert("a", intents=recorded)
        assert isinstance(result, OpenCXUnknownOutcomeError)
        assert "'a' was created is not known: a create was sent" in str(result)
        assert result.retry_after == pytest.approx(recorded.intents["a"].sent_at + 300 - clock.now)
    assert service.sent.count("POST") == 0
    clock.now += 300
    [created] = service.upsert("a", intents=recorded)
    assert isinstance(created, Outcome)
    assert recorded.intents == {}


def test_agent_of_earlier_try_is_adopted_when_list_shows_it(clock: SimpleNamespace) -> None:
    service = Service(clock, {"id": "pa_0", "name": "another"})
    service.stored.append({"id": "pa_1", "name": "a", "type": "outbound"})
    service.shows_at["pa_1"] = clock.now + 40
    recorded = Recorded(a=Intent(clock.now))
    [result] = service.upsert("a", intents=recorded)
    assert isinstance(result, Outcome)
    assert (result.decision, result.item.id, recorded.intents) == ("unchanged", "pa_1", {})
    assert service.sent.count("POST") == 0


@pytest.mark.parametrize("lags_for", [0, 40, 100])
def test_create_leaves_intent_until_list_shows_it(lags_for: float, clock: SimpleNamespace) -> None:
    service = Service(clock, {"id": "pa_0", "name": "another"})
    service.lags_for = lags_for
    recorded = Recorded()
    results = [service.upsert("a", intents=recorded)[0]]
    assert bool(recorded.intents) is (lags_for > 60)
    results += service.upsert("a", intents=recorded)
    assert isinstance(results[-1], Outcome)
    assert (type(results[0]) is OpenCXUnconfirmedError) is (lags_for > 60)
    assert (service.sent.count("POST"), recorded.intents) == (1, {})


def test_refused_create_leaves_no_intent(clock: SimpleNamespace) -> None:
    service = Service(clock, {"id": "pa_0", "name": "another"})
    respond = service.respond
    refusal = response_with({"statusCode": 422, "message": "no such voice"}, 422)
    service.client = Replies(lambda request: refusal if request.operation.method == "POST" else respond(request))
    recorded = Recorded()
    [result] = service.upsert("a", intents=recorded)
    assert isinstance(result, OpenCXRequestRefusedPermanentError)
    assert recorded.intents == {}


def test_create_that_was_stored_and_then_refused_is_not_sent_in_another_form(clock: SimpleNamespace) -> None:
    service = Service(clock, {"id": "pa_0", "name": "another"})
    service.lags_for = 6
    respond = service.respond

    def refuse_after_handling(request: Request) -> Response:
        response = respond(request)
        return response_with({"statusCode": 422}, 422) if request.operation.method == "POST" else response

    service.client = Replies(refuse_after_handling)
    spec = PhoneAgentSpec(name="a", language=["de"])
    planned = Planned(Create(spec), spec, lambda agents: plan_upsert(spec, agents))
    [result] = apply_plans(service.client, PhoneAgentResource(service.client), [planned], list_agents(service.client))
    assert isinstance(result, Outcome)
    assert (result.decision, result.item.name) == ("unchanged", "a")
    assert service.sent.count("POST") == 1


@pytest.mark.parametrize(("shown", "forms"), [("en", [str]), (["en"], [list, str]), (None, [list, str])])
def test_form_of_language_is_learned_from_the_list_and_then_kept(
    shown: JsonValue, forms: list[type], clock: SimpleNamespace
) -> None:
    service = Service(clock, {"id": "pa_0", "name": "another", "language": shown})
    respond, sent = service.respond, []

    def takes_text_alone(request: Request) -> Response:
        if request.operation.method != "POST":
            return respond(request)
        language = (request.body or {})["language"]  # type: ignore[index, call-overload]
        sent.append(type(language))
        return respond(request) if isinstance(language, str) else response_with({"statusCode": 400}, 400)

    service.client = Replies(takes_text_alone)
    specs = [PhoneAgentSpec(name=name, language=["de"]) for name in "abc"]
    existing = list_agents(service.client)
    planned = [Planned(Create(spec), spec, lambda agents, spec=spec: plan_upsert(spec, agents)) for spec in specs]
    results = apply_plans(service.client, PhoneAgentResource(service.client), planned, existing)
    assert {type(result) for result in results} == {Outcome}
    assert sent == [*forms, str, str]


def test_stale_list_after_confirmed_create_makes_no_second_agent(clock: SimpleNamespace) -> None:
    service = Service(clock, {"id": "pa_0", "name": "another"})
    [created] = service.upsert("a")
    clock.now += 2
    other: list[JsonValue] = [{"id": "pa_0", "name": "another"}]
    service.lists = [other] * 4
    [found] = service.upsert("a")
    assert isinstance(created, Outcome)
    assert isinstance(found, Outcome)
    assert (found.item.id, service.sent.count("POST")) == (created.item.id, 1)


def test_agent_that_was_deleted_is_created_again_after_a_look(clock: SimpleNamespace) -> None:
    service = Service(clock, {"id": "pa_0", "name": "another"})
    service.upsert("a")
    service.stored.pop()
    began = clock.now
    [created] = service.upsert("a")
    assert isinstance(created, Outcome)
    assert (created.decision, service.sent.count("POST"), clock.now - began) == ("created", 2, 60)


def test_agent_stored_under_another_name_is_not_created_by_the_next_task_while_the_list_lags(
    clock: SimpleNamespace,
) -> None:
    service = Service(clock, {"id": "pa_0", "name": "another"})
    service.tidies, service.lags_for = str.upper, 100
    assert [type(result) for result in service.upsert("a")] == [OpenCXNameMismatchError]
    assert [type(result) for result in service.upsert("a")] == [OpenCXUnknownOutcomeError]
    assert service.sent.count("POST") == 1
