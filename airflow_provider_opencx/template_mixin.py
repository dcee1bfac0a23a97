"""The template fields of a task: checks them while the Dag is parsed, and renders them without changing text."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

from airflow.providers.common.compat.sdk import BaseOperator

from airflow_provider_opencx.kinds import Kind
from airflow_provider_opencx.rendering import Rendering
from airflow_provider_opencx.templates import check_templates, has_no_template, marks_of, task_named

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from airflow.sdk import DAG, Context
    from airflow.sdk.definitions.mappedoperator import OperatorPartial
    from jinja2 import Environment


class OpenCXTemplateMixin:
    """Gives an operator or a sensor its way with templates. Stands after Airflow's class among the bases.

    The class itself overrides ``render_template``, which Airflow calls for each field, with :meth:`_rendered_field`.
    """

    task_id: str
    template_fields: Collection[str]
    kinds_of_fields: ClassVar[Mapping[str, Kind]]
    """The kind of each template field. Airflow renders a field that a subclass adds."""

    if TYPE_CHECKING:

        def get_dag(self) -> DAG | None:
            """Return the Dag of the task."""

        def get_template_env(self, dag: DAG | None = None) -> Environment:
            """Return the Jinja environment of the task."""

    def _has_no_template(self, value: object) -> bool:
        """Return whether a value reaches the task unchanged, in the Dag of this task."""
        return has_no_template(value, marks_of(self.get_dag()))

    def _check_templates(self) -> None:
        """Check that the templates of all fields can be parsed.

        Those of a mapped task were checked when it was parsed, and what it is mapped over may be data.

        :raises OpenCXArgumentError: if one cannot.
        """
        dag = self.get_dag()
        this: object = self
        if dag is not None and dag.task_dict.get(self.task_id) is not this:
            return
        fields = {"" if kind is Kind.DECLARATION else name: getattr(self, name) for name, kind in self._own_fields()}
        _check(fields, dag, self.get_template_env)

    def _own_fields(self) -> list[tuple[str, Kind]]:
        kinds = self.kinds_of_fields
        return [(name, kinds[name]) for name in self.template_fields if name in kinds]

    def _rendered_field(
        self,
        airflow_renders: Callable[[object], object],
        value: object,
        context: Context,
        seen_oids: set[int] | None,
    ) -> object:
        """Return a template field with its templates rendered; what is not a field, as Airflow renders it.

        :param airflow_renders: Airflow's own way to render a value.
        :param value: the field.
        :param context: what Airflow gives templates to work with.
        :param seen_oids: the ids of objects that Airflow does not render.
        """
        field = next((field for field in self._own_fields() if getattr(self, field[0]) is value), None)
        if field is None:
            return airflow_renders(value)
        name, kind = field
        return Rendering(self, context, airflow_renders, seen_oids or ()).render_field(value, kind, name)


def with_templates_checked(partial: OperatorPartial, given: Mapping[str, object]) -> OperatorPartial:
    """Return a mapped operator whose arguments, except those it is mapped over, hold templates that can be parsed.

    :param partial: what Airflow's ``partial`` returned.
    :param given: what it was called with.
    :raises OpenCXArgumentError: if one cannot be parsed.
    """
    dag: DAG | None = partial.kwargs.get("dag")
    if dag is None:
        return partial
    of_airflow = inspect.signature(BaseOperator.__init__).parameters
    with task_named(str(given["task_id"])):
        own = {name: value for name, value in given.items() if name not in of_airflow}
        _check(own, dag, dag.get_template_env)
    return partial


def _check(values: Mapping[str, object], dag: DAG | None, environment_of: Callable[[], Environment]) -> None:
    """Check that the templates of some arguments can be parsed.

    :param values: the arguments, by the names for messages.
    :param dag: the Dag, ``None`` where it is not known.
    :param environment_of: returns the Jinja environment, which is made only where there is a template.
    """
    marks = marks_of(dag)
    templated = {name: value for name, value in values.items() if not has_no_template(value, marks)}
    if templated:
        environment = environment_of()
        for name, value in templated.items():
            check_templates(name, value, environment)
