"""The base classes of operators that plan many declarations, and apply such plans."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal, cast

from airflow_provider_opencx.arguments import check_choice, texts_by_name
from airflow_provider_opencx.asset_events import add_extra
from airflow_provider_opencx.exceptions import OpenCXArgumentError, OpenCXError
from airflow_provider_opencx.operators.base import BaseOpenCXOperator
from airflow_provider_opencx.templates import task_named
from airflow_provider_opencx.text import parse_boolean

# Large modules are imported where they are used, so that parsing a Dag stays fast.
if TYPE_CHECKING:
    from airflow.sdk import DAG, Context, XComArg
    from pydantic import JsonValue

    from airflow_provider_opencx.reconciliation.guards import Guards
    from airflow_provider_opencx.reconciliation.sync_plan import SyncPlan

_MOST_LOGGED = 500


class Writes:
    """Counts the writes of a plan while it is applied; this is what ``on_result`` calls."""

    done: int = 0

    def __call__(self, done: int, writes: int) -> None:
        """Note how many of the writes are done."""
        self.done = done


class SyncBaseOperator(BaseOpenCXOperator):
    """Base of the operators that are given many declarations, or files that hold them."""

    declarations_argument: ClassVar[str]
    """The argument that holds the declarations, or the paths of files."""

    variables: object
    max_creates: object = None
    max_updates: object = None
    expected_org_id: object = None
    approved_plan: object = None
    on_mismatch: Literal["fail", "warn"]
    fail_on_changes: object = False
    _needs_approval: bool = False

    def _check_plan(self) -> None:
        """Check what an operator that plans can check while the Dag is parsed."""
        with task_named(self.task_id):
            self._check_arguments()
            if self._has_no_template(self.fail_on_changes):
                self._fails_on_changes()

    def _check_sync(self) -> None:
        """Check what an operator that applies plans can check while the Dag is parsed."""
        with task_named(self.task_id):
            check_choice("on_mismatch", self.on_mismatch, ("fail", "warn"))
            self._check_arguments()
            if self._has_no_template(self.approved_plan):
                self._approved()
            self._check_guards()

    def _check_arguments(self) -> None:
        """Check the arguments that say what is declared, if known."""
        raise NotImplementedError

    def _check_variables(self) -> None:
        """Check the variables while the Dag is parsed, if known."""
        if self._has_no_template(self.variables):
            texts_by_name("variables", self.variables)
        written = getattr(self, self.declarations_argument)
        if self._paths() is None and isinstance(written, list | tuple) and self.variables:
            raise OpenCXArgumentError(
                f"variables: fill ${{NAME}} in files, and the {self.declarations_argument} are declared in the Dag"
                " itself; write the values there"
            )

    def _paths(self) -> list[str] | None:
        """Return the paths of the files, ``None`` if the declarations are given themselves."""
        written = getattr(self, self.declarations_argument)
        if isinstance(written, str):
            return [written]
        if not isinstance(written, list | tuple) or not written:
            return None
        paths = [os.fspath(path) for path in written if isinstance(path, str | os.PathLike)]
        return paths if len(paths) == len(written) else None

    def _known_dag(self) -> DAG | None:
        """Return the Dag of the task, ``None`` if it has none."""
        has_dag = self.has_dag()  # type: ignore[no-untyped-call]  # Airflow does not annotate it
        return self.dag if has_dag else None

    def _log_plan(self, summary: str, text: str) -> None:
        lines = text.split("\n")
        if len(lines) > _MOST_LOGGED:
            more = len(lines) - _MOST_LOGGED
            lines = [*lines[:_MOST_LOGGED], f"... and {more} more lines, which the XCom of the plan has."]
        self.log.info("\n".join([f"Plan: {summary}", *lines]))

    def _planned(
        self, context: Context, plan: SyncPlan[Any, Any, Any, Any], *, fails_on_changes: bool
    ) -> dict[str, JsonValue]:
        """Return a plan as the task's result, unless it is refused, or changes something and must not.

        A task that fails returns nothing: it leaves the plan as a separate XCom, to show why.
        """
        try:
            plan.check()
            if fails_on_changes:
                plan.check_drift()
        except OpenCXError:
            self._push_plan(context, plan)
            raise
        add_extra(self, context, {"changes": plan.changes, "count": len(plan.steps)})
        return plan.as_dict()

    def _push_plan(self, context: Context, plan: SyncPlan[Any, Any, Any, Any]) -> None:
        """Push a plan next to the task's result, unless the task pushes no XComs."""
        if "ti" in context and self.do_xcom_push:
            context["ti"].xcom_push(key="plan", value=plan.as_dict())

    def _fails_on_changes(self) -> bool:
        fails_on_changes = parse_boolean(self.fail_on_changes)
        if fails_on_changes is None:
            raise OpenCXArgumentError("fail_on_changes: must be true or false")
        return fails_on_changes

    def _check_guards(self) -> None:
        """Check the guards while the Dag is parsed, if known."""
        if all(map(self._has_no_template, (self.max_creates, self.max_updates, self.expected_org_id))):
            self._guards()

    def _guards(self) -> Guards:
        from airflow_provider_opencx.reconciliation.guards import Guards

        return Guards(
            cast("int | None", self.max_creates),
            cast("int | None", self.max_updates),
            cast("str | None", self.expected_org_id),
        )

    def _approved(self) -> Mapping[str, JsonValue] | None:
        """Return the approved plan, ``None`` if nobody has to approve."""
        if not self._needs_approval:
            return None
        if self.approved_plan is None:
            raise OpenCXArgumentError(
                "approved_plan: is missing. The task that should have returned it was skipped, or marked as success, or"
                " does not push its result; nothing was sent. Leave the argument out where nobody has to approve."
            )
        return self._checked_plan(self.approved_plan)

    def _checked_plan(self, approved: object) -> Mapping[str, JsonValue]:
        """Return an approved plan, if it is the JSON of a plan of this kind."""
        raise NotImplementedError


def with_paths_as_texts(declarations: object) -> Sequence[Mapping[str, object]] | Sequence[str] | str | XComArg:
    """Return an argument that holds declarations or files with paths as texts, which can be template fields."""
    if isinstance(declarations, list | tuple):
        return cast(
            "Sequence[str]", [os.fspath(part) if isinstance(part, os.PathLike) else part for part in declarations]
        )
    return cast("str | XComArg", os.fspath(declarations) if isinstance(declarations, os.PathLike) else declarations)
