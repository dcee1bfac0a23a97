"""The operator that extracts conversations, contacts, agents or training scenarios into object storage."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, ClassVar, Literal, Unpack

from airflow.providers.common.compat.sdk import AirflowSkipException, conf

from airflow_provider_opencx import metrics
from airflow_provider_opencx.arguments import (
    check_boolean,
    check_choice,
    check_still_given,
    given,
    seconds,
    time_with_zone,
    whole_number,
)
from airflow_provider_opencx.asset_events import add_extra
from airflow_provider_opencx.connection.form import DEFAULT_CONN_ID
from airflow_provider_opencx.exceptions import OpenCXArgumentError, derive_from_airflow
from airflow_provider_opencx.kinds import Kind
from airflow_provider_opencx.operators.base import BaseOpenCXOperator
from airflow_provider_opencx.storage_paths import checked_storage_path, storage_path, with_path_as_text
from airflow_provider_opencx.templates import task_named
from airflow_provider_opencx.visible_text import in_quotes
from airflow_provider_opencx.xcoms import FILE_KEYS, push_xcoms

# The API's models, the hook and object storage are imported where they are used, so that parsing a Dag stays fast.
if TYPE_CHECKING:
    from airflow.sdk import Context, XComArg
    from airflow.sdk.definitions.xcom_arg import PlainXComArg
    from pydantic import JsonValue

    from airflow_provider_opencx.airflow_arguments import BaseOperatorArguments
    from airflow_provider_opencx.extraction.extract import Extraction
    from airflow_provider_opencx.extraction.interval import Interval
    from airflow_provider_opencx.extraction.storage import Target

__all__ = ["OpenCXToObjectStorageOperator"]

derive_from_airflow()

DEFAULT_PART_SIZE = 50_000

DEFAULT_SETTLE_TIME = timedelta(minutes=5)

_BY_TIME = ("conversations", "contacts")


class OpenCXToObjectStorageOperator(BaseOpenCXOperator):
    """Extract conversations, contacts, phone agents or training scenarios into object storage, as JSON lines.

    **Which rows.** Conversations and contacts: each item whose ``updated_at`` is in the interval (at its start or
    later, and before its end), once and in its newest state. The task asks the service for one more minute on both
    sides, and then filters by itself, because it is not known whether the bounds of the service are inclusive. An item
    that changes later is also in a later interval: when you load the files, keep the newest row of each ``id``. Phone
    agents and training scenarios: all items.

    **Complete.** The order of the service's list is not documented, and it may move while it is read. After a list of
    several pages, the task asks the service for changes during the read. If there are relevant changes, it reads the
    list again, until nothing is new. Reads may lag behind writes, so the task waits until ``settle_time`` has passed
    since the end of the interval. An interval that is not over by the service's clock is an error, which is retried.

    **The same bytes.** Rows are in the order of their times and ids, and keys in alphabetical order; a run that is
    repeated writes the same file, as long as nothing of the interval was changed. A file is written under another name
    and then moved, so that nobody reads half of it. A task that fails leaves the earlier file. With
    ``include_history``, a retry continues where the previous try was killed.

    **Memory** is bounded by a page: rows are kept on the disk of the worker, in its temporary folder.

    :param resource: what is extracted: ``"conversations"``, ``"contacts"``, ``"phone_agents"`` or
        ``"training_scenarios"``.
    :param object_storage_path: the file, or the folder, in Airflow's object storage: a URL such as
        ``"s3://aws_default@bucket/conversations/{{ data_interval_start | ts_nodash }}.jsonl.gz"``, a local path, or an
        ``ObjectStoragePath``. A path that ends with a slash, or that is a folder, takes parts
        (``part-00000-<digest>.jsonl``) and ``manifest.json``, which lists them and is written last. (templated)
    :param updated_after: the start of the interval, a ``datetime`` with a time zone or a text in ISO 8601. Default:
        the start of the run's data interval. (templated)
    :param updated_before: the end of the interval, in the same forms. Default: the end of the run's data interval.
        (templated)
    :param channel_type: only conversations of this channel, such as ``"phone_voice"`` for calls. Default ``None``:
        every channel. (templated)
    :param include_history: add the ``history`` (messages and events) to each conversation. This costs a request
        or more per conversation: at 100 requests a minute, 6,000 take an hour. Default ``False``.
    :param format: the form of the file: ``"jsonl"``, a JSON object on each line.
    :param compression: ``"infer"`` (default) compresses a file whose name ends with ``.gz``; ``"gzip"`` compresses
        parts as well; ``None`` compresses nothing.
    :param part_size: the most rows of a part, where the path is a folder. Default 50,000.
    :param on_empty: what to do if nothing is found: ``"write"`` (default) an empty file, or ``"skip"`` the task,
        which writes nothing and keeps an earlier file.
    :param settle_time: how long after the end of the interval the service is read, a ``timedelta`` or seconds. Default
        five minutes.
    :param deferrable: wait for ``settle_time`` in the triggerer. Default: ``[operators] default_deferrable``.
    :param opencx_conn_id: the connection. Default ``opencx_default``. (templated)
    :return: a dict: ``path``, ``manifest`` (its path, for a folder), ``resource``, ``updated_after``,
        ``updated_before``, ``count``, ``bytes``, ``first_updated_at`` and ``last_updated_at``. The first two are XComs
        of their own, and the asset event of each asset in ``outlets`` has the dict as its ``extra``.
    :raises OpenCXStorageError: if the storage cannot be read or written.
    :raises OpenCXArgumentError: if there is no interval: a run without data interval needs ``updated_after`` and
        ``updated_before``, and so does a run with an empty data interval, which is Airflow's default for cron
        schedules. Schedule with ``CronDataIntervalTimetable``.
    :raises OpenCXError: see :mod:`airflow_provider_opencx.exceptions`.
    """

    template_fields: Sequence[str] = (
        "object_storage_path",
        "updated_after",
        "updated_before",
        "channel_type",
        "opencx_conn_id",
    )
    kinds_of_fields: ClassVar[Mapping[str, Kind]] = dict.fromkeys(template_fields, Kind.TEXT)

    if TYPE_CHECKING:

        @property
        def output(self) -> PlainXComArg:
            """The output of the task. Airflow's own type does not have ``output["path"]``."""

    def __init__(
        self,
        *,
        resource: Literal["conversations", "contacts", "phone_agents", "training_scenarios"],
        object_storage_path: str | os.PathLike[str] | XComArg,
        updated_after: datetime | str | XComArg | None = None,
        updated_before: datetime | str | XComArg | None = None,
        channel_type: str | XComArg | None = None,
        include_history: bool = False,
        format: Literal["jsonl"] = "jsonl",
        compression: Literal["infer", "gzip"] | None = "infer",
        part_size: int = DEFAULT_PART_SIZE,
        on_empty: Literal["write", "skip"] = "write",
        settle_time: timedelta | float = DEFAULT_SETTLE_TIME,
        deferrable: bool = conf.getboolean("operators", "default_deferrable", fallback=False),
        opencx_conn_id: str | XComArg = DEFAULT_CONN_ID,
        **kwargs: Unpack[BaseOperatorArguments],
    ) -> None:
        super().__init__(**kwargs)
        self.resource = resource
        self.object_storage_path = with_path_as_text(object_storage_path)
        self.updated_after = updated_after
        self.updated_before = updated_before
        self.channel_type = channel_type
        self._given = given(updated_after=updated_after, updated_before=updated_before, channel_type=channel_type)
        self.include_history = include_history
        self.format = format
        self.compression = compression
        self.part_size = part_size
        self.on_empty = on_empty
        self.settle_time = settle_time
        self.deferrable = deferrable
        self.opencx_conn_id = opencx_conn_id
        with task_named(self.task_id):
            self._check_arguments()

    def execute(self, context: Context) -> dict[str, JsonValue]:
        """Wait until the interval has settled, extract it, and return what was written."""
        check_still_given(self, self._given)
        interval = self._interval(context)
        if interval is not None and (wait := self._seconds_to_wait(interval)) > 0:
            self.log.info(
                "The interval %s has been over for less than %s. It is read in %s.",
                interval,
                timedelta(seconds=seconds("settle_time", self.settle_time)),
                timedelta(seconds=round(wait)),
            )
            if self.deferrable:
                self._defer_for(wait, interval)
            time.sleep(wait)
        return self._extract(context, interval)

    def execute_complete(
        self, context: Context, event: object = None, *, updated_after: str, updated_before: str
    ) -> dict[str, JsonValue]:
        """Go on after the wait, with the same interval."""
        from airflow_provider_opencx.extraction.interval import Interval

        start, end = datetime.fromisoformat(updated_after), datetime.fromisoformat(updated_before)
        return self._extract(context, Interval(start, end))

    def _extract(self, context: Context, interval: Interval | None) -> dict[str, JsonValue]:
        from airflow_provider_opencx.extraction.extract import extract

        began = time.monotonic()
        target = self._target()
        result = extract(self.hook.get_conn(), self._extraction(interval, target), target)
        where = "" if interval is None else f" in {interval}"
        if result is None:
            raise AirflowSkipException(f"There are no {self._noun}{where}. Nothing was written.")
        metrics.count_extraction(
            self.resource, int(str(result["count"])), int(str(result["bytes"])), time.monotonic() - began
        )
        self.log.info(
            "%s %s%s were written to %s.", f"{result['count']:,}", self._noun, where, in_quotes(str(result["path"]))
        )
        push_xcoms(self, context, result, FILE_KEYS)
        add_extra(self, context, result)
        return result

    @property
    def _noun(self) -> str:
        return self.resource.replace("_", " ")

    def _extraction(self, interval: Interval | None, target: Target) -> Extraction:
        from airflow_provider_opencx.extraction.extract import Extraction
        from airflow_provider_opencx.resources.conversations import checked_channel_type

        is_gzip = self.compression == "gzip" or (self.compression == "infer" and target.path.endswith(".gz"))
        return Extraction(
            self.resource,
            interval,
            checked_channel_type(self.channel_type),
            self.include_history,
            is_gzip,
            self.part_size,
            self.on_empty == "write",
        )

    def _target(self) -> Target:
        from airflow_provider_opencx.extraction.storage import FileSystem, Target

        written = self._checked_path()

        def open_storage() -> tuple[FileSystem, str]:
            path = storage_path(written, f"object_storage_path {in_quotes(written)}")
            return path.fs, path.path

        return Target(written, open_storage)

    def _checked_path(self) -> str:
        return checked_storage_path(
            "object_storage_path",
            with_path_as_text(self.object_storage_path),
            "the path of a file or a folder",
            "s3://conn@bucket/a.jsonl",
        )

    def _interval(self, context: Context) -> Interval | None:
        """Return the interval that is extracted; ``None`` where the list cannot be asked for by time."""
        from airflow_provider_opencx.extraction.interval import Interval

        if self.resource not in _BY_TIME:
            return None
        start = self._time(context, "updated_after", self.updated_after, "data_interval_start")
        end = self._time(context, "updated_before", self.updated_before, "data_interval_end")
        if start == end and self.updated_after is None and self.updated_before is None:
            raise OpenCXArgumentError(
                "updated_after, updated_before: the data interval of this run is empty, as Airflow makes it by default"
                " for cron texts such as '@hourly', and for schedule=None with a logical date. Schedule the Dag with"
                " airflow.timetables.interval.CronDataIntervalTimetable, or give both arguments."
            )
        return Interval(start, end)

    def _time(self, context: Context, argument: str, value: object, default: str) -> datetime:
        found: object = context.get(default) if value is None else value
        if found is None:
            raise OpenCXArgumentError(
                f"{argument}: this run has no data interval, as runs have none that an asset has triggered, or a person"
                f" without a logical date. Trigger it with a logical date, or give {argument}."
            )
        return time_with_zone(argument, found)

    def _seconds_to_wait(self, interval: Interval) -> float:
        settle_time = timedelta(seconds=seconds("settle_time", self.settle_time))
        now = datetime.fromtimestamp(time.time(), UTC)
        if interval.end - now > _CLOCKS_DIFFER_BY:
            raise OpenCXArgumentError(
                f"updated_before: {interval.end.isoformat()} is in the future, so the interval is not over, and its"
                " file would not be complete; give an earlier time"
            )
        return (interval.end - now + settle_time).total_seconds()

    def _defer_for(self, wait: float, interval: Interval) -> None:
        from airflow.providers.standard.triggers.temporal import DateTimeTrigger

        moment = datetime.fromtimestamp(time.time() + wait, UTC)
        self.defer(
            trigger=DateTimeTrigger(moment=moment),
            method_name=self.execute_complete.__name__,
            kwargs={"updated_after": interval.start.isoformat(), "updated_before": interval.end.isoformat()},
            timeout=self.execution_timeout,
        )

    def _check_arguments(self) -> None:
        """Check what can be checked while the Dag is parsed."""
        self._check_templates()
        self._check_literal_conn_id()
        check_choice("resource", self.resource, (*_BY_TIME, "phone_agents", "training_scenarios"))
        check_choice("format", self.format, ("jsonl",))
        check_choice("compression", self.compression, ("infer", "gzip", None))
        check_choice("on_empty", self.on_empty, ("write", "skip"))
        check_boolean("include_history", self.include_history)
        check_boolean("deferrable", self.deferrable)
        seconds("settle_time", self.settle_time)
        self.part_size = whole_number("part_size", self.part_size) or 0
        if not self.part_size:
            raise OpenCXArgumentError("part_size: must be a whole number, 1 or more")
        self._check_fit()
        if self._has_no_template(self.channel_type):
            from airflow_provider_opencx.resources.conversations import checked_channel_type

            checked_channel_type(self.channel_type)
        if self._has_no_template(self.object_storage_path):
            self._checked_path()
        for argument, value in (("updated_after", self.updated_after), ("updated_before", self.updated_before)):
            if value is not None and self._has_no_template(value):
                time_with_zone(argument, value)

    def _check_fit(self) -> None:
        """Check that each argument is one for this resource."""
        fits = {
            "conversations": {"updated_after", "updated_before", "channel_type", "include_history"},
            "contacts": {"updated_after", "updated_before"},
        }.get(self.resource, set())
        for argument in [*self._given, *(["include_history"] if self.include_history else [])]:
            if argument not in fits:
                raise OpenCXArgumentError(f"{argument}: is not for {self._noun}")


_CLOCKS_DIFFER_BY = timedelta(minutes=5)
"""By how much the clocks of the scheduler and of a worker may differ."""
