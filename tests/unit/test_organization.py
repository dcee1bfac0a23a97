"""Tests that a plan is applied only in the organization for which it was made."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest
from airflow_standalone import connection_json

from airflow_provider_opencx.exceptions import OpenCXPlanChangedError
from airflow_provider_opencx.hooks.opencx import OpenCXHook
from airflow_provider_opencx.reconciliation import listing
from airflow_provider_opencx.reconciliation.organization import Organization
from airflow_provider_opencx.resources.phone_agents import PhoneAgentSpec
from airflow_provider_opencx.simulator import Simulator

KEYS = ("key-of-one", "key-of-another")
SPECS = [PhoneAgentSpec(name="a"), PhoneAgentSpec(name="b")]


@dataclass(frozen=True)
class Place:
    """Where a plan is made, or applied.

    :param connection: id of the connection.
    :param key: its key, which is that of an organization.
    :param elsewhere: whether it leads to another service, whose organizations have the same ids.
    """

    connection: str = "opencx_default"
    key: str = "key-of-one"
    elsewhere: bool = False


@pytest.fixture
def services() -> Iterator[tuple[Simulator, Simulator]]:
    with (
        Simulator(api_keys=KEYS, requests_per_minute=None) as simulator,
        Simulator(api_keys=KEYS, requests_per_minute=None) as other,
    ):
        yield simulator, other


@pytest.fixture
def hook_at(services: tuple[Simulator, Simulator], monkeypatch: pytest.MonkeyPatch) -> Callable[[Place], OpenCXHook]:
    def hook_at(place: Place) -> OpenCXHook:
        connection = connection_json(
            services[place.elsewhere].url, place.key, timeout=5, requests_per_minute=100_000, coordination="process"
        )
        monkeypatch.setenv(f"AIRFLOW_CONN_{place.connection.upper()}", connection)
        return OpenCXHook(place.connection)

    return hook_at


HERE = Place()
ELSEWHERES = {
    "another key in the connection": Place(key="key-of-another"),
    "another connection and key": Place("another", key="key-of-another"),
    "another service": Place(elsewhere=True),
    "another service over another connection": Place("another", elsewhere=True),
}


def has_agents(services: tuple[Simulator, Simulator]) -> None:
    """Let each organization have an agent, so that its list shows its id."""
    for service in services:
        for key in KEYS:
            service.add_agent(f"agent of {key}", api_key=key)


@pytest.mark.parametrize("elsewhere", ELSEWHERES)
def test_approved_plan_is_refused_in_another_organization(
    elsewhere: str, services: tuple[Simulator, Simulator], hook_at: Callable[[Place], OpenCXHook]
) -> None:
    has_agents(services)
    approved = json.loads(json.dumps(hook_at(HERE).plan_phone_agents(SPECS).as_dict()))
    hook = hook_at(ELSEWHERES[elsewhere])
    with pytest.raises(OpenCXPlanChangedError, match="Nothing was sent, because the plan was approved for") as refused:
        hook.apply_plan(hook.plan_phone_agents(SPECS), approved=approved)
    place = ELSEWHERES[elsewhere]
    assert f"organization '{approved['org_id']}' (connection 'opencx_default', {services[0].url})" in str(refused.value)
    assert f"(connection '{place.connection}', {services[place.elsewhere].url})" in str(refused.value)
    assert [service.writes for service in services] == [[], []]


@pytest.mark.parametrize("elsewhere", ELSEWHERES)
def test_plan_is_not_applied_by_the_hook_of_another_organization(
    elsewhere: str,
    services: tuple[Simulator, Simulator],
    hook_at: Callable[[Place], OpenCXHook],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    has_agents(services)
    plan = hook_at(HERE).plan_phone_agents(SPECS)
    monkeypatch.setattr(listing, "STALE_AFTER", 0)  # some time later
    with pytest.raises(OpenCXPlanChangedError, match="Nothing was sent, because the plan is for organization"):
        hook_at(ELSEWHERES[elsewhere]).apply_plan(plan)
    assert [service.writes for service in services] == [[], []]


def test_empty_organization_is_known_by_how_it_is_reached(
    services: tuple[Simulator, Simulator], hook_at: Callable[[Place], OpenCXHook]
) -> None:
    approved = hook_at(HERE).plan_phone_agents(SPECS).as_dict()
    assert (approved["org_id"], approved["connection"], approved["base_url"]) == (
        None,
        "opencx_default",
        services[0].url,
    )
    for elsewhere in (Place("another"), Place(elsewhere=True)):
        hook = hook_at(elsewhere)
        with pytest.raises(OpenCXPlanChangedError, match="approved for an organization of unknown id"):
            hook.apply_plan(hook.plan_phone_agents(SPECS), approved=approved)
    hook = hook_at(HERE)
    assert len(hook.apply_plan(hook.plan_phone_agents(SPECS), approved=approved)) == 2
    hook = hook_at(HERE)  # a retry, in which the organization is known
    assert len(hook.apply_plan(hook.plan_phone_agents(SPECS), approved=approved)) == 2


def test_plan_for_no_agents_is_refused_where_there_are_others(
    services: tuple[Simulator, Simulator], hook_at: Callable[[Place], OpenCXHook]
) -> None:
    approved = hook_at(HERE).plan_phone_agents(SPECS).as_dict()
    services[0].add_agent("of somebody else")  # as where the connection has got another organization's key
    hook = hook_at(HERE)
    with pytest.raises(OpenCXPlanChangedError, match="there are agents outside the fleet now"):
        hook.apply_plan(hook.plan_phone_agents(SPECS), approved=approved)
    assert services[0].writes == []


def test_plan_is_refused_where_there_are_no_agents_any_more(
    services: tuple[Simulator, Simulator], hook_at: Callable[[Place], OpenCXHook]
) -> None:
    services[0].add_agent("of somebody else")
    approved = hook_at(HERE).plan_phone_agents(SPECS).as_dict()
    hook = hook_at(Place(key="key-of-another"))  # whose list is empty, and shows no id
    with pytest.raises(OpenCXPlanChangedError, match="and this is an organization of unknown id"):
        hook.apply_plan(hook.plan_phone_agents(SPECS), approved=approved)
    assert services[0].writes == []


def test_plan_is_applied_over_another_connection_of_the_same_organization(
    services: tuple[Simulator, Simulator], hook_at: Callable[[Place], OpenCXHook]
) -> None:
    has_agents(services)
    plan = hook_at(HERE).plan_phone_agents(SPECS)
    writer = hook_at(Place("writer"))
    assert len(writer.apply_plan(plan)) == 2
    approved = plan.as_dict()
    assert len(writer.apply_plan(writer.plan_phone_agents(SPECS), approved=approved)) == 2
    assert services[0].count("createPhoneAgent") == 2


@pytest.mark.parametrize("shown", [[], [None], ["org_1", None], ["org_1", "org_2"], [5]])
def test_organization_is_known_only_where_all_agents_agree(shown: list[object]) -> None:
    from airflow_provider_opencx.phone_agents.plan import PhoneAgents
    from airflow_provider_opencx.resources.phone_agents import PhoneAgent

    agents = [PhoneAgent.from_response({"id": str(n), "org_id": org_id}) for n, org_id in enumerate(shown)]
    assert PhoneAgents(agents).org_id is None
    agents = [PhoneAgent.from_response({"id": str(n), "org_id": "org_1"}) for n in range(2)]
    assert PhoneAgents(agents).org_id == "org_1"


def test_organization_survives_json() -> None:
    organization = Organization("https://api.open.cx", "opencx_default", "org_1")
    assert Organization.of_plan(json.loads(json.dumps(organization.as_dict()))) == organization
    assert not Organization.of_plan({}).is_still(organization)
