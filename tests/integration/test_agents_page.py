"""Tests the page of agents on Airflow's own API server: who gets what, and which requests that sends."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import subprocess
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_opencx.get_provider_info import get_provider_info
from airflow_provider_opencx.operators.phone_agent import (
    OpenCXPlanPhoneAgentsOperator,
    OpenCXSyncPhoneAgentsOperator,
)
from airflow_provider_opencx.operators.sequence import OpenCXCreateSequenceOperator
from airflow_provider_opencx.plugins.addresses import EXISTS, OPTION, SECTION, is_page_on, page_url
from airflow_provider_opencx.plugins.opencx import OpenCXPlugin
from airflow_provider_opencx.simulator import Respond, Simulator, SlowResponse

pytestmark = pytest.mark.skipif(not EXISTS, reason="Airflow 3.0 has no views of plugins")

if EXISTS:
    from api_server import AIRFLOW, USERS, ApiServer

API_KEY = "ocx_live_page-s3cret"
AGENTS = "/opencx/connections/opencx_default/agents"
SEQUENCES = "/opencx/connections/opencx_default/sequences"
PATHS = {
    "/opencx/": "the list of connections",
    AGENTS: "agents",
    f"{AGENTS}.csv": "agents as CSV",
    f"{AGENTS}.json": "agents as JSON",
    SEQUENCES: "sequences",
    f"{SEQUENCES}.csv": "sequences as CSV",
    f"{SEQUENCES}.json": "sequences as JSON",
    f"{SEQUENCES}/seq_none": "a sequence that does not exist",
    "/opencx/connections/of_another_service/agents": "a connection of another service",
    "/opencx/connections/missing/agents": "a connection that does not exist",
}
NUMBER = re.compile(r"\+1555\d{7}")


@pytest.fixture(scope="module")
def service() -> Iterator[Simulator]:
    """The simulator of the module: the API servers know its address from their start."""
    with Simulator(api_keys=(API_KEY,), requests_per_minute=None) as simulator:
        yield simulator


@pytest.fixture
def simulator(service: Simulator, connect: Callable[[str, str], None]) -> Simulator:
    """The simulator as a test finds it, behind the default connection."""
    service.reset()
    connect(service.url, API_KEY)
    return service


@pytest.fixture(scope="module")
def environment(service: Simulator, airflow_database: None) -> dict[str, str]:
    """The environment of the API servers: the Airflow of this session, with the page."""
    connection = {"conn_type": "opencx", "host": service.url, "password": API_KEY}
    return {
        **os.environ,
        "AIRFLOW__OPENCX__AGENTS_PAGE": "True",
        "AIRFLOW_CONN_OPENCX_DEFAULT": json.dumps(connection),
        "AIRFLOW_CONN_OF_ANOTHER_SERVICE": json.dumps({**connection, "conn_type": "http"}),
        "PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")]),
    }


@pytest.fixture(scope="module")
def server(environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiServer]:
    """An API server with the users of the simple auth manager."""
    with ApiServer(tmp_path_factory.mktemp("api-server"), environment) as running:
        yield running


@pytest.fixture(scope="module")
def readers(environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiServer]:
    """An API server on which some may read connections and not edit them."""
    manager = {"AIRFLOW__CORE__AUTH_MANAGER": "auth_managers.ReadingAuthManager"}
    with ApiServer(tmp_path_factory.mktemp("readers"), environment | manager) as running:
        yield running


@pytest.fixture
def look(simulator: Simulator, request: pytest.FixtureRequest) -> Callable[..., Any]:
    """Asks for agents as JSON, in a version of the connection that nobody has asked for before."""
    server: ApiServer = request.getfixturevalue("server")
    conn_id = new_connection(simulator.url)

    def look(query: str = "", user: str = "admin", *, of: ApiServer = server, form: str = ".json") -> Any:
        return of.get(f"/opencx/connections/{conn_id}/agents{form}{query}", user)

    look.conn_id = conn_id  # type: ignore[attr-defined]
    return look


_connections = iter(range(1000))


def new_connection(url: str, key: str = API_KEY, **fields: Any) -> str:
    """Store a connection in Airflow's database, and return its id."""
    from airflow.models import Connection
    from airflow.utils.session import create_session

    conn_id = f"page_{next(_connections)}"
    extra = fields.pop("extra", {"timeout": 5, "requests_per_minute": 100_000, "max_retries": 0})
    with create_session() as session:
        connection = Connection(conn_id=conn_id, conn_type="opencx", host=url, password=key, **fields)
        connection.extra = json.dumps(extra)
        session.add(connection)
    return conn_id


