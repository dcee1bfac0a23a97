"""Lists and writes training scenarios for the reconciliation engine."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import ClassVar, TypeAlias

from airflow_provider_opencx.client.client import OpenCXClient
from airflow_provider_opencx.exceptions import OpenCXError, OpenCXKeyMismatchError, OpenCXResponseError
from airflow_provider_opencx.knowledge.declared import DeclaredScenario
from airflow_provider_opencx.knowledge.plan import Rules, plan_scenario, plan_update
from airflow_provider_opencx.knowledge.scenarios import Scenarios, list_scenarios
from airflow_provider_opencx.reconciliation.confirmation import Updated, created, may_have_been_handled
from airflow_provider_opencx.reconciliation.plans import Difference, Refuse, Update
from airflow_provider_opencx.reconciliation.resource import Pending, Resource
from airflow_provider_opencx.resources.training import (
    KEY_IN_METADATA,
    TrainingScenario,
    create_training_scenario,
    get_training_scenario,
    set_training_draft,
    update_training_scenario,
)
from airflow_provider_opencx.visible_text import in_quotes

ScenarioUpdate: TypeAlias = Updated[DeclaredScenario, DeclaredScenario, TrainingScenario, Scenarios]
ScenarioWrite: TypeAlias = Pending[TrainingScenario, Scenarios]


@dataclass(frozen=True)
class TrainingResource(Resource[DeclaredScenario, DeclaredScenario, TrainingScenario, Scenarios]):
    """The training scenarios of an organization, for the engine.

    :param client: sends the requests.
    :param rules: what may be done beside what is declared.
    :param collection: only the scenarios of this collection are listed; ``None`` lists all, as a create needs it.
    """

    noun: ClassVar[str] = "training scenario"

    client: OpenCXClient
    rules: Rules
    collection: str | None = None

    def list_items(self) -> Scenarios:
        """Return the scenarios."""
        return list_scenarios(self.client, self.collection)

    def create(
        self, spec: DeclaredScenario, items: Scenarios, appears: Callable[[Sequence[float]], bool]
    ) -> ScenarioWrite:
        """Send a create.

        :raises OpenCXKeyMismatchError: if the response shows the scenario without its key.
        """
        return created(self, spec, items, partial(create_training_scenario, self.client, spec.body()))

    def update(self, plan: Update[DeclaredScenario, TrainingScenario], declared: DeclaredScenario) -> ScenarioUpdate:
        """Read the scenario, and send what differs now: an edit since the list was read must not be overwritten.

        :raises OpenCXDraftError: if it has an edit that is not published by now, and none may be overwritten.
        """
        now = get_training_scenario(self.client, plan.item.id)
        newest = plan_update(declared, now, self.rules)
        if isinstance(newest, Refuse):
            raise newest.error
        pending = partial(
            Updated[DeclaredScenario, DeclaredScenario, TrainingScenario, Scenarios], self, plan, declared
        )
        if not isinstance(newest, Update):
            return pending(now)
        try:
            return pending(self._write(newest))
        except OpenCXError as error:
            if not may_have_been_handled(error):
                raise
            return pending(None, error)

    def _write(self, plan: Update[DeclaredScenario, TrainingScenario]) -> TrainingScenario | None:
        """Send the writes of an update, and return the scenario as the last response shows it."""
        scenario, declared = plan.item, plan.changes
        fields = {difference.field for difference in plan.differences}
        becomes_draft = "draft" in fields and declared.declared_fields["draft"] is True
        if becomes_draft:
            # A PUT with is_draft may keep the published text, and store the new one as an edit beside it.
            set_training_draft(self.client, scenario.id, True)
            if fields == {"draft"}:
                return None
        try:
            returned = update_training_scenario(self.client, scenario.id, declared.body(scenario))
        except OpenCXResponseError:
            return None  # the service accepted the update, and the list shows it
        if returned is not None and returned.is_draft and declared.declared_fields["draft"] is False:
            set_training_draft(self.client, scenario.id, False)
            return None
        return returned if returned is not None and returned.id == scenario.id else None

    def find(self, spec: DeclaredScenario, items: Scenarios) -> TrainingScenario | None:
        """Return the scenario of the declared key; raises ``OpenCXAmbiguousNameError`` if several have it."""
        found = items.of_identity(spec.identity)
        if len(found) > 1 and isinstance(refusal := plan_scenario(spec, items, self.rules), Refuse):
            raise refusal.error
        return found[0] if found else None

    def stored_otherwise(self, spec: DeclaredScenario, items: Scenarios) -> Sequence[TrainingScenario]:
        """Return the scenarios of the declared title without a key: the service may not keep metadata."""
        return [scenario for scenario in items.titled(spec.title) if scenario.key is None]

    def check_identity(self, spec: DeclaredScenario, item: TrainingScenario) -> None:
        """Check that a new scenario shows its key; raises ``OpenCXKeyMismatchError`` if not."""
        if (item.key, item.collection) == (spec.key, spec.collection):
            return
        raise OpenCXKeyMismatchError(
            f"OpenCX created {item.label}, and does not show the key {in_quotes(spec.key)} in its metadata"
            f" ({KEY_IN_METADATA}). Without it the scenario is not found again, and each run would create one more."
            " This service may keep no metadata: make training scenarios in its dashboard, and delete this one there.",
            agent_id=item.id,
            fields=["metadata"],
        )

    def mismatches_of_new(self, spec: DeclaredScenario, item: TrainingScenario) -> tuple[Difference, ...]:
        """Return the fields in which a new scenario was stored otherwise than declared."""
        return spec.differences(item)

    def mismatches(self, declared: DeclaredScenario, item: TrainingScenario) -> tuple[Difference, ...]:
        """Return the fields in which a scenario was stored otherwise than declared."""
        return declared.differences(item)
