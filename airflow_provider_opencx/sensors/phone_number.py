"""The sensor that waits until one or several agents have a phone number."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, ClassVar, Unpack

from airflow.providers.common.compat.sdk import AirflowTaskTimeout, conf

from airflow_provider_opencx import metrics
from airflow_provider_opencx.arguments import check_boolean
from airflow_provider_opencx.connection.form import DEFAULT_CONN_ID
from airflow_provider_opencx.deferral import deferral_timeout
from airflow_provider_opencx.exceptions import OpenCXArgumentError, OpenCXPhoneNumberTimeoutError, derive_from_airflow
from airflow_provider_opencx.kinds import Kind
from airflow_provider_opencx.links.opencx import OpenCXPhoneAgentLink
from airflow_provider_opencx.mapped import arguments_of
from airflow_provider_opencx.sensors.waiting import WaitingSensor
from airflow_provider_opencx.templates import task_named
from airflow_provider_opencx.xcoms import AGENT_KEYS

# The API's models, the hook and the trigger are imported where they are used, so that parsing a Dag stays fast.
if TYPE_CHECKING:
    from airflow.sdk import Context, XComArg
    from airflow.sdk.definitions.mappedoperator import OperatorPartial
    from airflow.sdk.definitions.xcom_arg import PlainXComArg
    from airflow.triggers.base import BaseTrigger, StartTriggerArgs
    from pydantic import JsonValue

    from airflow_provider_opencx.airflow_arguments import BaseSensorArguments
    from airflow_provider_opencx.phone_agents.plan import PhoneAgents
    from airflow_provider_opencx.phone_agents.waiting import Wait
    from airflow_provider_opencx.waiting import Poll

derive_from_airflow()


class _StartTriggerArgs:
    """The arguments with which Airflow starts a task in the triggerer. Made on access, when the Dag is complete.

    The class itself has none, so that mapped tasks, whose arguments it would not hold, start in a worker.
    """

    def __get__(self, sensor: OpenCXPhoneNumberSensor | None, owner: type) -> StartTriggerArgs | None:
        return None if sensor is None else sensor._arguments_to_start_with()


class OpenCXPhoneNumberSensor(WaitingSensor):
    """Wait until an agent has its phone number, by polling ``GET /phone``; the result of the task is the agent.

    With a sequence of agents, it waits until each has its number, with one request per poll. The result is then the
    list of the agents in the same order. An empty sequence succeeds at once.

    The modes poke, reschedule and deferrable give the same result and the same errors:

    - By id: it is an error if the agent is missing for five minutes, and in at least three consecutive polls, because a
      list may show a new agent late. By name: the sensor also waits for an agent that does not exist yet. Several
      agents of the name are an error.
    - A value that the service writes instead of a number, such as "pending", is logged once, and the wait continues.
    - Up to five consecutive failed polls are tolerated. The wait ends if the key is rejected three times within
      ten seconds. After a 429, the next poll comes later.
    - ``timeout`` fails the task, or skips it with ``soft_fail``; so does ``execution_timeout``, after which the task is
      retried, and which Airflow applies to each poll in mode reschedule. Errors are never skipped by ``soft_fail``: a
      wrong key is not a number that did not come.

    In mode reschedule, the worker is kept while polls fail or an agent is missing; ``poke_interval``
    should be a minute or more, as Airflow advises. Deferrable, the worker sends nothing at all and the triggerer
    polls, with one request an interval for all waiting tasks of the connection; ``exponential_backoff`` and
    ``silent_fail`` then have no effect, and no task resumes sooner than ten seconds after it deferred, because
    Airflow fails tasks that do.

    **Without a worker.** With ``start_from_trigger=True`` and ``end_from_trigger=True``, the task starts and ends in
    the triggerer, and needs no worker. After an error, the task always goes to a worker, which handles it as usual.

    - ``start_from_trigger`` needs Airflow 3.3 or later, where ids and names may be Jinja templates, or Airflow 3.0,
      where they may not. Airflow 3.1 and 3.2 start nothing in the triggerer. In such templates, values are always
      strings, also with ``render_template_as_native_obj``; ``xcom_pull`` needs ``map_indexes`` (-1 for a task that is
      not mapped); the Dag's own macros and filters do not exist. The output of another task (``task.output``) and
      mapped tasks are not supported. Unsupported arguments are an error while the Dag is parsed. ``pre_execute``,
      ``on_execute_callback`` and the listeners of a task's start are not called, and the rendered fields are not shown.
      Pools, ``max_active_tasks`` and ``max_active_tis_per_dag`` do not limit such a task.
    - ``end_from_trigger`` works with every Airflow. ``post_execute`` and listeners are not called; with listeners
      installed, Airflow refuses a Dag that has such a task. The Dag processor calls ``on_success_callback``. If a
      worker has more to do at the end, the task ends in a worker: with ``outlets``, whose asset events Airflow would
      omit, with tasks that are mapped over the result, with ``multiple_outputs``, and with ``do_xcom_push=False``.

    :param agent_id: the agent, by its id, or as another task returned it: ``agent_id=agent.output``; or a sequence of
        these, such as what a sync returned: ``agent_id=fleet.output``. (templated)
    :param agent_name: the agent, by its name, or a sequence of names. Give one of the two. (templated)
    :param deferrable: wait in the triggerer. Default: ``[operators] default_deferrable``.
    :param start_from_trigger: start in the triggerer, without a worker; implies ``deferrable``. Default ``False``.
    :param end_from_trigger: end in the triggerer, without a worker; implies ``deferrable``. Default ``False``.
    :param opencx_conn_id: the connection. Default ``opencx_default``. (templated)
    :return: the agent, as a dict with the API's field names, or the list of agents. The ``id``, ``name`` and
        ``phone_number`` of one agent are also separate XComs.
    :raises OpenCXError: see :mod:`airflow_provider_opencx.exceptions`.
    """

    operator_extra_links = (OpenCXPhoneAgentLink(),)
    template_fields: Sequence[str] = ("agent_id", "agent_name", "opencx_conn_id")
    kinds_of_fields: ClassVar[Mapping[str, Kind]] = {
        "agent_id": Kind.TEXTS,
        "agent_name": Kind.TEXTS,
        "opencx_conn_id": Kind.TEXT,
    }
    xcom_keys = AGENT_KEYS
    plural = "agents"
    start_trigger_args = _StartTriggerArgs()
    _timeout_error = OpenCXPhoneNumberTimeoutError

    if TYPE_CHECKING:

        @property
        def output(self) -> PlainXComArg:
            """The output of the task. Airflow's own type does not have ``output["id"]``."""

    def __init__(
        self,
        *,
        agent_id: str
        | Mapping[str, JsonValue]
        | Sequence[str | Mapping[str, JsonValue] | XComArg]
        | XComArg
        | None = None,
        agent_name: str | Sequence[str | XComArg] | XComArg | None = None,
        deferrable: bool = conf.getboolean("operators", "default_deferrable", fallback=False),
        start_from_trigger: bool = False,
        end_from_trigger: bool = False,
        opencx_conn_id: str | XComArg = DEFAULT_CONN_ID,
        **kwargs: Unpack[BaseSensorArguments],
    ) -> None:
        super().__init__(**kwargs)
        self.agent_id = agent_id
        self.agent_name = agent_name
        self.deferrable = deferrable or start_from_trigger or end_from_trigger
        self.start_from_trigger = start_from_trigger
        self.end_from_trigger = end_from_trigger
        self.opencx_conn_id = opencx_conn_id
        with task_named(self.task_id):
            check_boolean("deferrable", deferrable)
            check_boolean("start_from_trigger", start_from_trigger)
            check_boolean("end_from_trigger", end_from_trigger)
            if not start_from_trigger:  # the triggerer has no environment of the Dag's own
                self._check_templates()
            self._check_literal_conn_id()
            if self._has_no_template(agent_id) and self._has_no_template(agent_name):
                self._check_selectors()
            if start_from_trigger:
                self._check_start()

    @classmethod
    def partial(cls, **kwargs: Any) -> OperatorPartial:
        """Return a sensor to be mapped; raises ``OpenCXArgumentError`` for what Airflow does with no mapped task."""
        mapped = super().partial(**kwargs)
        if arguments_of(mapped, kwargs).get("start_from_trigger"):
            with task_named(str(kwargs.get("task_id"))):
                raise OpenCXArgumentError(
                    "start_from_trigger: Airflow starts no mapped task in the triggerer; leave it out (or write False,"
                    " where default_args hold it), or make the tasks in a loop. end_from_trigger works for mapped tasks"
                )
        return mapped

    def execute_complete(self, context: Context, event: Mapping[str, Any] | None = None) -> JsonValue:
        """Go on after the trigger has fired: return the agent or the agents, or raise the error that it met.

        :raises AirflowSensorTimeout: if the trigger has ended because the time was over, as it does in ``dag.test()``.
        """
        result = super().execute_complete(context, event)
        if self.end_from_trigger and (reason := self._reason_to_end_in_a_worker()):
            self.log.info("Ended in a worker, and not in the triggerer, because of %s.", reason)
        return result

    @cached_property
    def _waiting(self) -> Wait:
        from airflow_provider_opencx.phone_agents.waiting import Wait

        return Wait(self.agent_id, self.agent_name)

    def _poll_once(self) -> Poll[PhoneAgents]:
        from airflow_provider_opencx.phone_agents.polling import poll_once

        return poll_once(self.hook.list_phone_agents, self._waiting)

    def _result_of(self, event: Mapping[str, Any] | None) -> JsonValue:
        from airflow_provider_opencx.triggers.phone_number import result_of

        return result_of(event)

    def _success(self, result: JsonValue) -> str:
        from airflow_provider_opencx.phone_agents.waiting import success

        return success(result)

    def _time_wait(self, seconds: float) -> None:
        metrics.time_to_number(seconds)

    def _trigger(self) -> Callable[..., BaseTrigger]:
        from airflow_provider_opencx.triggers.phone_number import OpenCXPhoneNumberTrigger

        wait = self._waiting
        arguments = self._trigger_arguments(self._conn_id, wait.agent_id, wait.agent_name)
        return partial(OpenCXPhoneNumberTrigger, **arguments)

    def _trigger_arguments(self, opencx_conn_id: object, agent_id: object, agent_name: object) -> dict[str, Any]:
        return {
            "opencx_conn_id": opencx_conn_id,
            "agent_id": agent_id,
            "agent_name": agent_name,
            "poll_interval": self.poke_interval,
            "end_from_trigger": self.end_from_trigger and not self._reason_to_end_in_a_worker(),
        }

    def _arguments_to_start_with(self) -> StartTriggerArgs | None:
        if not self.start_from_trigger:
            return None
        from airflow_provider_opencx.triggers.start import start_trigger_args

        with task_named(self.task_id):
            self._check_start()  # once more, because the Dag may not have been known before
        timeout = deferral_timeout(self.timeout, self.execution_timeout)
        arguments = self._trigger_arguments(self.opencx_conn_id, self.agent_id, self.agent_name)
        arguments["timeout"] = timeout.total_seconds()
        return start_trigger_args(arguments, self.execute_complete.__name__, timeout)

    def _check_start(self) -> None:
        from airflow_provider_opencx.triggers.start import check_start

        check_start(
            self.get_dag(),
            agent_id=self.agent_id,
            agent_name=self.agent_name,
            opencx_conn_id=self.opencx_conn_id,
        )

    def _agents_in(self, result: JsonValue) -> Sequence[JsonValue]:
        return result if isinstance(result, list) else [result]

    def _reason_to_end_in_a_worker(self) -> str | None:
        """Return why the task must end in a worker, where the end takes more than storing the result."""
        if self.outlets:
            return "its outlets"
        if self.multiple_outputs:
            return "multiple_outputs"
        if not self.do_xcom_push:
            return "do_xcom_push"
        if self.get_dag() is not None and any(self.iter_mapped_dependants()):
            return "the tasks that are mapped over its result"
        return None

    def resume_execution(self, next_method: str, next_kwargs: dict[str, Any] | None, context: Context) -> Any:
        """Resume after deferral, with timeouts and ``soft_fail`` meaning what they mean in the other modes."""
        try:
            return super().resume_execution(next_method, next_kwargs, context)
        except (Exception, AirflowTaskTimeout):
            if self.start_from_trigger:
                self._delete_earlier_result(context)
            raise

    def _delete_earlier_result(self, context: Context) -> None:
        """Delete what an earlier try returned: Airflow does that when a worker starts a task, and here none did."""
        from airflow.providers.common.compat.sdk import XCOM_RETURN_KEY, XCom

        instance = context["ti"]
        try:
            for key in (XCOM_RETURN_KEY, *AGENT_KEYS):
                XCom.delete(
                    key=key,
                    task_id=instance.task_id,
                    dag_id=instance.dag_id,
                    run_id=instance.run_id,
                    map_index=instance.map_index,
                )
        except Exception:
            self.log.warning("What an earlier try of this task returned could not be deleted.", exc_info=True)

    def _check_selectors(self) -> None:
        from airflow_provider_opencx.phone_agents.waiting import checked_selectors

        checked_selectors(self.agent_id, self.agent_name)
