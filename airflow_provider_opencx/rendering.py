"""Renders template fields without changing the text that people wrote.

Airflow renders every text: it drops a trailing newline, and in a Dag with ``render_template_as_native_obj`` it reads a
text such as ``"2026"`` as a Python value. Here, what holds no template is not rendered, a text that holds one stays
text, and what another task returned is data and no template.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Collection, Generator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol, TypeGuard

from airflow_provider_opencx.exceptions import OpenCXArgumentError
from airflow_provider_opencx.kinds import Kind
from airflow_provider_opencx.templates import WRITE_BRACES, has_no_template, marks_of
from airflow_provider_opencx.text import listed
from airflow_provider_opencx.visible_text import identifier, in_quotes, visible_repr

# Jinja is imported where it is used, so that parsing a Dag stays fast.
if TYPE_CHECKING:
    from airflow.sdk import DAG, Context
    from jinja2 import Environment

_LAST_NEWLINE = re.compile(r"\r?\n\Z|\r\Z")
"""The characters that Jinja drops at the end of a text."""

_NEVER_NONE = ("name", "type", "agent_id", "sequence_id", "contact_id", "since", "opencx_conn_id")
_WRITE_NONE = "Write None itself, and no template, to send null, or leave the field out"

_OF_THE_INTERVAL = ("data_interval_start", "data_interval_end", "logical_date", "ds", "ds_nodash", "ts", "ts_nodash")

_NO_INTERVAL = (
    "This run has no logical date, and so no data interval: an asset has started it, or a person who gave none. Trigger"
    " it with a logical date, or write dag_run.run_after."
)

_ELEMENTS: Mapping[Kind, Kind] = {Kind.DECLARATIONS: Kind.DECLARATION, Kind.SCENARIOS: Kind.SCENARIO}
"""The kind of the elements in a list of declarations."""

log = logging.getLogger(__name__)


class Task(Protocol):
    """The interface of an operator whose fields are rendered."""

    task_id: str

    def get_dag(self) -> DAG | None:
        """Return the Dag of the task."""

    def get_template_env(self, dag: DAG | None = None) -> Environment:
        """Return the Jinja environment of the task."""


class Rendering:
    """Renders the template fields of one task.

    :param task: the operator.
    :param context: what Airflow gives templates to work with.
    :param airflow_renders: Airflow's own way to render a value.
    :param as_it_is: the ids of objects that Airflow does not render, because another task returned them.
    """

    def __init__(
        self,
        task: Task,
        context: Context,
        airflow_renders: Callable[[object], object],
        as_it_is: Collection[int],
    ) -> None:
        dag = task.get_dag()
        self._task = task
        self._context = context
        self._airflow_renders = airflow_renders
        self._as_it_is = as_it_is
        self._marks = marks_of(dag)
        self._is_native = _is_native(task, dag)
        self._written = _written_in_dag(task, dag, context)

    def render_field(self, value: object, kind: Kind, name: str) -> object:
        """Return a template field with its templates rendered, see :meth:`render`.

        :param name: the field.
        """
        if kind is Kind.DECLARATION:  # a mapping of the operator's own, whose values are its arguments
            return self.render(value, kind, "")
        return value if self._is_data(value) else self.render(value, kind, name)

    def render(self, value: object, kind: Kind, where: str) -> object:
        """Return a field with its templates rendered.

        :param value: the field, or a part of it.
        :param kind: what it may hold.
        :param where: its name, for messages.
        :raises OpenCXArgumentError: if a template fails in a way that another try would not change, or becomes
            something that the field cannot hold.
        """
        if id(value) in self._as_it_is:
            return value
        if isinstance(value, str):
            return self._text(value, kind, where)
        if isinstance(value, Mapping):
            return {name: self._part(part, kind, name, where) for name, part in value.items()}
        if value.__class__ in (list, tuple):
            elements = value if isinstance(value, list | tuple) else ()
            return value.__class__(self._element(part, kind, where) for part in elements)
        return self._airflow_renders(value)

    def _part(self, value: object, kind: Kind, name: object, where: str) -> object:
        if kind is Kind.TEXTS_BY_NAME:
            return self.render(value, Kind.TEXT, f"{where}.{identifier(str(name))}")
        if kind not in _ELEMENTS.values():
            return self.render(value, Kind.JSON, f"{where}.{identifier(str(name))}")
        if self._is_data(value):
            return value
        field = str(name)
        return self.render(value, _kinds_of_fields(kind).get(field, Kind.JSON), f"{where}{identifier(field)}")

    def _is_data(self, value: object) -> bool:
        """Return whether a value is an argument that a row of another task's result holds."""
        return self._written is not None and id(value) not in self._written

    def _element(self, value: object, kind: Kind, where: str) -> object:
        if kind in _ELEMENTS:
            fields = value if isinstance(value, Mapping) else {}
            name = fields.get("name") or fields.get("key")
            return self.render(value, _ELEMENTS[kind], f"{in_quotes(name)}: " if isinstance(name, str) else "")
        return self.render(value, Kind.TEXT if kind is Kind.TEXTS else kind, where)

    def _text(self, text: str, kind: Kind, where: str) -> object:
        if has_no_template(text, self._marks):
            return text
        with self._failure_explained(where):
            rendered, expressions = self._rendered(text, where)
        if self._is_native and kind is not Kind.TEXT and len(expressions) == 1:
            [value] = expressions
            if str(value).strip() == rendered.strip():
                return self._native(value, rendered, kind, where)
        for value in expressions:
            self._check_is_text(value, kind, where)
        return rendered

    def _native(self, value: object, rendered: str, kind: Kind, where: str) -> object:
        """Return what a template has become in a native Dag, where the whole of it is one expression.

        :param value: the value of the expression.
        :param rendered: the text of it.
        """
        if kind is Kind.JSON:
            return value
        if value is not None and kind in (Kind.BOOLEAN, Kind.NUMBER):
            return value
        if kind in (Kind.TEXTS, *_ELEMENTS) and _is_list(value):
            return list(value)
        if kind in (Kind.TEXTS, Kind.TEXTS_BY_NAME) and isinstance(value, Mapping):
            return value
        self._check_is_text(value, kind, where)
        return rendered

    def _check_is_text(self, value: object, kind: Kind, where: str) -> None:
        """Check that the value of an expression is meant to be read as text: Jinja makes text of everything.

        :raises OpenCXArgumentError: if it is ``None``, a list, a mapping, or what has no text of its own.
        """
        if value is None:
            remedy = "" if where.endswith(_NEVER_NONE) else f". {_WRITE_NONE}"
            raise self._wrong(where, f"the template has become None: what it refers to is missing{remedy}")
        is_list = _is_list(value)
        if not is_list and not isinstance(value, Mapping):
            has_text_of_its_own = isinstance(value, int | float) or type(value).__str__ is not object.__str__
            if has_text_of_its_own:
                return
            raise self._wrong(where, f"the template is not text, but of the type {type(value).__name__}")
        became = "a list" if is_list else "a mapping"
        if kind is Kind.TEXT:
            remedy = "give a text, or make a task for each with .expand(...)" if is_list else "take one part of it"
        else:
            remedy = (
                "hand over the output of the task itself (task.output), write a list of templates, or set"
                " render_template_as_native_obj=True on the Dag"
            )
        raise self._wrong(where, f"the template is {became} that has become text; {remedy}")

    def _rendered(self, text: str, where: str) -> tuple[str, list[object]]:
        """Return a template as text, and the values of the expressions in it."""
        expressions: list[object] = []
        environment = self._environment(text, expressions)
        rendered = environment.from_string(text).render(self._context)
        values = [*expressions]
        self._warn(text, where, environment)
        last_newline = _LAST_NEWLINE.search(text)
        kept = last_newline[0] if last_newline and not environment.keep_trailing_newline else ""
        return rendered + kept, values

    def _environment(self, text: str, expressions: list[object]) -> Environment:
        """Return the Dag's Jinja environment, as one that gives text and records the value of each expression."""
        dag = self._task.get_dag()
        own = self._task.get_template_env() if dag is None else dag.get_template_env(force_sandboxed=True)

        def record(value: object) -> object:
            expressions.append(value)
            return value if own.finalize is None else own.finalize(value)

        has_windows_newlines = text.count("\r\n") == text.count("\n") > 0
        return own.overlay(
            newline_sequence="\r\n" if has_windows_newlines else own.newline_sequence,
            # A filter that also needs Jinja's context cannot be called from here.
            finalize=own.finalize if hasattr(own.finalize, "jinja_pass_arg") else record,
        )

    def _warn(self, text: str, where: str, environment: Environment) -> None:
        """Warn of what is likely to be meant for the service: a variable that only a default has kept from failing."""
        from jinja2 import meta

        names = meta.find_undeclared_variables(environment.parse(text))
        unknown = sorted(name for name in names if name not in self._context and name not in environment.globals)
        if unknown:
            problem = f"Airflow knows no variable {listed([*map(in_quotes, unknown)])}"
            log.warning("%s%s: %s. %s", where, self._of_agent, problem, WRITE_BRACES)
        if "comment" in {kind for _, kind, _ in environment.lex(text)}:
            log.warning("%s%s: a comment is left out of the text. %s", where, self._of_agent, WRITE_BRACES)

    @contextmanager
    def _failure_explained(self, where: str) -> Generator[None]:
        from jinja2 import TemplateError

        try:
            yield
        # A connection, variable or XCom that cannot be read now raises other errors, which are retried.
        except (TemplateError, TypeError, ValueError, ArithmeticError, AttributeError, RecursionError) as error:
            problem = visible_repr(str(error) or type(error).__name__, 200)
            is_of_interval = any(f"'{name}' is undefined" in str(error) for name in _OF_THE_INTERVAL)
            advice = _NO_INTERVAL if is_of_interval else WRITE_BRACES
            raise self._wrong(where, f"the template cannot be rendered: {problem}. {advice}") from None

    def _wrong(self, where: str, problem: str) -> OpenCXArgumentError:
        return OpenCXArgumentError(f"{where}{self._of_agent}: {problem}")

    @property
    def _of_agent(self) -> str:
        """The agent that the task declares, if its name is known, for messages."""
        agent = getattr(self._task, "agent", None)
        name = agent.get("name") if isinstance(agent, Mapping) else None
        is_known = isinstance(name, str) and has_no_template(name, self._marks)
        return f" of phone agent {in_quotes(str(name))}" if is_known else ""


