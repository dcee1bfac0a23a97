"""Tests a task that syncs a whole fleet: one list, one plan, and one write for each agent that differs."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from airflow.sdk import DAG, Param, task

from airflow_provider_opencx.exceptions import (
    OpenCXArgumentError,
    OpenCXDriftError,
    OpenCXFleetError,
    OpenCXFleetPermanentError,
    OpenCXPlanChangedError,
    OpenCXPlanRefusedError,
)
from airflow_provider_opencx.operators.phone_agent import (
    OpenCXPlanPhoneAgentsOperator,
    OpenCXSyncPhoneAgentsOperator,
)
from airflow_provider_opencx.reconciliation import listing
from airflow_provider_opencx.reconciliation.circuit_breaker import FAILURES_IN_A_ROW
from airflow_provider_opencx.simulator import (
    EmptyResponse,
    IgnoreFields,
    LoseResponse,
    Respond,
    Simulator,
    TooManyRequests,
)
from airflow_provider_opencx.simulator.responses import error_body

FLEET: list[dict[str, Any]] = [
    {"name": "new", "language": ["en", "es"]},
    {"name": "differs", "first_message": "Hello"},
    {"name": "as declared", "first_message": "Hi"},
]


def methods(simulator: Simulator) -> list[str]:
    return [request.method for request in simulator.requests]


@pytest.fixture
def three_exist(simulator: Simulator) -> None:
    """One that differs from the fleet, one that does not, and one that is none of it."""
    simulator.add_agent("differs", type="outbound", first_message="Hey")
    simulator.add_agent("as declared", type="outbound", first_message="Hi")
    simulator.add_agent("of somebody else")


class Fleet:
    """One task that keeps a fleet, or plans for it, run to its end."""

    def __init__(self, operator: Any, dag: DAG, run_dag: Callable[..., Any]) -> None:
        self._operator = operator
        self._dag = dag
        self._run_dag = run_dag
        self.errors: list[BaseException] = []

    def __call__(self, agents: Any = FLEET, **arguments: Any) -> Any:
        def remember(context: Any) -> None:
            self.errors.append(context["exception"])

        with self._dag:
            self._operator(
                task_id="fleet",
                agents=agents,
                retry_delay=timedelta(0),
                on_failure_callback=remember,
                on_retry_callback=remember,
                **arguments,
            )
        return self.again()

    def again(self, **arguments: Any) -> Any:
        return self._run_dag(self._dag, **arguments)


@pytest.fixture
def sync(dag: DAG, run_dag: Callable[..., Any]) -> Fleet:
    return Fleet(OpenCXSyncPhoneAgentsOperator, dag, run_dag)


@pytest.fixture
def plan_fleet(dag: DAG, run_dag: Callable[..., Any]) -> Fleet:
    return Fleet(OpenCXPlanPhoneAgentsOperator, dag, run_dag)


@pytest.mark.parametrize("generation", ["2024", "2025", "2026"])
@pytest.mark.usefixtures("three_exist")
def test_fleet_writes_once_per_changed_agent(generation: str, sync: Fleet, simulator: Simulator) -> None:
    simulator.generation = generation
    fleet = [{"name": "new"}, *FLEET[1:]]
    before = simulator.agents()
    run = sync(fleet)
    assert run.state == "success"
    assert [agent["name"] for agent in run.xcom("fleet")] == ["new", "differs", "as declared"]
    assert [agent["first_message"] for agent in run.xcom("fleet")] == ["Hello?", "Hello", "Hi"]
    assert [write.body for write in simulator.writes] == [
        {"name": "new", "type": "outbound"},
        {"first_message": "Hello"},
    ]
    by_name = {agent["name"]: agent for agent in simulator.agents()}
    assert [by_name[name] for name in ("as declared", "of somebody else")] == before[1:]

    simulator.forget_requests()
    assert sync.again().state == "success"
    assert methods(simulator) == ["GET"]


@pytest.mark.usefixtures("three_exist")
def test_plan_is_returned_and_nothing_written(
    plan_fleet: Fleet, simulator: Simulator, capfd: pytest.CaptureFixture[str]
) -> None:
    plan = plan_fleet().xcom("fleet")
    assert [(entry["name"], entry["id"], entry["action"]) for entry in plan["agents"]] == [
        ("new", None, "create"),
        ("differs", "pa_000001", "update"),
        ("as declared", "pa_000002", "unchanged"),
    ]
    assert plan["agents"][1]["changes"] == [{"field": "first_message", "actual": "Hey", "wanted": "Hello"}]
    assert plan["undeclared"] == [{"id": "pa_000003", "name": "of somebody else"}]
    assert (plan["changes"], plan["summary"]) == (
        2,
        "1 to create, 1 to update, 1 unchanged; 1 not declared and left alone.",
    )
    assert (plan["org_id"], plan["connection"], plan["base_url"]) == ("org_000001", "opencx_default", simulator.url)
    blocks = [block.splitlines() for block in plan["markdown"].split("\n####")]
    assert [block[:1] + block[2:] for block in blocks[2:]] == [
        [" `new` will be created", "- kind: makes calls (outbound)", "- language: `en`, `es`"],
        [
            " `differs` will be changed",
            "- phone number `+15550000001`, id `pa_000001`",
            "- first message: from `Hey` to `Hello`",
        ],
        [
            " 1 agent outside this fleet stays as it is",
            "- `of somebody else`: phone number `+15550000003`, id `pa_000003`",
        ],
        [" 1 agent of this fleet stays as it is"],
    ]
    logged = capfd.readouterr()
    assert "    first message: from “Hey” to “Hello”" in logged.out + logged.err
    assert "    “of somebody else”: phone number “+15550000003”, id “pa_000003”" in logged.out + logged.err
    assert methods(simulator) == ["GET"]


def test_fleet_retry_repeats_only_failed_agents(sync: Fleet, simulator: Simulator) -> None:
    for name in "abcd":
        simulator.add_agent(name, type="outbound")
    simulator.fail("updatePhoneAgent", IgnoreFields())  # the first is carried out
    simulator.fail("updatePhoneAgent", Respond(503), times=5)  # the second, and each time it is sent again
    run = sync([{"name": name, "first_message": "Hello"} for name in "abcd"], retries=1)
    assert (run.state, run.tries("fleet")) == ("success", 2)
    [error] = sync.errors
    assert type(error) is OpenCXFleetError
    assert list(error.failures) == ["b"]
    assert str(error).startswith("1 of 4 agents are not as declared; the others are. 'b': PATCH /phone/pa_000002")
    assert methods(simulator) == ["GET", *["PATCH"] * 8, "GET", *["GET", "PATCH", "GET"]]
    assert simulator.writes[-1].path == "/phone/pa_000002"
    assert {agent["first_message"] for agent in simulator.agents()} == {"Hello"}


def test_fleet_does_not_retry_permanent_errors(sync: Fleet, simulator: Simulator) -> None:
    simulator.fail("createPhoneAgent", Respond(422, error_body(422, "no such voice")), times=2)
    run = sync([{"name": name} for name in "abc"], retries=3)
    assert (run.state, run.tries("fleet")) == ("failed", 1)
    [error] = sync.errors
    assert type(error) is OpenCXFleetPermanentError
    assert list(error.failures) == ["a", "b"]
    assert all(text in str(error) for text in ("2 of 3 agents", "'a': POST", "'b': POST", "no such voice"))
    assert [agent["name"] for agent in simulator.agents()] == ["c"]


def test_fleet_checks_all_lost_creates_with_one_list(sync: Fleet, simulator: Simulator) -> None:
    simulator.fail("createPhoneAgent", LoseResponse(), times=3)
    run = sync([{"name": name} for name in "abcde"])
    assert run.state == "success"
    assert run.xcom("fleet") == simulator.agents()
    assert methods(simulator) == [*["GET"] * 3, *["POST"] * 5, "GET"]


def test_fleet_retry_finds_agent_of_earlier_try(sync: Fleet, simulator: Simulator) -> None:
    class AppearsLater(LoseResponse):
        async def respond(self, call: Any, handle: Any) -> Any:
            dropped = await super().respond(call, handle)
            simulator.fail("listPhoneAgents", Respond(200, []), times=8)
            return dropped

    simulator.fail("createPhoneAgent", AppearsLater())
    run = sync([{"name": "a"}], retries=1)
    assert (run.state, run.tries("fleet")) == ("success", 2)
    assert (len(simulator.agents()), simulator.count("createPhoneAgent")) == (1, 1)


def test_fleet_does_not_duplicate_agent_that_appears_meanwhile(
    sync: Fleet, simulator: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Impostor(IgnoreFields):
        async def respond(self, call: Any, handle: Any) -> Any:
            simulator.add_agent("d", type="outbound")
            return await super().respond(call, handle)

    monkeypatch.setattr(listing, "STALE_AFTER", 0)
    simulator.fail("createPhoneAgent", Impostor())
    run = sync([{"name": name} for name in "abcd"], retries=1)
    assert (run.state, run.tries("fleet")) == ("success", 1)
    assert sorted(str(agent["name"]) for agent in simulator.agents()) == ["a", "b", "c", "d"]


@pytest.mark.parametrize(
    ("fault", "writes", "tries"),
    [
        (Respond(401, error_body(401, "No")), 1, 1),
        (Respond(403, error_body(403, "No")), 1, 1),
        (Respond(429, headers={"Retry-After": "3600"}), 1, 2),
        (Respond(503), 5, 2),
    ],
    ids=["401", "403", "asked to wait", "five in a row"],
)
def test_fleet_circuit_breaker_stops_writes(
    fault: Respond, writes: int, tries: int, sync: Fleet, simulator: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in range(20):
        simulator.add_agent(f"{name}", type="outbound")
    simulator.fail("updatePhoneAgent", fault, times=None)
    run = sync([{"name": f"{name}", "first_message": "Hello"} for name in range(20)], retries=1)
    assert (run.state, run.tries("fleet")) == ("failed", tries)
    assert len({write.path for write in simulator.writes}) == writes
    assert len(sync.errors[-1].failures) == 20  # type: ignore[attr-defined]  # it is an OpenCXFleetError
    assert "Not sent, because others failed" in str(sync.errors[-1])


def test_fleet_does_not_recreate_renamed_agent(sync: Fleet, simulator: Simulator) -> None:
    class Renamed(IgnoreFields):
        async def respond(self, call: Any, handle: Any) -> Any:
            answer = await super().respond(call, handle)
            simulator.change_agent("pa_000001", name="A")
            return answer

    simulator.fail("createPhoneAgent", Renamed())
    simulator.fail("createPhoneAgent", Respond(503))
    run = sync([{"name": "a"}, {"name": "b"}], retries=3)
    assert (run.state, run.tries("fleet"), len(simulator.agents())) == ("failed", 1, 1)


@pytest.mark.parametrize(
    ("on_mismatch", "state", "failures", "warnings"), [("fail", "failed", 1, 0), ("warn", "success", 0, 1)]
)
def test_fleet_fails_or_warns_on_mismatch(
    on_mismatch: str,
    state: str,
    failures: int,
    warnings: int,
    sync: Fleet,
    simulator: Simulator,
    caplog: pytest.LogCaptureFixture,
) -> None:
    simulator.fail("createPhoneAgent", IgnoreFields("first_message"))
    run = sync([{"name": "a", "first_message": "Hi"}, {"name": "b"}], on_mismatch=on_mismatch)
    assert run.state == state
    assert len(simulator.agents()) == 2
    assert [list(error.failures) for error in sync.errors] == [["a"]] * failures  # type: ignore[attr-defined]
    warned = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    told = [text for text in warned if "but not as declared" in text]
    assert len(told) == warnings
    assert all("first_message: 'Hello?' -> 'Hi'" in text for text in [*map(str, sync.errors), *told])


def two_of_a_name(simulator: Simulator) -> None:
    simulator.add_agent("b")
    simulator.add_agent("b")


@pytest.mark.parametrize(
    ("prepare", "declared", "says"),
    [
        (two_of_a_name, {"name": "b"}, "2 agents are named 'b': pa_000001, pa_000002"),
        (lambda s: s.add_agent("b", type="inbound"), {"name": "b"}, "exists and is inbound"),
        (lambda s: s.add_agent("b", type="outbound"), {"name": "b", "model": "oppie-vox-2"}, "cannot be changed"),
    ],
    ids=["ambiguous", "inbound", "model"],
)
@pytest.mark.parametrize("operator", [OpenCXSyncPhoneAgentsOperator, OpenCXPlanPhoneAgentsOperator])
def test_fleet_refuses_before_first_write(
    prepare: Callable[[Simulator], None],
    declared: dict[str, Any],
    says: str,
    operator: Any,
    dag: DAG,
    run_dag: Callable[..., Any],
    simulator: Simulator,
) -> None:
    prepare(simulator)
    fleet = Fleet(operator, dag, run_dag)
    run = fleet([{"name": "a"}, declared], retries=2)
    assert (run.state, run.tries("fleet")) == ("failed", 1)
    assert type(fleet.errors[0]) is OpenCXPlanRefusedError
    assert says in str(fleet.errors[0])
    assert methods(simulator) == ["GET"]


def test_fleet_ignores_undeclared_duplicates(sync: Fleet, simulator: Simulator) -> None:
    two_of_a_name(simulator)
    assert sync([{"name": "a"}]).state == "success"


@pytest.mark.usefixtures("three_exist")
def test_approval_applies_approved_plan(sync: Fleet, simulator: Simulator) -> None:
    with sync._dag:
        plan = OpenCXPlanPhoneAgentsOperator(task_id="plan", agents=FLEET)
    assert sync(approved_plan=plan.output).state == "success"
    assert [write.method for write in simulator.writes] == ["POST", "PATCH"]


def approved(sync: Fleet, agents: Any = FLEET) -> Any:
    """A plan as another run has made it."""
    operator = OpenCXPlanPhoneAgentsOperator(task_id="plan", agents=agents)
    return json.loads(json.dumps(operator.execute({})))


@pytest.mark.usefixtures("three_exist")
def test_approval_retry_applies_only_what_is_left(sync: Fleet, simulator: Simulator) -> None:
    plan = approved(sync)
    simulator.fail("updatePhoneAgent", Respond(503), times=5)
    run = sync(approved_plan=plan, retries=1)
    assert (run.state, run.tries("fleet")) == ("success", 2)
    assert simulator.count("createPhoneAgent") == 1


def somebody_creates_the_new_one(simulator: Simulator) -> None:
    simulator.add_agent("new", type="outbound", language=["fr"])


def somebody_replaces_one(simulator: Simulator) -> None:
    simulator.remove_agent("pa_000001")
    simulator.add_agent("differs", type="outbound", first_message="Hey")


@pytest.mark.parametrize(
    ("change", "fleet", "named"),
    [
        (lambda s: s.change_agent("pa_000001", first_message="Ho"), FLEET, "'differs'"),
        (lambda s: s.change_agent("pa_000002", first_message="Ho"), FLEET, "'as declared'"),
        (lambda s: s.remove_agent("pa_000002"), FLEET, "'as declared'"),
        (somebody_creates_the_new_one, FLEET, "'new'"),
        (somebody_replaces_one, FLEET, "'differs'"),
        (lambda s: None, [*FLEET, {"name": "one more"}], "'one more'"),
        (lambda s: None, FLEET[1:], "'new'"),
        (lambda s: None, [{"name": "new", "language": "de"}, *FLEET[1:]], "'new'"),
    ],
    ids=["changed", "differs now", "deleted", "created", "replaced", "declared", "not declared", "declared otherwise"],
)
@pytest.mark.usefixtures("three_exist")
def test_approval_expires_when_agents_or_fleet_change(
    change: Callable[[Simulator], None], fleet: Any, named: str, sync: Fleet, simulator: Simulator
) -> None:
    plan = approved(sync)
    change(simulator)
    run = sync(fleet, approved_plan=plan, retries=2)
    assert (run.state, run.tries("fleet")) == ("failed", 1)
    assert type(sync.errors[0]) is OpenCXPlanChangedError
    assert f"approved: {named}." in str(sync.errors[0])
    assert simulator.writes == []


def without_a_greeting(fleet: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{"name": entry["name"]} for entry in fleet]


@pytest.mark.parametrize("fleet", [[{"name": "new", "action_ids": []}], FLEET[1:2]], ids=["create", "update"])
@pytest.mark.usefixtures("three_exist")
def test_approval_expires_when_declaration_loses_fields(fleet: Any, sync: Fleet, simulator: Simulator) -> None:
    plan = approved(sync, fleet)
    assert sync(without_a_greeting(fleet), approved_plan=plan).state == "failed"
    assert type(sync.errors[0]) is OpenCXPlanChangedError
    assert simulator.writes == []


def test_approval_refuses_plan_of_other_connection(
    sync: Fleet, simulator: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = approved(sync)
    monkeypatch.setenv("AIRFLOW_CONN_ANOTHER", os.environ["AIRFLOW_CONN_OPENCX_DEFAULT"])
    assert sync(approved_plan=plan, opencx_conn_id="another").state == "failed"
    assert "approved for an organization of unknown id (connection 'opencx_default', " in str(sync.errors[0])
    assert "and this is an organization of unknown id (connection 'another', " in str(sync.errors[0])
    assert simulator.writes == []


def test_approval_holds_when_service_fills_null(sync: Fleet, simulator: Simulator) -> None:
    fleet = [{"name": "a", "voice_id": None}, {"name": "b"}]
    plan = approved(sync, fleet)
    simulator.fail("createPhoneAgent", IgnoreFields())
    simulator.fail("createPhoneAgent", TooManyRequests(3600))
    run = sync(fleet, approved_plan=plan, retries=1)
    assert (run.state, run.tries("fleet")) == ("success", 2)
    assert [agent["name"] for agent in simulator.agents()] == ["a", "b"]


@pytest.mark.parametrize("how", ["skipped", "without XCom"])
def test_approval_without_plan_writes_nothing(how: str, sync: Fleet, simulator: Simulator) -> None:
    with sync._dag:
        plan = OpenCXPlanPhoneAgentsOperator(task_id="plan", agents=FLEET, do_xcom_push=how != "without XCom")
        if how == "skipped":

            @task.short_circuit(ignore_downstream_trigger_rules=False)
            def stop() -> bool:
                return False

            stop() >> plan
    assert sync(approved_plan=plan.output, trigger_rule="none_failed").state == "failed"
    assert "approved_plan: is missing" in str(sync.errors[0])
    assert simulator.writes == []


def test_approval_mapped_task_without_plan_writes_nothing(
    dag: DAG, run_dag: Callable[..., Any], simulator: Simulator
) -> None:
    with dag:
        arguments = [{"agents": FLEET, "approved_plan": None}]
        OpenCXSyncPhoneAgentsOperator.partial(task_id="fleet").expand_kwargs(arguments)
    errors: list[BaseException] = []
    dag.get_task("fleet").partial_kwargs["on_failure_callback"] = [lambda context: errors.append(context["exception"])]
    assert run_dag(dag).state == "failed"
    assert "approved_plan: is missing" in str(errors[0])
    assert simulator.writes == []


def test_fleet_accepts_creates_with_empty_response(sync: Fleet, simulator: Simulator) -> None:
    names = [f"agent {number}" for number in range(FAILURES_IN_A_ROW + 2)]
    simulator.fail("createPhoneAgent", EmptyResponse(), times=len(names))
    assert sync([{"name": name} for name in names]).state == "success"
    assert [agent["name"] for agent in simulator.agents()] == names


def test_log_of_a_large_plan_is_bounded(plan_fleet: Fleet, capfd: pytest.CaptureFixture[str]) -> None:
    plan = plan_fleet([{"name": f"agent {number}", "first_message": "Hi"} for number in range(300)]).xcom("fleet")
    logged = capfd.readouterr()
    [more] = re.findall(r"\.\.\. and (\d+) more lines, which the XCom of the plan has", logged.out + logged.err)
    assert int(more) > 500
    assert all(f"`agent {number}` will be created" in plan["markdown"] for number in range(300))


def test_fleet_stops_at_equal_refusals_and_reports_briefly(sync: Fleet, simulator: Simulator) -> None:
    simulator.fail("createPhoneAgent", Respond(422, error_body(422, "no such voice" * 10)), times=None)
    names = [f"agent {number}" for number in range(200)]
    run = sync([{"name": name} for name in names], retries=2)
    assert (run.state, run.tries("fleet")) == ("failed", 1)
    written = [write.body["name"] for write in simulator.writes]  # type: ignore[index]  # each body is an agent
    assert written == names[:FAILURES_IN_A_ROW]
    assert "Not sent, because others failed: POST /phone" in str(sync.errors[0])
    assert list(sync.errors[0].failures) == names  # type: ignore[attr-defined]  # it is an OpenCXFleetError
    assert all(repr(name) in str(sync.errors[0]) for name in names)
    assert len(str(sync.errors[0])) < 20_000


NO_PLANS = ["a text", {"agents": "a text"}, [1], {}, 5]


@pytest.mark.parametrize("plan", NO_PLANS, ids=str)
def test_approval_refuses_invalid_plan(plan: Any, sync: Fleet, dag: DAG, simulator: Simulator) -> None:
    with dag:

        @task
        def no_plan() -> Any:
            return plan

        approved_plan = no_plan()
    assert sync([{"name": "a"}], approved_plan=approved_plan).state == "failed"
    assert "approved_plan: must be what OpenCXPlanPhoneAgentsOperator returned" in str(sync.errors[0])
    assert simulator.requests == []


@pytest.mark.parametrize(
    ("plan", "says"),
    [*((plan, "must be what OpenCXPlanPhoneAgentsOperator returned") for plan in NO_PLANS), (None, "is missing")],
    ids=str,
)
def test_approval_refuses_invalid_plan_at_parse_time(plan: Any, says: str, dag: DAG) -> None:
    with dag, pytest.raises(OpenCXArgumentError, match=f"Task 'fleet': approved_plan: {says}"):
        OpenCXSyncPhoneAgentsOperator(task_id="fleet", agents=FLEET, approved_plan=plan)


@pytest.mark.parametrize("suffix", ["yaml", "json"])
@pytest.mark.parametrize("key", ["agents", None])
def test_fleet_file_is_read_at_run_time(
    suffix: str, key: str | None, sync: Fleet, simulator: Simulator, tmp_path: Path
) -> None:
    path = tmp_path / f"fleet.{suffix}"
    content = FLEET if key is None else {key: FLEET}
    with_braces = json.dumps(content).replace("Hello", "Hello {{ caller }}")
    path.write_text(with_braces if suffix == "json" else yaml.safe_dump(json.loads(with_braces)))
    assert sync("{{ params.folder }}/fleet." + suffix, params={"folder": Param(str(tmp_path))}).state == "success"
    assert simulator.agents()[1]["first_message"] == "Hello {{ caller }}"


@pytest.mark.parametrize("agents", ["fleets", "fleets/*", ["fleets/a.yaml", "{{ 'fleets' }}/b.json"]])
def test_fleet_of_several_files_is_one_fleet(agents: Any, sync: Fleet, simulator: Simulator, tmp_path: Path) -> None:
    (tmp_path / "fleets").mkdir()
    (tmp_path / "greeting.md").write_text("Hello {{ caller }}\n")
    (tmp_path / "fleets" / "a.yaml").write_text("name: a\nfirst_message_file: ../greeting.md\n")
    (tmp_path / "fleets" / "b.json").write_text('[{"name": "b"}]')
    paths = [str(tmp_path / path) for path in agents] if isinstance(agents, list) else str(tmp_path / agents)
    run = sync(paths)
    assert run.state == "failed"  # the text stands outside of the folder of the fleet file
    assert "leads out of" in str(sync.errors[0])
    (tmp_path / "fleets" / "a.yaml").write_text("name: a\nfirst_message_file: greeting.md\n")
    (tmp_path / "greeting.md").rename(tmp_path / "fleets" / "greeting.md")
    assert sync.again().state == "success"
    assert [agent["first_message"] for agent in simulator.agents()] == ["Hello {{ caller }}", "Hello?"]


def test_fleet_file_path_is_relative_to_dag_file(sync: Fleet, simulator: Simulator) -> None:
    beside = Path(__file__).with_name("fleet_of_the_test.yaml")
    beside.write_text("[{name: a}]")
    try:
        assert sync("fleet_of_the_test.yaml").state == "success"
    finally:
        beside.unlink()
    assert [agent["name"] for agent in simulator.agents()] == ["a"]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (None, "cannot be read: No such file"),
        ("", "must hold a list of declarations"),
        ("agents: {a: b}", "must hold a list of declarations"),
        ("- {name: a", "line 2, column 1: invalid YAML"),
        ("- {name: a}\n- b", "number 2: must be a mapping"),
        ("- {name: a, language: [tr, no]}", "line 1, column 23: agent 'a': language: 'tr' must be the only"),
        ("- {first_message: Hi}", "number 1: name: is required"),
        ("- {name: a}\n- {name: ' a '}", "'a' is declared 2 times"),
        ("agents: [{name: a}]\nagents: [{name: b}]", "duplicate key 'agents'"),
        ("- {name: a, first_message: Hi, name: b}", "duplicate key 'name'"),
        ("- {name: !!timestamp soon}", "line 1, column 10: number 1: name: the tag !!timestamp has no meaning here"),
    ],
)
def test_fleet_file_with_error_sends_no_request(
    content: str | None, says: str, sync: Fleet, simulator: Simulator, tmp_path: Path
) -> None:
    path = tmp_path / "fleet.yaml"
    if content is not None:
        path.write_text(content)
    run = sync(str(path), retries=2)
    assert (run.state, run.tries("fleet")) == ("failed", 1)
    assert says in str(sync.errors[0])
    assert simulator.requests == []


@pytest.mark.parametrize(
    ("agents", "says"),
    [
        ([{"name": "a"}, {"name": "a"}], "'a' is declared 2 times"),
        ([{"name": "a"}, {"name": "b", "language": ["tr", "en"]}], "number 2 ('b'): language: 'tr' must be the only"),
        ([{"name": "{{ name }}", "handoff_phone_number": "911"}], "handoff_phone_number: '911' must begin with +"),
        ([5], "number 1: must be a mapping"),
        ([{"name": "a"}, "b.yaml"], "number 2: must be a mapping"),
        (["a.yaml", "fleet.txt"], "'fleet.txt' is not the path of a .yaml, .yml or .json file"),
        (
            [{"name": "a", "first_message_file": "a.md"}],
            "first_message_file: is a key of fleet files; in a Dag, give the",
        ),
        ([{"first_message": "Hi"}], "number 1: name: is required"),
        ({"agents": []}, "must be a list of declarations"),
        ({"agents": ["{{ fine }}"]}, "must be a list of declarations"),
        (None, "must be a list of declarations"),
        (5, "must be a list of declarations"),
        ("fleet.txt", "'fleet.txt' is not the path of a .yaml, .yml or .json file"),
    ],
)
@pytest.mark.parametrize("operator", [OpenCXSyncPhoneAgentsOperator, OpenCXPlanPhoneAgentsOperator])
def test_fleet_refuses_wrong_argument_at_parse_time(operator: Any, agents: Any, says: str, dag: DAG) -> None:
    with dag, pytest.raises(OpenCXArgumentError) as wrong:
        operator(task_id="fleet", agents=agents)
    assert str(wrong.value).startswith("Task 'fleet': agents: ")
    assert says in str(wrong.value)


def test_fleet_accepts_templates_and_task_output(sync: Fleet, dag: DAG, simulator: Simulator) -> None:
    with dag:

        @task
        def read() -> list[dict[str, str]]:
            return [{"name": "a"}, {"name": "b"}]

        fleet = read()
    assert sync(fleet).xcom("fleet") == simulator.agents()
    assert len(simulator.agents()) == 2


def test_fleet_refuses_duplicate_name_at_run_time(sync: Fleet, dag: DAG, simulator: Simulator) -> None:
    assert sync([{"name": "a"}, {"name": "{{ 'a' }}"}]).state == "failed"
    assert "'a' is declared 2 times" in str(sync.errors[0])
    assert simulator.requests == []


def test_fleet_pushes_plan_even_if_it_fails(sync: Fleet, simulator: Simulator) -> None:
    from airflow.models.xcom import XComModel
    from airflow.utils.session import create_session
    from sqlalchemy import select

    simulator.fail("createPhoneAgent", Respond(422, error_body(422, "No")), times=None)
    run = sync([{"name": "a"}])
    with create_session() as session:
        query = select(XComModel.value).where(XComModel.run_id == run.dag_run.run_id, XComModel.key == "plan")
        plan = session.scalar(query)
    plan = json.loads(plan) if isinstance(plan, str) else plan
    assert plan["agents"][0]["action"] == "create"


@pytest.mark.usefixtures("three_exist")
def test_drift_fails_naming_agents_and_fields(
    plan_fleet: Fleet, simulator: Simulator, capfd: pytest.CaptureFixture[str]
) -> None:
    run = plan_fleet(fail_on_changes=True, retries=2)
    assert (run.state, run.tries("fleet")) == ("failed", 1)
    [error] = plan_fleet.errors
    assert type(error) is OpenCXDriftError
    assert error.changes == {"new": ["name", "type", "language"], "differs": ["first_message"]}
    assert str(error).startswith("2 of 3 agents are not as declared: 'new' does not exist; 'differs' (first_message).")
    logged = capfd.readouterr()
    assert "first message: from “Hey” to “Hello”" in logged.out + logged.err
    assert methods(simulator) == ["GET"]


@pytest.mark.usefixtures("three_exist")
def test_drift_is_no_failure_without_fail_on_changes(plan_fleet: Fleet) -> None:
    assert plan_fleet().state == "success"


def test_drift_is_not_what_service_chose_for_null(plan_fleet: Fleet, simulator: Simulator) -> None:
    simulator.add_agent("a", type="outbound", voice_id="voice_bruno", first_message="Hi")
    fleet = [{"name": "a", "voice_id": None}]
    run = plan_fleet(fleet, fail_on_changes="{{ true }}")
    assert run.state == "success"
    assert run.xcom("fleet")["changes"] == 1


def test_drift_beside_what_service_chose_names_real_field_alone(plan_fleet: Fleet, simulator: Simulator) -> None:
    simulator.add_agent("a", type="outbound", voice_id="voice_bruno", first_message="Hi")
    fleet = [{"name": "a", "voice_id": None, "first_message": "Hello"}]
    assert plan_fleet(fleet, fail_on_changes=True).state == "failed"
    assert plan_fleet.errors[0].changes == {"a": ["first_message"]}  # type: ignore[attr-defined]


def test_drift_of_many_agents_is_a_short_message(plan_fleet: Fleet) -> None:
    fields = {f"field_{number}": number for number in range(200)}
    plan_fleet([{"name": f"{number:0500}", "additional_fields": fields} for number in range(300)], fail_on_changes=True)
    [error] = plan_fleet.errors
    assert len(error.changes) == 300  # type: ignore[attr-defined]
    assert len(str(error)) < 10_000


def test_drift_is_asked_for_by_template(plan_fleet: Fleet) -> None:
    arguments = {"fail_on_changes": "{{ params.alarm }}", "params": {"alarm": Param(True, type="boolean")}}
    assert plan_fleet([{"name": "a"}], **arguments).state == "failed"
    assert type(plan_fleet.errors[0]) is OpenCXDriftError
    assert plan_fleet.again(conf={"alarm": False}).state == "success"


def test_plan_refuses_fail_on_changes_that_is_no_boolean(plan_fleet: Fleet, dag: DAG, simulator: Simulator) -> None:
    with dag, pytest.raises(OpenCXArgumentError, match="Task 'plan': fail_on_changes: must be true or false"):
        OpenCXPlanPhoneAgentsOperator(task_id="plan", agents=FLEET, fail_on_changes="yes")
    assert plan_fleet(fail_on_changes="{{ 'yes' }}").state == "failed"
    assert "fail_on_changes: must be true or false" in str(plan_fleet.errors[0])
    assert simulator.requests == []
