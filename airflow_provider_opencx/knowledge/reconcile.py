"""Makes training scenarios match their declarations: list, plan, apply, and check the result.

The hook and every other caller use these functions.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

from pydantic import JsonValue

from airflow_provider_opencx.client.client import OpenCXClient
from airflow_provider_opencx.intents import IntentStore
from airflow_provider_opencx.knowledge.declared import DEFAULT_COLLECTION, DeclaredScenario, checked_collection
from airflow_provider_opencx.knowledge.plan import Rules
from airflow_provider_opencx.knowledge.resource import TrainingResource
from airflow_provider_opencx.knowledge.scenarios import Scenarios, list_scenarios
from airflow_provider_opencx.knowledge.training_plan import TrainingPlan, plan_scenarios
from airflow_provider_opencx.phone_agents.listing import list_agents
from airflow_provider_opencx.reconciliation.guards import Guards
from airflow_provider_opencx.reconciliation.listing import RETRY_LOOKS_AFTER, list_until
from airflow_provider_opencx.reconciliation.organization import Organization
from airflow_provider_opencx.reconciliation.plans import Create
from airflow_provider_opencx.reconciliation.progress import OnResult
from airflow_provider_opencx.reconciliation.secrets import check_fields
from airflow_provider_opencx.reconciliation.sync import OnMismatch, apply_sync_plan, items_now
from airflow_provider_opencx.resources.training import ScenarioSpec, TrainingScenario


def plan_training(
    client: OpenCXClient,
    specs: Sequence[ScenarioSpec],
    *,
    collection: str = DEFAULT_COLLECTION,
    rules: Rules | None = None,
    connection: str = "",
    with_org_id: bool = False,
    is_retry: bool = False,
) -> TrainingPlan:
    """Plan for exactly one training scenario of each declared key, as declared; writes nothing.

    The scenarios of the collection are read. Where they do not show all that is declared, all scenarios are: so what a
    service that does not filter by metadata hides is found, and another of the same title.

    :param specs: the declarations, no key twice.
    :param collection: the collection that they belong to. Scenarios of others, or of none, are never touched.
    :param rules: what may be done beside what is declared.
    :param connection: the id of the connection over which the plan is made.
    :param with_org_id: read the list of agents as well, which shows the id of the organization; scenarios do not.
    :param is_retry: whether an earlier try may have sent creates: the list is then read for some 15 s.
    :raises OpenCXArgumentError: if a declaration holds a secret of the connection, or a name is not that of a
        collection.
    """
    declared = [DeclaredScenario.of(spec, checked_collection(collection)) for spec in specs]
    for each in declared:
        check_fields({"key": each.key, **each.declared_fields}, each.label, client.settings)
    scenarios = list_scenarios(client, collection)
    if not _all_shown(declared, scenarios):
        scenarios = list_scenarios(client)
        pauses = RETRY_LOOKS_AFTER if is_retry else ()
        scenarios = list_until(partial(list_scenarios, client), partial(_all_shown, declared), pauses, scenarios)
    org_id = list_agents(client).org_id if with_org_id else None
    organization = Organization(client.settings.base_url, connection, org_id)
    return plan_scenarios(declared, scenarios, rules or Rules(), collection, organization)


def apply_training(
    client: OpenCXClient,
    plan: TrainingPlan,
    *,
    connection: str = "",
    approved: Mapping[str, JsonValue] | None = None,
    guards: Guards | None = None,
    on_mismatch: OnMismatch = "fail",
    intents: IntentStore | None = None,
    on_result: OnResult | None = None,
) -> list[TrainingScenario]:
    """Apply the plan of a collection, and return the declared scenarios in their order.

    A scenario that fails does not hold up the others, unless its error says that theirs would fail as well.

    :param connection: the id of the connection of the client.
    :param approved: a plan that somebody has approved, as JSON: nothing else is done.
    :param guards: what the plan may do at most, and for which organization.
    :param on_mismatch: what to do if the service stores another value than declared.
    :param intents: where the intents of creates survive this process.
    :param on_result: called after each write, with the number of writes that are done, and of all.
    :raises OpenCXPlanRefusedError: before the first write, if a scenario cannot be brought to its declaration, or the
        plan is not the approved one, is for another organization, or does more than a guard allows.
    :raises OpenCXFleetError: naming each scenario that failed, after the others were written.
    """
    creates = any(isinstance(step.plan, Create) for step in plan.steps)
    resource = TrainingResource(client, plan.rules, None if creates else plan.collection)
    here = Organization(client.settings.base_url, connection)
    scenarios = apply_sync_plan(
        client,
        resource,
        plan,
        lambda: items_now(plan, here, resource.list_items, lambda _: plan.organization.org_id),
        lambda spec: spec,
        approved=approved,
        guards=guards,
        on_mismatch=on_mismatch,
        intents=intents,
        on_result=on_result,
    )
    return [item for item, step in zip(scenarios, plan.steps, strict=True) if not step.spec.is_removed]


def _all_shown(declared: Sequence[DeclaredScenario], scenarios: Scenarios) -> bool:
    return all(scenarios.shows(each.identity) for each in declared)