def _kinds_of_fields(kind: Kind) -> Mapping[str, Kind]:
    """Return what the fields of a declaration may hold."""
    if kind is Kind.SCENARIO:
        from airflow_provider_opencx.resources.training import scenario_kinds

        return scenario_kinds()
    from airflow_provider_opencx.phone_agents.entry import entry_kinds

    return entry_kinds()


def _is_list(value: object) -> TypeGuard[Sequence[object]]:
    return isinstance(value, Sequence) and not isinstance(value, str | bytes)


def _is_native(task: Task, dag: DAG | None) -> bool:
    own = getattr(task, "render_template_as_native_obj", None)
    return bool(getattr(dag, "render_template_as_native_obj", False) if own is None else own)


def _written_in_dag(task: Task, dag: DAG | None, context: Context) -> Collection[int] | None:
    """Return the ids of the arguments that a mapped task has from the Dag's file; ``None`` if it has all from there.

    The others are data: ``expand_kwargs`` was given what another task returned. Airflow would render that as well
    (apache/airflow issue 38745), so that a person who writes the data could read the connection's key.
    """
    mapped = None if dag is None else dag.task_dict.get(task.task_id)
    rows = getattr(getattr(mapped, "expand_input", None), "value", None)
    if isinstance(rows, list | tuple):
        rows = rows[context["ti"].map_index or 0]
    if dag is None or rows is None or isinstance(rows, Mapping):
        return None
    arguments: Mapping[str, object] = getattr(mapped, "partial_kwargs", {})
    owners = [owner for owner in (dag, getattr(mapped, "task_group", None)) if owner is not None]
    return {id(value) for given in (arguments, *(owner.default_args for owner in owners)) for value in given.values()}
