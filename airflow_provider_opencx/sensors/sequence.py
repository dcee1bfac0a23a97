"""The sensor that waits until one or several sequences have begun, have ended or are canceled."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Unpack

from airflow.providers.common.compat.sdk import conf

from airflow_provider_opencx.arguments import check_boolean
from airflow_provider_opencx.connection.form import DEFAULT_CONN_ID
from airflow_provider_opencx.exceptions import OpenCXSequenceTimeoutError, derive_from_airflow
from airflow_provider_opencx.kinds import Kind
from airflow_provider_opencx.links.opencx import OpenCXSequenceLink
from airflow_provider_opencx.sensors.waiting import WaitingSensor
from airflow_provider_opencx.templates import task_named
from airflow_provider_opencx.xcoms import SEQUENCE_KEYS

# The API's models, the hook and the trigger are imported where they are used, so that parsing a Dag stays fast.
if TYPE_CHECKING:
    from airflow.sdk import XComArg
    from airflow.sdk.definitions.xcom_arg import PlainXComArg
    from airflow.triggers.base import BaseTrigger
    from pydantic import JsonValue

    from airflow_provider_opencx.airflow_arguments import BaseSensorArguments
    from airflow_provider_opencx.campaigns.sequences.waiting import SequenceWaits
    from airflow_provider_opencx.resources.sequences import OutboundSequence
    from airflow_provider_opencx.waiting import Poll

__all__ = ["OpenCXSequenceSensor"]

derive_from_airflow()


class OpenCXSequenceSensor(WaitingSensor):
    """Wait until a sequence has begun, has ended or is canceled, by polling ``GET /sequences/{id}``.

    With a list, it waits for each of the sequences, and the result is the list of the sequences in the same order. An
    empty list succeeds at once.

    The modes poke, reschedule and deferrable give the same result and the same errors:

    - ``until="started"``: a sequence that is canceled before it begins is an error that is not retried. If it has
      begun, the wait succeeds, even if the sequence was canceled later; that is logged as a warning.
    - ``until="ended"``: all steps are over. A sequence that is canceled before that is an error that is not retried.
    - ``until="canceled"``: a sequence that ends without being canceled is an error that is not retried.
    - It is an error if a sequence is missing for five minutes, and in at least three consecutive polls, because a read
      may lag behind a create. A service without sequences, and a rejected key, fail at once.
    - Up to five consecutive failed polls are tolerated. After a 429, the next poll comes later.
    - ``timeout`` fails the task, or skips it with ``soft_fail``; so does ``execution_timeout``, after which the task is
      retried, and which Airflow applies to each poll in mode reschedule. Errors are never skipped by ``soft_fail``.

    In mode reschedule, the worker is kept while polls fail or a sequence is missing; ``poke_interval`` should be a
    minute or more, as Airflow advises. Each sequence costs a request a poll, in the modes poke and reschedule for each
    task. Deferrable, the worker sends nothing at all, and the triggerer polls each sequence once an interval, however
    many tasks wait for it; ``exponential_backoff`` and ``silent_fail`` then have no effect, and no task resumes sooner
    than ten seconds after it deferred, because Airflow fails tasks that do.

    :param sequence_id: the sequence: its id, its custom id if the service supports that, or the sequence as another
        task returned it: ``sequence_id=started.output``; or a list of these. (templated)
    :param until: what is waited for: ``"started"``, ``"ended"`` (default) or ``"canceled"``.
    :param deferrable: wait in the triggerer. Default: ``[operators] default_deferrable``.
    :param opencx_conn_id: the connection. Default ``opencx_default``. (templated)
    :return: the sequence, as a dict with the API's field names but without its ``filter``, or the list of sequences.
        The ``id`` and the ``custom_id`` of one sequence are also separate XComs.
    :raises OpenCXError: see :mod:`airflow_provider_opencx.exceptions`.
    """

    operator_extra_links = (OpenCXSequenceLink(),)
    template_fields: Sequence[str] = ("sequence_id", "opencx_conn_id")
    kinds_of_fields: ClassVar[Mapping[str, Kind]] = {"sequence_id": Kind.TEXTS, "opencx_conn_id": Kind.TEXT}
    xcom_keys = SEQUENCE_KEYS
    plural = "sequences"
    _timeout_error = OpenCXSequenceTimeoutError

    if TYPE_CHECKING:

        @property
        def output(self) -> PlainXComArg:
            """The output of the task. Airflow's own type does not have ``output["id"]``."""

    def __init__(
        self,
        *,
        sequence_id: str | Mapping[str, JsonValue] | Sequence[str | Mapping[str, JsonValue] | XComArg] | XComArg,
        until: Literal["started", "ended", "canceled"] = "ended",
        deferrable: bool = conf.getboolean("operators", "default_deferrable", fallback=False),
        opencx_conn_id: str | XComArg = DEFAULT_CONN_ID,
        **kwargs: Unpack[BaseSensorArguments],
    ) -> None:
        super().__init__(**kwargs)
        self.sequence_id = sequence_id
        self.until = until
        self.deferrable = deferrable
        self.opencx_conn_id = opencx_conn_id
        with task_named(self.task_id):
            from airflow_provider_opencx.campaigns.sequences.ids import checked_sequence_ids
            from airflow_provider_opencx.campaigns.sequences.waiting import checked_until

            check_boolean("deferrable", deferrable)
            checked_until(until)
            self._check_templates()
            self._check_literal_conn_id()
            if self._has_no_template(sequence_id):
                checked_sequence_ids(sequence_id)

    @cached_property
    def _waiting(self) -> SequenceWaits:
        from airflow_provider_opencx.campaigns.sequences.waiting import SequenceWaits

        return SequenceWaits(self.sequence_id, self.until)

    def _poll_once(self) -> Poll[None]:
        from airflow_provider_opencx.campaigns.sequences.polling import poll_once

        return poll_once(self._read, self._waiting)

    def _read(self, sequence_id: str) -> OutboundSequence | None:
        from airflow_provider_opencx.resources.sequences import poll_sequence

        return poll_sequence(self.hook.get_conn(), sequence_id)

    def _result_of(self, event: Mapping[str, Any] | None) -> JsonValue:
        from airflow_provider_opencx.triggers.sequence import result_of

        return result_of(event)

    def _success(self, result: JsonValue) -> str:
        from airflow_provider_opencx.campaigns.sequences.waiting import success

        return success(result, self.until)

    def _trigger(self) -> Callable[..., BaseTrigger]:
        from airflow_provider_opencx.triggers.sequence import OpenCXSequenceTrigger

        return partial(
            OpenCXSequenceTrigger,
            opencx_conn_id=self._conn_id,
            sequence_id=self._waiting.sequence_id,
            until=self.until,
            poll_interval=self.poke_interval,
        )