def test_page_is_off_by_default(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not is_page_on()
    OpenCXPlugin.on_load()
    assert (OpenCXPlugin.fastapi_apps, OpenCXPlugin.external_views) == ([], [])
    assert page_url("opencx_default") is None
    monkeypatch.setenv("AIRFLOW__OPENCX__AGENTS_PAGE", "True")
    OpenCXPlugin.on_load()
    assert [each["url_prefix"] for each in OpenCXPlugin.fastapi_apps] == ["/opencx"]
    assert [each["href"] for each in OpenCXPlugin.external_views] == ["/opencx/"]
    monkeypatch.delenv("AIRFLOW__OPENCX__AGENTS_PAGE")
    OpenCXPlugin.on_load()


def test_view_is_below_the_path_of_airflow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__OPENCX__AGENTS_PAGE", "True")
    monkeypatch.setenv("AIRFLOW__API__BASE_URL", "https://example.com/airflow/")
    OpenCXPlugin.on_load()
    [view] = OpenCXPlugin.external_views
    monkeypatch.undo()
    OpenCXPlugin.on_load()
    assert view["href"] == "/airflow/opencx/"


def test_airflow_is_given_the_documentation_of_the_option() -> None:
    sections: dict[str, Any] = get_provider_info()["config"]  # type: ignore[assignment]  # as the schema says
    option = sections[SECTION]["options"][OPTION]
    assert (option["type"], option["default"]) == ("boolean", "False")
    assert "Airflow 3.1 and later" in option["description"]


def every_route() -> list[Any]:
    new_routes = import_module("airflow_provider_opencx.plugins.application").new_routes
    routes: list[Any] = new_routes().routes
    return routes


def test_every_path_is_authorized_by_the_name_that_airflow_looks_for() -> None:
    from airflow.api_fastapi.core_api.security import get_user, requires_access_connection

    guard = requires_access_connection("GET").__qualname__
    for route in every_route():
        guards = [dependency.call for dependency in route.dependant.dependencies]
        assert route.methods == {"GET"}
        if "{" in route.path:
            assert route.path.startswith("/connections/{connection_id}/")
            assert guards[0].__qualname__ == guard, route.path
        else:
            assert guards[0] is get_user, route.path


def test_table_of_paths_in_this_file_has_every_path() -> None:
    shown = {re.sub("opencx_default", "{connection_id}", path.removeprefix("/opencx")) for path in PATHS}
    shown = {re.sub("seq_none", "{sequence_id}", path) for path in shown if "another" not in path}
    assert {route.path for route in every_route()} == {path for path in shown if "missing" not in path}


def test_who_gets_what(server: ApiServer, simulator: Simulator) -> None:
    simulator.add_agent("Sales")
    table = {
        what: [
            server.get(path).status_code,
            server.get(path, token="no.such.token").status_code,
            *(server.get(path, user).status_code for user in USERS),
        ]
        for path, what in PATHS.items()
    }
    for what, statuses in table.items():
        print(f"| {what} | {' | '.join(map(str, statuses))} |")
    for_all, for_readers = table.pop("the list of connections"), set(map(tuple, table.values()))
    assert for_all == [401, 403, 200, 200, 200, 200]
    assert for_readers == {(401, 403, 403, 403, 200, 200), (401, 403, 403, 403, 404, 404)}
    assert [what for what, statuses in table.items() if statuses[-1] == 404] == [
        "a sequence that does not exist",
        "a connection of another service",
        "a connection that does not exist",
    ]


def test_no_request_reaches_the_service_for_who_may_not_see_it(look: Callable[..., Any], simulator: Simulator) -> None:
    assert [look(user=user).status_code for user in ("viewer", "user")] == [403, 403]
    assert simulator.requests == []


def test_connection_of_another_service_looks_like_none(server: ApiServer, simulator: Simulator) -> None:
    other, missing = (server.get(f"/opencx/connections/{name}/agents", "admin").text for name in (
        "of_another_service", "missing"))  # fmt: skip
    assert other == missing
    assert simulator.requests == []


@pytest.mark.parametrize("path", ["docs", "redoc", "openapi.json", "agents", "connections/x/agents/"])
def test_nothing_else_is_there(server: ApiServer, path: str) -> None:
    assert server.get(f"/opencx/{path}", "admin").status_code == 404


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
def test_page_changes_nothing(server: ApiServer, method: str) -> None:
    import httpx

    headers = {"Authorization": f"Bearer {server.token('admin')}"}
    assert httpx.request(method, f"{server.url}{AGENTS}", headers=headers).status_code == 405


@pytest.mark.parametrize("path", [*PATHS, f"{AGENTS}?sort=no", "/opencx/nothing"])
@pytest.mark.parametrize("user", [None, "viewer", "admin"])
def test_every_response_is_guarded(server: ApiServer, simulator: Simulator, path: str, user: str | None) -> None:
    answer = server.get(path, user)
    policy = answer.headers["content-security-policy"].split("; ")
    assert policy[0] == "default-src 'none'"
    assert not [part for part in policy if part.startswith("script-src") or "unsafe" in part]
    assert {"frame-ancestors 'self'", "base-uri 'none'", "form-action 'self'"} <= {*policy}
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert "<script" not in answer.text
    assert API_KEY not in answer.text


def test_list_shows_the_connections_that_a_user_may_read(server: ApiServer, look: Callable[..., Any]) -> None:
    conn_id = look.conn_id  # type: ignore[attr-defined]
    for user, is_shown in {"viewer": False, "user": False, "op": True, "admin": True}.items():
        page = server.get("/opencx/", user).text
        assert (f"/opencx/connections/{conn_id}/agents" in page) is is_shown
        assert ("/opencx/connections/opencx_default/agents" in page) is is_shown
        assert "of_another_service" not in page


def test_a_hundred_looks_are_one_request(look: Callable[..., Any], simulator: Simulator) -> None:
    simulator.add_agent("Sales")
    with ThreadPoolExecutor(20) as threads:
        answers = [*threads.map(lambda user: look(user=user).json(), ["op", "admin"] * 50)]
    assert {answer["total"] for answer in answers} == {1}
    assert [request.path for request in simulator.requests] == ["/phone"]


def test_changed_connection_is_read_at_once(look: Callable[..., Any], simulator: Simulator) -> None:
    from airflow.models import Connection
    from airflow.utils.session import create_session
    from sqlalchemy import select

    simulator.add_agent("Sales")
    assert look().json()["total"] == 1
    with create_session() as session:
        conn_id = look.conn_id  # type: ignore[attr-defined]
        session.scalars(select(Connection).where(Connection.conn_id == conn_id)).one().password = "another-key"
    answer = look()
    assert (answer.status_code, "key was rejected" in answer.json()["detail"]) == (502, True)


def test_phone_numbers_are_masked_for_who_may_not_edit_the_connection(
    readers: ApiServer, look: Callable[..., Any], simulator: Simulator
) -> None:
    simulator.add_agent("Sales")
    for form in ("", ".json", ".csv"):
        for query in ("", "?q=1555", "?sort=number"):
            seen = {user: look(query, user, of=readers, form=form) for user in ("viewer", "user", "op", "admin")}
            assert {answer.status_code for answer in seen.values()} == {200}
            assert not NUMBER.search(seen["viewer"].text + seen["user"].text)
            if query != "?q=1555":
                assert NUMBER.search(seen["op"].text)
                assert NUMBER.search(seen["admin"].text)
    assert look("?q=1555", "user", of=readers).json()["total"] == 0
    assert len(simulator.requests) == 1


def test_page_shows_text_of_the_service_as_text(look: Callable[..., Any], simulator: Simulator) -> None:
    name = "<script>alert(1)</script>\u202e=1+1"
    simulator.add_agent(name, first_message="<b>")
    page = look(form="").text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;\\u202e=1+1" in page
    assert "<b>" not in page
    assert look().json()["agents"][0]["name"] == name


def test_downloads_are_files(look: Callable[..., Any], simulator: Simulator) -> None:
    simulator.add_agent("=cmd()", language=["en", "fr"])
    simulator.add_agent("Sales")
    table = look(form=".csv")
    assert table.headers["content-type"] == "text/csv; charset=utf-8; header=present"
    assert table.headers["content-disposition"].startswith("attachment; filename*=UTF-8''opencx-agents-page_")
    rows = [*csv.DictReader(io.StringIO(table.text, newline=""))]
    assert [(row["name"], row["language"]) for row in rows] == [("'=cmd()", "en fr"), ("Sales", "en")]
    assert NUMBER.fullmatch(rows[0]["phone_number"])
    assert look("?name=Sales").json()["total"] == 1


def test_query_string_that_means_nothing_is_answered_with_400(look: Callable[..., Any], simulator: Simulator) -> None:
    page = look("?sort=%3Cb%3E", form="")
    assert page.status_code == 400
    assert "sort: must be one of name, id, type" in page.text
    assert look("?page=x").json() == {"detail": "page: must be a whole number from 1, and is 'x'."}
    assert simulator.requests == []


@pytest.mark.parametrize(
    ("fault", "status", "sentence"),
    [
        (Respond(500, {"message": "boom"}), 502, "500"),
        (Respond(401, {"message": "no", "statusCode": 401}), 502, "The API key was rejected"),
        (Respond(200, {"no": "list"}), 502, "cannot be"),
        (Respond(429, {"message": "slow down"}, headers={"Retry-After": "3600"}), 503, "429"),
    ],
    ids=["500", "401", "not a list", "429"],
)
def test_failure_is_shown_without_the_key(
    look: Callable[..., Any], simulator: Simulator, fault: Any, status: int, sentence: str
) -> None:
    simulator.fail("listPhoneAgents", fault, times=None)
    page = look(form="")
    assert page.status_code == status
    assert API_KEY not in page.text
    assert look().status_code == status
    assert len(simulator.requests) == 1  # both have shown the same failure


def test_wrong_connection_is_named_on_the_page(server: ApiServer, simulator: Simulator) -> None:
    conn_id = new_connection(simulator.url, extra={"timeout": "soon"})
    page = server.get(f"/opencx/connections/{conn_id}/agents", "admin")
    assert page.status_code == 502
    assert "timeout" in page.text


def plan_in(page: Mapping[str, Any]) -> tuple[str, str]:
    return (page["plan"]["dag_id"], page["plan"]["task_id"])


def drift_in(page: Mapping[str, Any]) -> dict[str, tuple[str, list[str]]]:
    return {agent["name"]: (agent["drift"], agent["drift_fields"]) for agent in page["agents"]}


def test_drift_is_against_the_last_plan(
    look: Callable[..., Any], simulator: Simulator, dag: Any, run_dag: Callable[..., Any], readers: ApiServer
) -> None:
    simulator.add_agent("Sales", type="outbound", first_message="Hey")
    simulator.add_agent("Support", type="outbound")
    simulator.add_agent("Other")
    fleet = [{"name": "Sales", "first_message": "Hello"}, {"name": "Support"}, {"name": "New", "language": "fr"}]
    with dag:
        OpenCXPlanPhoneAgentsOperator(task_id="plan", agents=fleet)
    run = run_dag(dag)
    assert run.state == "success"
    page = look().json()
    assert plan_in(page) == (dag.dag_id, "plan")
    assert drift_in(page) == {
        "Sales": ("differs", ["first_message"]),
        "Support": ("as_planned", []),
        "Other": ("not_declared", []),
        "New": ("missing", []),
    }
    assert look("?drift=missing").json()["total"] == 1
    html = look(form="").text
    assert f"/dags/{dag.dag_id}/runs/{run.dag_run.run_id.replace(':', '%3A').replace('+', '%2B')}/tasks/plan" in html
    # Who may not read the XComs of the Dag sees no plan of it; who may, does.
    assert look(user="viewer", of=readers).json()["plan"] is None
    assert look(user="user", of=readers).json()["plan"] is not None


def test_sync_is_a_plan_as_well(
    look: Callable[..., Any], simulator: Simulator, dag: Any, run_dag: Callable[..., Any]
) -> None:
    simulator.add_agent("Sales", type="outbound", first_message="Hey")
    with dag:
        OpenCXSyncPhoneAgentsOperator(task_id="sync", agents=[{"name": "Sales", "first_message": "Hi"}, {"name": "B"}])
    assert run_dag(dag).state == "success"
    page = look().json()
    assert plan_in(page) == (dag.dag_id, "sync")
    assert drift_in(page) == {"Sales": ("as_planned", []), "B": ("as_planned", [])}


@pytest.mark.parametrize("declared", [{"first_message": "Hi"}, {"model": "oppie-vox-2"}], ids=["drift", "refused"])
def test_plan_of_an_alarm_that_failed_is_the_last_one(
    declared: dict[str, str],
    look: Callable[..., Any],
    server: ApiServer,
    simulator: Simulator,
    dag: Any,
    run_dag: Callable[..., Any],
) -> None:
    agent = simulator.add_agent("Sales", type="outbound", model="oppie-vox", first_message="Hi")
    with dag:
        OpenCXPlanPhoneAgentsOperator(
            task_id="alarm", agents=[{"name": "Sales", **declared}], fail_on_changes=True, retries=0
        )
    simulator.change_agent(str(agent["id"]), first_message="Changed by hand")
    assert run_dag(dag).state == "failed"
    page = look().json()
    assert plan_in(page) == (dag.dag_id, "alarm")
    expected = ("differs", ["first_message"]) if "first_message" in declared else ("refused", [])
    assert drift_in(page)["Sales"] == expected
    if "first_message" in declared:
        simulator.change_agent(str(agent["id"]), first_message="Hi")
        assert run_dag(dag).state == "success"
        again = server.get(f"/opencx/connections/{new_connection(simulator.url)}/agents.json", "admin").json()
        assert drift_in(again)["Sales"] == ("as_planned", [])


def test_task_that_planned_for_two_organizations_is_compared_with_its_plan_for_each(
    simulator: Simulator, dag: Any, run_dag: Callable[..., Any], server: ApiServer
) -> None:
    simulator.add_agent("Sales", type="outbound", first_message="Hey")
    with Simulator(api_keys=("staging",), requests_per_minute=None) as staging:
        conn_ids = [new_connection(simulator.url), new_connection(staging.url, "staging")]
        with dag:
            OpenCXPlanPhoneAgentsOperator(
                task_id="plan",
                agents=[{"name": "Sales", "first_message": "Hello"}],
                opencx_conn_id="{{ dag_run.conf['conn_id'] }}",
            )
        for conn_id in conn_ids:
            assert run_dag(dag, {"conn_id": conn_id}).state == "success"
        pages = [server.get(f"/opencx/connections/{conn_id}/agents.json", "admin").json() for conn_id in conn_ids]
    assert [plan_in(page) for page in pages] == [(dag.dag_id, "plan")] * 2
    assert [drift_in(page)["Sales"][0] for page in pages] == ["differs", "missing"]


def test_agents_are_not_compared_with_what_was_planned_and_written_after_they_were_read(
    look: Callable[..., Any], simulator: Simulator, dag: Any, run_dag: Callable[..., Any]
) -> None:
    simulator.add_agent("Read before", type="outbound", first_message="Hey")
    before = look().json()
    with dag:
        OpenCXSyncPhoneAgentsOperator(task_id="sync", agents=[{"name": "Read before", "first_message": "Hi"}])
    assert run_dag(dag).state == "success"
    simulator.forget_requests()
    now = look().json()
    assert (now["plan"], drift_in(now)) == (before["plan"], drift_in(before))
    assert simulator.requests == []  # what was read is 30 seconds old at most


def test_plan_for_another_service_says_nothing(
    look: Callable[..., Any], dag: Any, run_dag: Callable[..., Any], connect: Callable[[str, str], None]
) -> None:
    with Simulator(api_keys=("staging",), requests_per_minute=None) as staging:
        connect(staging.url, "staging")
        with dag:
            OpenCXPlanPhoneAgentsOperator(task_id="plan", agents=[{"name": "Staging"}])
        assert run_dag(dag).state == "success"
    assert "Staging" not in drift_in(look().json())


def test_sequences_are_those_that_tasks_have_returned(
    server: ApiServer, simulator: Simulator, dag: Any, run_dag: Callable[..., Any]
) -> None:
    agent = simulator.add_agent("Sales", type="outbound")
    simulator.add_contact("+14155550123", name="Ada")
    with dag:
        OpenCXCreateSequenceOperator(
            task_id="reminders",
            name="Reminders",
            steps=[{"action": {"type": "call", "data": {"phone_agent_id": agent["id"]}}, "delay_in_minutes": 0}],
            contacts_from=["+14155550123"],
            unchecked=True,
        )
    assert run_dag(dag).state == "success"
    simulator.forget_requests()
    found = server.get(f"{SEQUENCES}.json", "admin").json()
    assert simulator.requests == []
    [sequence] = [each for each in found["sequences"] if each["dag_id"] == dag.dag_id]
    assert (sequence["name"], sequence["task_id"], len(sequence["steps"])) == ("Reminders", "reminders", 1)
    page = server.get(SEQUENCES, "admin").text
    assert "Reminders" in page
    assert "+14155550123" not in page
    for _ in range(2):
        now = server.get(f"{SEQUENCES}/{sequence['id']}", "admin")
        assert now.status_code == 200
        assert "Reminders" in now.text
    assert [request.path for request in simulator.requests] == [f"/sequences/{sequence['id']}"]


def test_sequences_of_other_connections_leave_those_of_this_one(
    server: ApiServer, look: Callable[..., Any], simulator: Simulator, dag: Any, run_dag: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    stored = import_module("airflow_provider_opencx.plugins.stored_xcoms")
    agent = simulator.add_agent("Sales", type="outbound")
    simulator.add_contact("+14155550123", name="Ada")
    step = {"action": {"type": "call", "data": {"phone_agent_id": agent["id"]}}, "delay_in_minutes": 0}
    conn_id = look.conn_id  # type: ignore[attr-defined]
    monkeypatch.setenv(f"AIRFLOW_CONN_{conn_id.upper()}", os.environ["AIRFLOW_CONN_OPENCX_DEFAULT"])
    with dag:
        first, *others = (
            OpenCXCreateSequenceOperator(
                task_id=f"sequence_{number}", name=f"S{number}", steps=[step], contacts_from=["+14155550123"],
                unchecked=True, opencx_conn_id="opencx_default" if number else conn_id,
            )
            for number in range(4)
        )  # fmt: skip
        first >> others
    assert run_dag(dag).state == "success"
    monkeypatch.setattr(stored, "MOST_SEQUENCES", 1)
    monkeypatch.setattr(stored, "_AT_ONCE", 2)
    found = stored.sequences_of(conn_id, lambda dag_id: True)
    assert [(each.task.dag_id, each.task.task_id) for each in found] == [(dag.dag_id, "sequence_0")]


@pytest.mark.parametrize("dots", ["%2E", "%2E%2E"])
def test_sequence_id_leads_to_no_other_path_of_the_service(
    server: ApiServer, look: Callable[..., Any], simulator: Simulator, dots: str
) -> None:
    from http.client import HTTPConnection

    request = HTTPConnection(server.url.removeprefix("http://"))
    path = f"/opencx/connections/{look.conn_id}/sequences/{dots}"  # type: ignore[attr-defined]
    request.request("GET", path, headers={"Authorization": f"Bearer {server.token('admin')}"})
    assert request.getresponse().status == 400
    request.close()
    assert simulator.requests == []


def test_slow_service_holds_up_nothing_else(look: Callable[..., Any], simulator: Simulator, server: ApiServer) -> None:
    simulator.fail("listPhoneAgents", SlowResponse(4), times=1)
    with ThreadPoolExecutor(60) as threads:
        waiting = [threads.submit(look) for _ in range(60)]  # more than the threads of an API server
        other = server.get("/api/v2/connections", "admin")
        assert other.status_code == 200
        assert not any(each.done() for each in waiting)
        assert {each.result().status_code for each in waiting} <= {200, 502}
    assert len(simulator.requests) == 1


def test_page_has_no_thread_when_nobody_looks(server: ApiServer, look: Callable[..., Any]) -> None:
    look()
    before = sum(process.num_threads() for process in server.processes())
    for _ in range(3):
        new = new_connection(f"http://127.0.0.1:{server.url.rpartition(':')[2]}")
        server.get(f"/opencx/connections/{new}/agents", "admin")
    assert sum(process.num_threads() for process in server.processes()) <= before + 1


@pytest.fixture(scope="module")
def teams(
    environment: dict[str, str], airflow_version: tuple[int, ...], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ApiServer]:
    """An API server with two teams, each with an operator of its own."""
    if airflow_version < (3, 2):
        pytest.skip("Airflow has teams from 3.2 on")
    multi_team = {"AIRFLOW__CORE__MULTI_TEAM": "True", "AIRFLOW_CONN__TEAM_A___OPENCX_DEFAULT": "opencx://:k@host"}
    for team in ("team_a", "team_b"):
        command = [AIRFLOW, "teams", "create", team]
        subprocess.run(command, env=environment | multi_team, check=True, capture_output=True)
    users = {"ann": "op:team_a", "bob": "op:team_b", "admin": "admin"}
    with ApiServer(tmp_path_factory.mktemp("teams"), environment | multi_team, users) as running:
        yield running


def test_another_team_gets_nothing(teams: ApiServer, simulator: Simulator) -> None:
    simulator.add_agent("Sales")
    of_team_a = f"/opencx/connections/{new_connection(simulator.url, team_name='team_a')}/agents"
    assert {user: teams.get(of_team_a, user).status_code for user in ("ann", "bob", "admin")} == {
        "ann": 200,
        "bob": 403,
        "admin": 200,
    }
    assert {user: of_team_a in teams.get("/opencx/", user).text for user in ("ann", "bob", "admin")} == {
        "ann": True,
        "bob": False,
        "admin": True,
    }
    assert len(simulator.requests) == 1


@pytest.mark.parametrize("conn_id", ["opencx_default", "_team_a___opencx_default"])
def test_team_sees_no_connection_whose_team_airflow_does_not_know(
    teams: ApiServer, simulator: Simulator, conn_id: str
) -> None:
    for form in ("agents", "agents.json", "sequences"):
        assert teams.get(f"/opencx/connections/{conn_id}/{form}", "bob").status_code == 404
    assert conn_id not in teams.get("/opencx/", "bob").text
    assert simulator.requests == []
