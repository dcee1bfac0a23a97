"""Operators that keep training scenarios, the knowledge of the agents, as declared.

The sync operator returns the scenarios, each as a plain dict with the API's field names. The plan operator returns the
plan.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Unpack

from airflow_provider_opencx.arguments import LEFT_OUT, LeftOut, texts_by_name
from airflow_provider_opencx.asset_events import add_extra
from airflow_provider_opencx.connection.form import DEFAULT_CONN_ID
from airflow_provider_opencx.exceptions import derive_from_airflow
from airflow_provider_opencx.kinds import Kind
from airflow_provider_opencx.mapped import limited
from airflow_provider_opencx.operators.sync import SyncBaseOperator, Writes, with_paths_as_texts
from airflow_provider_opencx.secret import forgets_locals
from airflow_provider_opencx.task_state import intents_of

# The API's models and the hook are imported where they are used, so that parsing a Dag stays fast.
if TYPE_CHECKING:
    from airflow.sdk import Context, XComArg
    from airflow.sdk.definitions.mappedoperator import OperatorPartial
    from pydantic import JsonValue

    from airflow_provider_opencx.airflow_arguments import BaseOperatorArguments, LimitedOperatorArguments
    from airflow_provider_opencx.knowledge.plan import Rules
    from airflow_provider_opencx.knowledge.training_plan import TrainingPlan

__all__ = [
    "LEFT_OUT",
    "OpenCXPlanTrainingScenariosOperator",
    "OpenCXSyncTrainingScenariosOperator",
    "TrainingBaseOperator",
]

derive_from_airflow()


class TrainingBaseOperator(SyncBaseOperator):
    """Base of the operators that take the declarations of training scenarios."""

    declarations_argument: ClassVar[str] = "scenarios"
    template_fields_renderers: ClassVar[dict[str, str]] = {
        "scenarios": "json",
        "variables": "json",
        "approved_plan": "json",
    }
    kinds_of_fields: ClassVar[Mapping[str, Kind]] = {
        "scenarios": Kind.SCENARIOS,
        "variables": Kind.TEXTS_BY_NAME,
        "collection": Kind.TEXT,
        "approved_plan": Kind.JSON,
        "fail_on_changes": Kind.BOOLEAN,
        "max_creates": Kind.NUMBER,
        "max_updates": Kind.NUMBER,
        "expected_org_id": Kind.TEXT,
        "opencx_conn_id": Kind.TEXT,
    }

    scenarios: Sequence[Mapping[str, object]] | Sequence[str] | str | XComArg
    variables: Mapping[str, object] | str | XComArg | None
    collection: str | XComArg
    adopt: Literal["by_title", "never"] | None
    on_draft: Literal["fail", "overwrite"]
    on_removed: Literal["keep", "draft"]

    def _check_arguments(self) -> None:
        """Check what can be checked while the Dag is parsed."""
        from airflow_provider_opencx.declared_files.beside_dag import check_path
        from airflow_provider_opencx.knowledge.declarations import check_literal_scenarios, parse_scenarios
        from airflow_provider_opencx.knowledge.declared import checked_collection
        from airflow_provider_opencx.knowledge.scenario_files import SCENARIO_FILES

        self._check_templates()
        self._check_literal_conn_id()
        self._check_variables()
        self._rules()
        if self._has_no_template(self.collection):
            checked_collection(self.collection)
        paths = self._paths()
        if paths is not None:
            for path in filter(self._has_no_template, paths):
                check_path(path, SCENARIO_FILES, argument="scenarios")
        elif isinstance(self.scenarios, list | tuple):
            check_literal_scenarios(self.scenarios, self._has_no_template)
        elif isinstance(self.scenarios, Mapping) or self._has_no_template(self.scenarios):
            parse_scenarios(self.scenarios)  # says what it must be

    def _rules(self) -> Rules:
        from airflow_provider_opencx.knowledge.plan import Rules

        return Rules(self.adopt, self.on_draft, self.on_removed)

    @forgets_locals
    def _plan(self, *, is_retry: bool, with_org_id: bool = False) -> TrainingPlan:
        """Return the plan for the scenarios, after logging it."""
        from airflow_provider_opencx.knowledge.declarations import parse_scenarios

        plan = self.hook.plan_training_scenarios(
            parse_scenarios(self._declarations()),
            collection=str(self.collection),
            rules=self._rules(),
            with_org_id=with_org_id,
            is_retry=is_retry,
        )
        self._log_plan(plan.summary, plan.text)
        return plan

    @forgets_locals
    def _declarations(self) -> object:
        paths = self._paths()
        if paths is None:
            return self.scenarios
        from airflow_provider_opencx.declared_files.beside_dag import fleet_paths
        from airflow_provider_opencx.knowledge.scenario_files import SCENARIO_FILES, read_scenarios

        found = fleet_paths(paths, self._known_dag(), SCENARIO_FILES, argument="scenarios")
        return read_scenarios(found.paths, variables=texts_by_name("variables", self.variables), root=found.root)

    def _checked_plan(self, approved: object) -> Mapping[str, JsonValue]:
        from airflow_provider_opencx.knowledge.training_plan import TrainingPlan

        return TrainingPlan.checked_plan(approved)


class OpenCXPlanTrainingScenariosOperator(TrainingBaseOperator):
    """Show what :class:`OpenCXSyncTrainingScenariosOperator` would do, and write nothing.

    The plan is logged in words, and returned, so that a person can approve it and a sync can apply it. With
    ``fail_on_changes=True`` it is an alarm: it fails if a scenario is not as declared.

    :param scenarios: the declarations, as in :class:`OpenCXSyncTrainingScenariosOperator`. (templated)
    :param variables: as in :class:`OpenCXSyncTrainingScenariosOperator`. (templated)
    :param collection: as in :class:`OpenCXSyncTrainingScenariosOperator`. Default ``"default"``. (templated)
    :param adopt: as in :class:`OpenCXSyncTrainingScenariosOperator`. Default ``None``.
    :param on_draft: as in :class:`OpenCXSyncTrainingScenariosOperator`. Default ``"fail"``.
    :param on_removed: as in :class:`OpenCXSyncTrainingScenariosOperator`. Default ``"keep"``.
    :param fail_on_changes: fail if a scenario is not as declared. Default ``False``. (templated)
    :param opencx_conn_id: the connection. Default ``opencx_default``. (templated)
    :return: the plan: a dict of ``org_id`` (null), ``connection`` (its id), ``base_url``, ``collection``,
        ``training_scenarios`` (each with ``key``, ``title``, ``id``, ``action``, ``changes``, which have ``field``,
        ``actual`` and ``wanted``, ``removed``, whether it becomes a draft because it is no longer declared, and
        ``declaration``, a digest), ``undeclared`` (each with ``id``, ``key`` and ``title``), ``unpublished_edits``
        (each with ``id`` and ``title``), ``changes`` (the number of scenarios to write), ``summary`` (a sentence) and
        ``markdown`` (what a person reads).
    :raises OpenCXDriftError: with ``fail_on_changes``, if a scenario is not as declared.
    :raises OpenCXPlanRefusedError: if a scenario cannot be brought to its declaration.
    :raises OpenCXError: see :mod:`airflow_provider_opencx.exceptions`.
    """

    template_fields: Sequence[str] = ("scenarios", "variables", "collection", "fail_on_changes", "opencx_conn_id")

    def __init__(
        self,
        *,
        scenarios: Sequence[Mapping[str, object]] | Sequence[str | os.PathLike[str]] | str | os.PathLike[str] | XComArg,
        variables: Mapping[str, str] | str | XComArg | None = None,
        collection: str | XComArg = "default",
        adopt: Literal["by_title", "never"] | None = None,
        on_draft: Literal["fail", "overwrite"] = "fail",
        on_removed: Literal["keep", "draft"] = "keep",
        fail_on_changes: bool | str | XComArg = False,
        opencx_conn_id: str | XComArg = DEFAULT_CONN_ID,
        **kwargs: Unpack[BaseOperatorArguments],
    ) -> None:
        super().__init__(**kwargs)
        self.scenarios = with_paths_as_texts(scenarios)
        self.variables = variables
        self.collection = collection
        self.adopt = adopt
        self.on_draft = on_draft
        self.on_removed = on_removed
        self.fail_on_changes = fail_on_changes
        self.opencx_conn_id = opencx_conn_id
        self._check_plan()

    def execute(self, context: Context) -> dict[str, JsonValue]:
        """Plan, log the plan and return it, unless it is refused, or changes something and must not."""
        fails_on_changes = self._fails_on_changes()
        plan = self._plan(is_retry=False)
        return self._planned(context, plan, fails_on_changes=fails_on_changes)


class OpenCXSyncTrainingScenariosOperator(TrainingBaseOperator):
    """Keep training scenarios as declared, in one task: one plan, one write where one differs, and nothing twice.

    This provider stores a key in the ``metadata`` of each scenario, and finds it by that key (confirmed: the list
    filters by metadata). So a lost response, a killed worker, a retry or another title never creates a second one.
    Scenarios without such a key, or of another collection, are never changed. No scenario is deleted.

    The plan is logged in words, and pushed as the XCom ``plan`` before the first write. An update reads the scenario
    again, and sends all of its fields (``PUT /training/{id}``), because it is not documented whether the service keeps
    omitted fields. If one scenario fails, the others are still written; then the task fails, and names each failed one.

    :param scenarios: the declarations, each a mapping of ``key``, ``title``, ``content``, ``type``, ``channels``,
        ``segments``, ``draft``, ``directory_id``, ``start_time``, ``end_time`` and ``metadata``; or files that hold
        them: the path of a folder of Markdown files, of one such file, a glob, or a list of these. A relative path
        begins at the folder of the Dag file. Files are read when the task runs; no template in them is rendered.
        (templated)
    :param variables: the values for ``${NAME}`` in the files: names to texts. (templated)
    :param collection: the collection that the scenarios belong to: two repositories that declare scenarios of one
        organization need one each. Default ``"default"``. (templated)
    :param adopt: what to do about a scenario of a declared title that has no key: ``None`` (default) refuses,
        ``"by_title"`` takes it and gives it the key, ``"never"`` creates another beside it.
    :param on_draft: what to do if an update would overwrite an unpublished edit in the dashboard:
        ``"fail"`` (default) refuses before the first write, ``"overwrite"`` loses the edit.
    :param on_removed: what to do with a scenario of the collection that is no longer declared: ``"keep"`` (default)
        leaves it unchanged, ``"draft"`` makes it a draft, which no agent uses.
    :param approved_plan: what :class:`OpenCXPlanTrainingScenariosOperator` returned and somebody approved, handed over
        as the output of that task. Nothing else is then done. Left out, nobody has to approve. (templated)
    :param max_creates: the most scenarios that the plan may create. Default ``None``: any number. (templated)
    :param max_updates: the most scenarios that the plan may change, those that become drafts among them. Default
        ``None``: any number. (templated)
    :param expected_org_id: the id of the organization, as its phone agents show it, which are read for this: for
        another one, or one without agents, the plan is refused. Default ``None``: any organization. (templated)
    :param on_mismatch: what to do if the service accepts a write and stores another value than declared: ``"fail"``
        (default) or ``"warn"``.
    :param max_active_tis_per_dag: Airflow's limit of tasks that run at once, all runs of the Dag together, backfills
        included. Default 1, so that no two create the same scenarios; ``None`` means no limit.
    :param opencx_conn_id: the connection. Default ``opencx_default``. (templated)
    :return: the scenarios in the order of their declarations, each as a dict with the API's field names.
    :raises OpenCXError: see :mod:`airflow_provider_opencx.exceptions`; ``OpenCXFleetError`` if some scenarios failed.
    """

    template_fields: Sequence[str] = (
        "scenarios",
        "variables",
        "collection",
        "approved_plan",
        "max_creates",
        "max_updates",
        "expected_org_id",
        "opencx_conn_id",
    )

    def __init__(
        self,
        *,
        scenarios: Sequence[Mapping[str, object]] | Sequence[str | os.PathLike[str]] | str | os.PathLike[str] | XComArg,
        variables: Mapping[str, str] | str | XComArg | None = None,
        collection: str | XComArg = "default",
        adopt: Literal["by_title", "never"] | None = None,
        on_draft: Literal["fail", "overwrite"] = "fail",
        on_removed: Literal["keep", "draft"] = "keep",
        approved_plan: Mapping[str, JsonValue] | XComArg | LeftOut = LEFT_OUT,
        max_creates: int | str | XComArg | None = None,
        max_updates: int | str | XComArg | None = None,
        expected_org_id: str | XComArg | None = None,
        on_mismatch: Literal["fail", "warn"] = "fail",
        opencx_conn_id: str | XComArg = DEFAULT_CONN_ID,
        max_active_tis_per_dag: int | None = 1,
        **kwargs: Unpack[LimitedOperatorArguments],
    ) -> None:
        super().__init__(max_active_tis_per_dag=max_active_tis_per_dag, **kwargs)
        self.scenarios = with_paths_as_texts(scenarios)
        self.variables = variables
        self.collection = collection
        self.adopt = adopt
        self.on_draft = on_draft
        self.on_removed = on_removed
        self.approved_plan = None if isinstance(approved_plan, LeftOut) else approved_plan
        self._needs_approval = not isinstance(approved_plan, LeftOut)
        self.max_creates = max_creates
        self.max_updates = max_updates
        self.expected_org_id = expected_org_id
        self.on_mismatch = on_mismatch
        self.opencx_conn_id = opencx_conn_id
        self._check_sync()

    @classmethod
    def partial(cls, **kwargs: Any) -> OperatorPartial:
        """Return an operator to be mapped, with the same default of ``max_active_tis_per_dag``."""
        return limited(super().partial(**kwargs), 1)

    def execute(self, context: Context) -> list[JsonValue]:
        """Plan, apply the plan, and return the scenarios."""
        approved = self._approved()
        guards = self._guards()
        intents, is_retry = intents_of(context)
        plan = self._plan(is_retry=is_retry, with_org_id=guards.expected_org_id is not None)
        self._push_plan(context, plan)
        writes = Writes()
        scenarios = self.hook.apply_training_plan(
            plan, approved=approved, guards=guards, on_mismatch=self.on_mismatch, intents=intents, on_result=writes
        )
        add_extra(self, context, {"changes": writes.done, "count": len(scenarios)})
        return [scenario.as_dict() for scenario in scenarios]
