"""Tests the hook's methods against a running simulator: exactly one agent, as declared."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any
from unittest.mock import Mock

import pytest
from airflow.providers.common.compat.sdk import AirflowException, AirflowFailException, AirflowNotFoundException
from airflow.sdk.exceptions import AirflowRuntimeError, ErrorType
from airflow.sdk.execution_time.comms import ErrorResponse
from airflow_standalone import connection_json

from airflow_provider_opencx.exceptions import (
    OpenCXAgentExistsError,
    OpenCXAgentNotFoundError,
    OpenCXAmbiguousNameError,
    OpenCXArgumentError,
    OpenCXAuthenticationError,
    OpenCXConfigError,
    OpenCXConnectionNotFoundError,
    OpenCXCreateMismatchError,
    OpenCXFleetError,
    OpenCXMismatchError,
    OpenCXNameMismatchError,
    OpenCXNotFoundError,
    OpenCXPermissionError,
    OpenCXPlanChangedError,
    OpenCXPlanRefusedError,
    OpenCXRequestRefusedError,
    OpenCXUnconfirmedError,
    OpenCXUnknownOutcomeError,
)
from airflow_provider_opencx.hooks.opencx import OpenCXHook
from airflow_provider_opencx.reconciliation import creates
from airflow_provider_opencx.resources.phone_agents import PhoneAgentChanges, PhoneAgentSpec
from airflow_provider_opencx.simulator import (
    CloseBeforeHandling,
    EmptyResponse,
    Fault,
    IgnoreFields,
    LoseResponse,
    ProxyPage,
    Respond,
    Simulator,
)
from airflow_provider_opencx.simulator.responses import error_body

GENERATIONS = pytest.mark.parametrize("generation", ["2024", "2025", "2026"])


def spec(**fields: object) -> PhoneAgentSpec:
    return PhoneAgentSpec.parse({"name": "a", **fields})


def changes(**fields: object) -> PhoneAgentChanges:
    return PhoneAgentChanges.parse(fields)


@GENERATIONS
def test_upsert_creates_then_keeps_then_updates(generation: str, hook: Any, connected: Simulator) -> None:
    connected.generation = generation
    declared = spec(language="de", first_message="Hallo", handoff_phone_number="+49 30 555010")
    created = hook.upsert_phone_agent(declared)
    assert (created.name, created.type, created.phone_number is not None) == ("a", "outbound", True)
    writes = len(connected.writes)
    assert hook.upsert_phone_agent(declared).id == created.id
    assert len(connected.writes) == writes
    assert hook.upsert_phone_agent(spec(first_message="Guten Tag")).first_message == "Guten Tag"
    assert connected.writes[-1].body == {"first_message": "Guten Tag"}
    assert len(connected.agents()) == 1


@pytest.mark.parametrize("fault", [LoseResponse(), EmptyResponse()])
def test_upsert_finds_create_with_lost_response(fault: Any, hook: Any, connected: Simulator) -> None:
    connected.fail("createPhoneAgent", fault)
    agent = hook.upsert_phone_agent(spec())
    assert [agent.id] == [existing["id"] for existing in connected.agents()]
    assert connected.count("createPhoneAgent") == 1


def reads_work(simulator: Simulator, times: int = 3) -> None:
    """Let the reads before a create work: one to plan, and two under the lock where nobody exists."""
    simulator.fail("listPhoneAgents", IgnoreFields(), times=times)


def test_upsert_finds_lost_create_despite_failed_reads(hook: Any, connected: Simulator) -> None:
    connected.fail("createPhoneAgent", LoseResponse())
    reads_work(connected)
    connected.fail("listPhoneAgents", Respond(503), times=5)
    assert hook.upsert_phone_agent(spec()).name == "a"
    assert connected.count("createPhoneAgent") == 1


@pytest.mark.parametrize("fault", [CloseBeforeHandling(), Respond(500), Respond(200, "<html>")])
def test_upsert_does_not_repeat_uncertain_create_while_list_may_lag(
    fault: Any, hook: Any, connected: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    connected.fail("createPhoneAgent", fault)
    for _ in range(3):
        with pytest.raises(OpenCXUnknownOutcomeError, match="'a' was created is not known"):
            OpenCXHook().upsert_phone_agent(spec())
    assert connected.count("createPhoneAgent") == 1
    monkeypatch.setattr(creates, "LAGS_FOR", 0)
    hook.upsert_phone_agent(spec())
    assert len(connected.agents()) == 1


def test_upsert_error_says_lost_create_may_exist(hook: Any, connected: Simulator) -> None:
    connected.fail("createPhoneAgent", LoseResponse())
    reads_work(connected)
    connected.fail("listPhoneAgents", Respond(401, error_body(401, "No")), times=3)
    with pytest.raises(OpenCXAuthenticationError, match=r"'a' was created is not known: .*The API key was rejected"):
        hook.upsert_phone_agent(spec())


@pytest.mark.parametrize("asked_by", ["createPhoneAgent", "listPhoneAgents"])
def test_upsert_retry_after_ends_search_for_lost_create(asked_by: str, hook: Any, connected: Simulator) -> None:
    wait = Respond(503, headers={"Retry-After": "3600"})
    connected.fail("createPhoneAgent", wait if asked_by == "createPhoneAgent" else LoseResponse())
    reads_work(connected)
    connected.fail("listPhoneAgents", wait)
    with pytest.raises(OpenCXUnknownOutcomeError) as error:
        hook.upsert_phone_agent(spec())
    assert error.value.retry_after == 3600
    assert connected.count("listPhoneAgents") == (3 if asked_by == "createPhoneAgent" else 4)


def test_update_error_says_update_was_done(hook: Any, connected: Simulator) -> None:
    agent = connected.add_agent("a")
    connected.fail("updatePhoneAgent", EmptyResponse())
    connected.fail("listPhoneAgents", IgnoreFields())  # the look before the update works
    connected.fail("listPhoneAgents", Respond(403, error_body(403, "No")), times=3)
    with pytest.raises(OpenCXPermissionError, match=r"'a' \(pa_000001\) was updated, and could not be read back"):
        hook.update_phone_agent(agent_id=agent["id"], changes=changes(first_message="Hi"))


def test_upsert_names_both_agents_after_lost_response(hook: Any, connected: Simulator) -> None:
    class MeanwhileAnother(LoseResponse):
        async def respond(self, call: Any, handle: Any) -> Any:
            connected.add_agent("a")
            return await super().respond(call, handle)

    connected.fail("createPhoneAgent", MeanwhileAnother())
    with pytest.raises(OpenCXAmbiguousNameError) as error:
        hook.upsert_phone_agent(spec())
    assert error.value.agent_ids == [agent["id"] for agent in connected.agents()]


def test_upsert_reports_agent_created_concurrently(hook: Any, connected: Simulator) -> None:
    class MeanwhileAnother(Respond):
        async def respond(self, call: Any, handle: Any) -> Any:
            connected.add_agent("a")
            return handle(call)

    connected.fail("createPhoneAgent", MeanwhileAnother(200))
    reads_work(connected)
    connected.fail("listPhoneAgents", Respond(503), times=7)  # more than one read is sent again
    with pytest.raises(OpenCXAmbiguousNameError, match=r"was created while another.* pa_000001, pa_000002"):
        hook.upsert_phone_agent(spec())


def test_list_counts_agent_on_two_pages_once(hook: Any, connected: Simulator) -> None:
    agent = connected.add_agent("a", type="outbound")
    connected.fail("listPhoneAgents", Respond(200, {"items": [agent], "next": "more"}))
    connected.fail("listPhoneAgents", Respond(200, {"items": [agent], "next": None}))
    assert hook.upsert_phone_agent(spec()).id == agent["id"]


@pytest.mark.parametrize("body", ["OK", "null", "[]", '{"success": true}'])
def test_update_reads_back_after_unexpected_response(body: str, hook: Any, connected: Simulator) -> None:
    class Otherwise(Respond):
        async def respond(self, call: Any, handle: Any) -> Any:
            handle(call)
            return await super().respond(call, handle)

    agent = connected.add_agent("a")
    connected.fail("updatePhoneAgent", Otherwise(200, body))
    assert hook.update_phone_agent(agent_id=agent["id"], changes=changes(first_message="Hi")).first_message == "Hi"
    assert len(connected.writes) == 1


def test_upsert_refusal_gives_both_language_reasons(hook: Any, connected: Simulator) -> None:
    connected.fail("createPhoneAgent", Respond(400, error_body(400, "voice_id 'x' does not exist")))
    with pytest.raises(OpenCXRequestRefusedError, match=r"voice_id 'x' does not exist.*language: 'en' is not of type"):
        hook.upsert_phone_agent(spec(language="en", voice_id="x"))


def test_create_refused_by_proxy_is_not_sent_in_another_form(hook: Any, connected: Simulator) -> None:
    connected.fail("createPhoneAgent", Respond(400, "<html>"))
    with pytest.raises(OpenCXUnknownOutcomeError, match="not the service's own response"):
        hook.upsert_phone_agent(spec(language="en"))
    assert connected.count("createPhoneAgent") == 1


def test_create_adopts_or_fails(hook: Any, connected: Simulator) -> None:
    existing = connected.add_agent("a", type="outbound", first_message="Hello")
    assert hook.create_phone_agent(spec(first_message="Hi")).id == existing["id"]
    with pytest.raises(OpenCXAgentExistsError):
        hook.create_phone_agent(spec(), if_exists="fail")
    assert connected.writes == []


def test_upsert_refuses_inbound_agent(hook: Any, connected: Simulator) -> None:
    connected.add_agent("a", type="inbound")
    with pytest.raises(OpenCXPlanRefusedError, match="is inbound"):
        hook.upsert_phone_agent(spec())
    assert connected.writes == []


@GENERATIONS
def test_update_sends_only_differences(generation: str, hook: Any, connected: Simulator) -> None:
    connected.generation = generation
    agent = connected.add_agent("a", first_message="Hello", accent="british")
    updated = hook.update_phone_agent(agent_id=agent["id"], changes=changes(first_message="Hi", name="a"))
    assert (updated.first_message, updated.accent) == ("Hi", "british")
    assert [write.body for write in connected.writes] == [{"first_message": "Hi"}]
    hook.update_phone_agent(agent_name="a", changes=changes(first_message="Hi"))
    assert len(connected.writes) == 1


def test_update_does_not_repeat_rename(hook: Any, connected: Simulator) -> None:
    connected.add_agent("a")
    for _ in range(2):
        assert hook.update_phone_agent(agent_name="a", changes=changes(name="b")).name == "b"
    assert len(connected.writes) == 1


def test_update_of_missing_agent_raises(hook: Any, connected: Simulator) -> None:
    with pytest.raises(OpenCXAgentNotFoundError):
        hook.update_phone_agent(agent_id="nobody", changes=changes(first_message="Hi"))


@GENERATIONS
def test_upsert_names_ignored_field(generation: str, hook: Any, connected: Simulator) -> None:
    connected.generation = generation
    connected.fail("createPhoneAgent", IgnoreFields("first_message"))
    with pytest.raises(OpenCXMismatchError, match="first_message: 'Hello\\?' -> 'Hi'") as created:
        hook.upsert_phone_agent(spec(first_message="Hi"))
    connected.fail("updatePhoneAgent", IgnoreFields("first_message"), times=2)
    with pytest.raises(OpenCXMismatchError) as updated:
        hook.upsert_phone_agent(spec(first_message="Hi"))
    assert created.value.fields == updated.value.fields == ["first_message"]
    assert hook.upsert_phone_agent(spec(first_message="Hi"), on_mismatch="warn").first_message == "Hello?"
    assert hook.upsert_phone_agent(spec(first_message="Hi")).first_message == "Hi"
    assert len(connected.agents()) == 1


def test_create_mismatch_is_permanent(hook: Any, connected: Simulator) -> None:
    connected.fail("createPhoneAgent", IgnoreFields("first_message"))
    with pytest.raises(OpenCXCreateMismatchError, match="first_message: 'Hello\\?' -> 'Hi'") as error:
        hook.create_phone_agent(spec(first_message="Hi"))
    assert isinstance(error.value, AirflowFailException)


def test_upsert_detects_name_stored_differently(hook: Any, connected: Simulator) -> None:
    connected.fail("createPhoneAgent", Respond(200, {"id": "pa_1", "name": "shortened", "type": "outbound"}))
    with pytest.raises(OpenCXNameMismatchError, match="shortened"):
        hook.upsert_phone_agent(spec())


def test_upsert_accepts_null_filled_by_service(hook: Any, connected: Simulator) -> None:
    declared = spec(use_org_knowledgebase=None)
    assert hook.upsert_phone_agent(declared).use_org_knowledgebase is False
    assert connected.writes[0].body == {"name": "a", "type": "outbound", "use_org_knowledgebase": None}
    hook.upsert_phone_agent(declared)
    assert len(connected.writes) == 1


def test_upsert_names_field_unknown_to_service(hook: Any, connected: Simulator) -> None:
    with pytest.raises(
        OpenCXRequestRefusedError, match=r"for phone agent 'a' over connection 'opencx_default': 400 .*custom_llm"
    ):
        hook.upsert_phone_agent(spec(custom_llm="x"))
    assert connected.agents() == []


def test_hook_reads_agents_by_id_and_name(hook: Any, connected: Simulator) -> None:
    agent_id = connected.add_agent("a")["id"]
    connected.add_agent("b")
    connected.add_agent("b")
    assert [agent.name for agent in hook.list_phone_agents()] == ["a", "b", "b"]
    assert hook.get_phone_agent(agent_id).name == "a"
    assert hook.find_phone_agent("a").id == agent_id
    assert hook.find_phone_agent("c") is None
    assert hook.list_voices()[0].name == "Aria"
    with pytest.raises(OpenCXAgentNotFoundError):
        hook.get_phone_agent("nobody")
    with pytest.raises(OpenCXAmbiguousNameError):
        hook.find_phone_agent("b")


@pytest.mark.parametrize(
    ("extra", "says"), [({"timeout": "soon"}, "timeout"), ({"max_retries": "many"}, "max_retries")]
)
def test_hook_refuses_bad_connection_before_request(
    extra: dict[str, object], says: str, hook: Any, connected: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_OPENCX_DEFAULT", connection_json(connected.url, "test-key", **extra))
    with pytest.raises(OpenCXConfigError, match=says):
        hook.upsert_phone_agent(spec())
    assert connected.requests == []


CONNECTION_ERRORS = [
    AirflowNotFoundException("The conn_id `opencx_default` isn't defined"),
    AirflowRuntimeError(ErrorResponse(error=ErrorType.API_SERVER_ERROR)),
    PermissionError("Access denied for connection 'opencx_default'"),
    AirflowException("Invalid connection string: opencx://:test-key@://"),
    ConnectionError("Connection refused"),
]


@pytest.mark.parametrize("raised", CONNECTION_ERRORS, ids=lambda error: type(error).__name__)
def test_hook_retries_connection_that_cannot_be_read(
    raised: Exception, connected: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    hook = OpenCXHook()
    with monkeypatch.context() as away:
        away.setattr(OpenCXHook, "get_connection", Mock(side_effect=raised))
        with pytest.raises(
            OpenCXConnectionNotFoundError, match="Connection 'opencx_default' is not defined, or"
        ) as error:
            hook.list_phone_agents()
    assert not error.value.is_permanent
    assert "test-key" not in str(error.value)
    assert hook.list_phone_agents() == []


class TestConnectionTest:
    def test_sends_one_authenticated_get(self, connected: Simulator) -> None:
        assert OpenCXHook().test_connection() == (
            True,
            "OpenCX accepted the API key, and its phone agents can be read.",
        )
        assert [(request.method, request.status) for request in connected.requests] == [("GET", 200)]

    @pytest.mark.parametrize(
        ("answer", "says"),
        [
            (Respond(401, error_body(401, "No")), "rejected"),
            (Respond(403, error_body(403, "No")), "phone:read"),
            (Respond(401), "not the service's own response"),
            (Respond(503), "could not respond now"),
            (ProxyPage(200), "not JSON"),
            (Respond(200, {"status": "fine"}), "neither a list nor a page"),
        ],
    )
    def test_says_what_is_wrong(self, answer: Respond, says: str, connected: Simulator) -> None:
        connected.fail("listPhoneAgents", answer)
        passed, message = OpenCXHook().test_connection()
        assert not passed
        assert says in message
        assert "test-key" not in message
        assert len(connected.requests) == 1

    def test_says_that_service_is_unreachable(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("AIRFLOW_CONN_OPENCX_DEFAULT", connection_json("http://127.0.0.1:1", "test-key"))
        passed, message = OpenCXHook().test_connection()
        assert not passed
        assert "no response from http://127.0.0.1:1" in message


def test_fleet_lists_once_and_writes_once_per_agent(hook: Any, connected: Simulator) -> None:
    connected.add_agent("b", type="outbound", first_message="Hey")
    specs = [spec(), spec(name="b", first_message="Hello"), spec(name="c")]
    plan = hook.plan_phone_agents(specs)
    assert plan.summary == "2 to create, 1 to update, 0 unchanged; 0 not declared and left alone."
    assert connected.writes == []
    agents = hook.apply_plan(plan, approved=plan.as_dict())
    assert [agent.name for agent in agents] == ["a", "b", "c"]
    methods = [request.method for request in connected.requests]
    assert methods == ["GET", "GET", "POST", "POST", "GET", "PATCH", "GET"]
    with pytest.raises(OpenCXPlanChangedError, match="approved: 'd'"):
        hook.apply_plan(hook.plan_phone_agents([*specs, spec(name="d")]), approved=plan.as_dict())


def test_fleet_error_names_each_failed_agent(hook: Any, connected: Simulator) -> None:
    connected.fail("createPhoneAgent", Respond(422, error_body(422, "no")))
    connected.fail("createPhoneAgent", CloseBeforeHandling())
    with pytest.raises(OpenCXFleetError) as error:
        hook.apply_plan(hook.plan_phone_agents([spec(), spec(name="b"), spec(name="c")]))
    assert list(error.value.failures) == ["a", "b"]
    assert "'b' was created is not known" in str(error.value)
    assert [agent["name"] for agent in connected.agents()] == ["c"]


@pytest.mark.parametrize("fault", [EmptyResponse(), IgnoreFields("first_message")], ids=["empty", "otherwise"])
@pytest.mark.parametrize("method", ["update", "upsert", "fleet"])
def test_update_of_agent_that_vanished_is_no_success(
    method: str, fault: Fault, hook: Any, connected: Simulator
) -> None:
    class Vanishes(Fault):
        async def respond(self, call: Any, handle: Any) -> Any:
            response = await fault.respond(call, handle)
            connected.remove_agent("pa_000001")
            return response

    connected.add_agent("a", type="outbound")
    connected.fail("updatePhoneAgent", Vanishes())
    methods: dict[str, Callable[[], Any]] = {
        "update": lambda: hook.update_phone_agent(agent_id="pa_000001", changes=changes(first_message="Hi")),
        "upsert": lambda: hook.upsert_phone_agent(spec(first_message="Hi")),
        "fleet": lambda: hook.apply_plan(hook.plan_phone_agents([spec(first_message="Hi")])),
    }
    error = OpenCXFleetError if method == "fleet" else OpenCXUnconfirmedError
    with pytest.raises(error, match=r"updated phone agent 'a' \(pa_000001\), and the list no longer shows it"):
        methods[method]()
    assert connected.agents() == []


@pytest.mark.parametrize("method", ["create", "update", "upsert", "fleet"])
def test_hook_warns_once_on_mismatch(
    method: str, hook: Any, connected: Simulator, caplog: pytest.LogCaptureFixture
) -> None:
    if method == "update":
        connected.add_agent("a")
    connected.fail("updatePhoneAgent" if method == "update" else "createPhoneAgent", IgnoreFields("first_message"))
    methods: dict[str, Callable[..., Any]] = {
        "create": lambda **how: hook.create_phone_agent(spec(first_message="Hi"), **how),
        "update": lambda **how: hook.update_phone_agent(
            agent_id="pa_000001", changes=changes(first_message="Hi"), **how
        ),
        "upsert": lambda **how: hook.upsert_phone_agent(spec(first_message="Hi"), **how),
        "fleet": lambda **how: hook.apply_plan(hook.plan_phone_agents([spec(first_message="Hi")]), **how)[0],
    }
    assert methods[method](on_mismatch="warn").first_message == "Hello?"
    [warning] = [record for record in caplog.records if "but not as declared" in record.getMessage()]
    assert warning.levelname == "WARNING"
    assert "phone agent 'a' (pa_000001), but not as declared: first_message: 'Hello?' -> 'Hi'." in warning.getMessage()


def test_plan_applied_twice_makes_no_second_agent(hook: OpenCXHook, connected: Simulator) -> None:
    plan = hook.plan_phone_agents([spec(), spec(name="b")])
    hook.apply_plan(plan)
    assert [agent.name for agent in hook.apply_plan(plan)] == ["a", "b"]
    assert connected.count("createPhoneAgent") == 2
    assert [agent["name"] for agent in connected.agents()] == ["a", "b"]


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda hook: hook.create_phone_agent(spec(), if_exists="skip"), "if_exists: must be 'adopt' or 'fail'"),
        (lambda hook: hook.create_phone_agent(spec(), on_mismatch="ignore"), "on_mismatch: must be 'fail' or 'warn'"),
        (lambda hook: hook.upsert_phone_agent(spec(), on_mismatch="ignore"), "on_mismatch: must be"),
        (
            lambda hook: hook.update_phone_agent(agent_name="a", changes=changes(), on_mismatch=None),
            "on_mismatch: must",
        ),
        (lambda hook: hook.apply_plan(hook.plan_phone_agents([spec()]), on_mismatch="ignore"), "on_mismatch: must be"),
        (
            lambda hook: hook.update_phone_agent(agent_id=["1"], changes=changes()),
            r"is a list of 1; .*expand\(agent_id=",
        ),
        (lambda hook: hook.update_phone_agent(changes=changes()), "None where the task that should have returned it"),
    ],
)
def test_hook_refuses_wrong_argument_before_it_writes(
    call: Callable[[OpenCXHook], object], says: str, hook: OpenCXHook, connected: Simulator
) -> None:
    connected.add_agent("a", first_message="Hey")
    with pytest.raises(OpenCXArgumentError, match=says):
        call(hook)
    assert connected.writes == []


def test_hook_reads_conversations(hook: OpenCXHook, connected: Simulator) -> None:
    ids = [str(connected.add_conversation(status=status)["id"]) for status in ("open", "closed_resolved")]
    connected.add_conversation(channel={"type": "web"})
    found = hook.iterate_conversations(channel_type="phone_voice")
    assert connected.count("listChatSessions") == 0
    assert [conversation.id for conversation in found] == ids
    [closed] = hook.iterate_conversations(status="closed_resolved")
    assert hook.get_conversation(closed.id) == closed
    assert all(item.event for item in hook.list_conversation_history(closed.id))
    with pytest.raises(OpenCXNotFoundError):
        hook.get_conversation("ses_none")
    with pytest.raises(OpenCXArgumentError, match="created_after: must have a time zone"):
        hook.iterate_conversations(created_after=datetime(2026, 3, 1))
