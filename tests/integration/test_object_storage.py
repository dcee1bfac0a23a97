"""Tests files in object storage: each is complete and whole, and a repeated run writes the same bytes."""

from __future__ import annotations

import gzip
import json
import logging
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowSkipException, ObjectStoragePath, TaskDeferred

from airflow_provider_opencx.exceptions import (
    OpenCXArgumentError,
    OpenCXError,
    OpenCXNoSuchOperationError,
    OpenCXNotFoundError,
    OpenCXResponseError,
    OpenCXStorageError,
)
from airflow_provider_opencx.extraction import histories, parts, progress, reading
from airflow_provider_opencx.extraction.storage import Target
from airflow_provider_opencx.simulator import EndlessPages, ProxyPage, RepeatedIds, Respond, Simulator
from airflow_provider_opencx.simulator.responses import error_body
from airflow_provider_opencx.transfers.opencx_to_object_storage import OpenCXToObjectStorageOperator

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
SECOND = timedelta(seconds=1)
MILLISECOND = timedelta(milliseconds=1)

LISTS = [
    {"order": order, "newest_first": newest_first, "paging": paging, "bounds": bounds}
    for order in ("created", "updated")
    for newest_first in (False, True)
    for paging in ("cursor", "offset")
    for bounds in ("inclusive", "exclusive")
]
"""All that is not known of the service's list."""

EVERY_LIST = pytest.mark.parametrize("shown", LISTS, ids=lambda shown: "-".join(str(each) for each in shown.values()))


@dataclass
class Storage:
    """A folder in object storage."""

    root: str

    def __truediv__(self, name: str) -> str:
        return f"{self.root}/{name}"

    def names(self, folder: str = "") -> list[str]:
        path = ObjectStoragePath(f"{self.root}/{folder}".rstrip("/"))
        path.fs.invalidate_cache()
        return sorted(file.removeprefix(f"{path.path}/") for file in path.fs.find(path.path))

    def content(self, name: str) -> bytes:
        content: bytes = ObjectStoragePath(self / name).read_bytes()
        return content

    def rows(self, name: str) -> list[dict[str, Any]]:
        content = self.content(name)
        text = gzip.decompress(content) if name.endswith(".gz") else content
        return [json.loads(line) for line in text.decode().splitlines()]

    def ids(self, name: str) -> list[str]:
        return [row["id"] for row in self.rows(name)]


@pytest.fixture
def local(tmp_path: Path) -> Storage:
    return Storage(str(tmp_path))


@pytest.fixture(params=["local", "s3"])
def storage(request: pytest.FixtureRequest) -> Storage:
    """The two kinds of storage: one that moves files, and one that copies objects."""
    root = request.getfixturevalue("s3" if request.param == "s3" else "tmp_path")
    return Storage(str(root))


def transfer(path: object, *, start: datetime = NOON, hours: int = 1, **how: Any) -> OpenCXToObjectStorageOperator:
    given = {"updated_after": start, "updated_before": start + hours * HOUR, "resource": "conversations", **how}
    return OpenCXToObjectStorageOperator(task_id="extract", object_storage_path=path, **given)


def extract(path: object, **how: Any) -> Any:
    return transfer(path, **how).execute({})


def add(simulator: Simulator, *times: datetime, **fields: Any) -> list[str]:
    """Add conversations that were created in the morning and changed at these times."""
    created = (NOON - 4 * HOUR).isoformat()
    return [
        str(simulator.add_conversation(created_at=created, updated_at=time.isoformat(), **fields)["id"])
        for time in times
    ]


@EVERY_LIST
def test_conversation_is_in_the_interval_of_its_change(
    simulator: Simulator, local: Storage, shown: dict[str, Any]
) -> None:
    simulator.list_conversations_by(**shown)
    simulator.page_size = 2
    [before] = add(simulator, NOON - MILLISECOND)
    within = add(simulator, NOON, NOON, NOON + MILLISECOND, NOON + HOUR / 2, NOON + HOUR - MILLISECOND)
    after = add(simulator, NOON + HOUR, NOON + HOUR + MILLISECOND)
    for number in range(-1, 2):
        extract(local / f"{number}.jsonl", start=NOON + number * HOUR)
    assert local.ids("-1.jsonl") == [before]
    assert local.ids("0.jsonl") == within
    assert local.ids("1.jsonl") == after


@EVERY_LIST
@pytest.mark.parametrize("change", ["updated", "added", "removed"])
def test_nothing_is_missing_from_a_list_that_moves_while_it_is_read(
    simulator: Simulator, local: Storage, shown: dict[str, Any], change: str
) -> None:
    simulator.list_conversations_by(**shown)
    simulator.page_size = 3
    stay = add(simulator, *(NOON + number * SECOND for number in range(12)))
    leave = add(simulator, *(NOON + (number + 0.5) * SECOND for number in range(12)))
    changes: dict[str, Callable[[], object]] = {
        "updated": lambda: simulator.update_conversation(leave.pop()),
        "added": lambda: add(simulator, NOON - 10 * HOUR),
        "removed": lambda: simulator.update_conversation(leave.pop(0)),
    }
    simulator.between_pages(changes[change], times=4)
    extract(local / "a.jsonl")
    found = local.ids("a.jsonl")
    assert len(found) == len({*found})
    assert {*stay, *leave} <= {*found}


def test_what_is_beyond_the_interval_moves_the_list_too(simulator: Simulator, local: Storage) -> None:
    simulator.list_conversations_by("updated", newest_first=True, paging="offset")
    simulator.page_size = 2
    created = (NOON + HOUR + SECOND).isoformat()
    beyond = str(simulator.add_conversation(created_at=created, updated_at=created)["id"])
    stay = add(simulator, NOON, NOON + SECOND)
    simulator.between_pages(lambda: simulator.update_conversation(beyond))
    extract(local / "a.jsonl")
    assert local.ids("a.jsonl") == stay


def test_conversation_that_is_shown_twice_is_written_once_as_it_was_last(simulator: Simulator, local: Storage) -> None:
    [changed] = add(simulator, NOON + SECOND, sentiment="angry")
    simulator.update_conversation(changed, updated_at=(NOON + 2 * SECOND).isoformat(), sentiment="happy")
    [left] = add(simulator, NOON + HOUR - SECOND)
    simulator.update_conversation(left, updated_at=(NOON + HOUR + SECOND).isoformat())
    simulator.fail("listChatSessions", RepeatedIds(), times=None)
    extract(local / "a.jsonl")
    assert [(row["id"], row["sentiment"]) for row in local.rows("a.jsonl")] == [(changed, "happy")]
    extract(local / "b.jsonl", start=NOON + HOUR)
    assert local.ids("b.jsonl") == [left]


def test_list_that_moves_at_each_reading_is_an_error_that_is_retried(simulator: Simulator, local: Storage) -> None:
    simulator.list_conversations_by("updated", paging="offset")
    simulator.page_size = 2
    add(simulator, *(NOON + number * SECOND for number in range(8)))
    numbers = iter(range(1000))

    def change() -> None:
        number = next(numbers)
        add(simulator, NOON + (number / 1000) * SECOND)
        add(simulator, datetime.now(UTC))

    simulator.between_pages(change, times=None)
    with pytest.raises(OpenCXResponseError, match="changes faster than it can be read") as caught:
        extract(local / "a.jsonl")
    assert not caught.value.is_permanent
    assert local.names() == []


@EVERY_LIST
def test_nothing_is_missing_where_what_has_changed_is_shown_again(
    simulator: Simulator, local: Storage, shown: dict[str, Any]
) -> None:
    simulator.list_conversations_by(**shown)
    simulator.page_size = 3
    made = add(simulator, *(NOON + number * SECOND for number in range(9)))
    simulator.between_pages(lambda: simulator.update_conversation(made[0]), times=2)
    extract(local / "a.jsonl", updated_before=datetime.now(UTC), settle_time=0)
    assert {*made[1:]} <= {*local.ids("a.jsonl")}


def test_list_that_is_busy_and_hides_nothing_is_read(simulator: Simulator, local: Storage) -> None:
    simulator.page_size = 10
    made = add(simulator, *(NOON + number * SECOND for number in range(60)))
    simulator.between_pages(lambda: simulator.update_conversation(made[0]), times=None)
    extract(local / "a.jsonl", updated_before=datetime.now(UTC), settle_time=0)
    assert {*made[1:]} <= {*local.ids("a.jsonl")}


def test_interval_that_is_not_over_by_the_clock_of_the_service_is_refused(
    simulator: Simulator, local: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = "airflow_provider_opencx.client.pagination.http_date"
    monkeypatch.setattr(clock, lambda header: header and NOON + HOUR - 3 * SECOND)
    with pytest.raises(OpenCXResponseError, match="is not over, and its file would not be complete") as caught:
        extract(local / "a.jsonl")
    assert not caught.value.is_permanent
    assert local.names() == []


def test_list_that_is_still_costs_one_request_more_than_its_pages(simulator: Simulator, local: Storage) -> None:
    simulator.page_size = 100
    simulator.add_conversations(1000, first=NOON.isoformat(), last=(NOON + HOUR / 2).isoformat())
    extract(local / "a.jsonl")
    assert simulator.count("listChatSessions") == 11
    extract(local / "b.jsonl", start=NOON + 5 * HOUR)
    assert simulator.count("listChatSessions") == 12


def test_list_without_end_is_an_error(simulator: Simulator, local: Storage) -> None:
    add(simulator, NOON)
    simulator.fail("listChatSessions", EndlessPages(items="same"), times=None)
    with pytest.raises(OpenCXResponseError, match="does not end: 10 pages in a row show nothing new"):
        extract(local / "a.jsonl")
    assert simulator.count("listChatSessions") == reading.MOST_PAGES_WITHOUT_NEWS + 1


def test_item_is_written_as_the_service_sent_it(simulator: Simulator, local: Storage) -> None:
    sent = {
        "id": "ses_1",
        "updated_at": NOON.isoformat(),
        "sentiment": 7,
        "новое": ["поле", 1.5, None],
        "contact": {"name": "Ada\u2028\n😀"},
    }
    odd: list[Any] = [{"updated_at": NOON.isoformat()}, "text", {"id": 5}]
    body = json.dumps({"items": [sent, *odd], "next": None})
    simulator.fail("listChatSessions", Respond(200, body), times=None)
    result = extract(local / "a.jsonl")
    [row] = local.rows("a.jsonl")
    assert {name: row[name] for name in sent} == sent
    assert {name for name in row if name not in sent} >= {"status", "channel", "language"}
    assert {row[name] for name in row if name not in sent} == {None}
    assert result["count"] == 1


def test_items_that_cannot_be_read_are_named_in_the_log(
    simulator: Simulator, local: Storage, caplog: pytest.LogCaptureFixture
) -> None:
    body = json.dumps({"items": [{"id": "a", "updated_at": NOON.isoformat()}, {"id": 5}, "x"], "next": None})
    simulator.fail("listChatSessions", Respond(200, body), times=None)
    with caplog.at_level(logging.WARNING):
        extract(local / "a.jsonl")
    assert "item 2 of the list" in caplog.text
    assert "2 conversations cannot be read, and are in no file." in caplog.text


def test_item_without_times_is_not_lost(simulator: Simulator, local: Storage, caplog: pytest.LogCaptureFixture) -> None:
    created = {"id": "b", "created_at": NOON.isoformat(), "updated_at": "soon"}
    body = json.dumps({"items": [{"id": "a"}, created], "next": None})
    simulator.fail("listChatSessions", Respond(200, body), times=None)
    with caplog.at_level(logging.WARNING):
        result = extract(local / "a.jsonl")
    assert local.ids("a.jsonl") == ["a", "b"]
    assert result["first_updated_at"] == result["last_updated_at"] == "2026-03-01T12:00:00.000000+00:00"
    assert "1 conversations do not say when they were changed." in caplog.text


@pytest.mark.parametrize("name", ["a.jsonl", "a.jsonl.gz", "parts/", "deep/er/a.jsonl"])
def test_same_run_writes_the_same_bytes(simulator: Simulator, storage: Storage, name: str) -> None:
    simulator.add_conversations(50, first=NOON.isoformat(), last=(NOON + HOUR / 2).isoformat())
    results, contents = [], []
    for shown in (LISTS[0], LISTS[-1]):
        simulator.list_conversations_by(**shown)
        results.append(extract(storage / name, part_size=20, include_history=True))
        contents.append({each: storage.content(each) for each in storage.names()})
    assert results[0] == results[1]
    assert contents[0] == contents[1]
    assert not any("partial" in each for each in contents[0])
    assert results[0]["bytes"] == sum(
        len(content) for each, content in contents[0].items() if not each.endswith("manifest.json")
    )


def test_result_says_what_was_written(simulator: Simulator, storage: Storage) -> None:
    add(simulator, NOON + SECOND, NOON + 2 * SECOND)
    assert extract(storage / "a.jsonl") == {
        "path": storage / "a.jsonl",
        "manifest": None,
        "resource": "conversations",
        "updated_after": "2026-03-01T12:00:00+00:00",
        "updated_before": "2026-03-01T13:00:00+00:00",
        "count": 2,
        "bytes": len(storage.content("a.jsonl")),
        "first_updated_at": "2026-03-01T12:00:01.000000+00:00",
        "last_updated_at": "2026-03-01T12:00:02.000000+00:00",
    }


@pytest.mark.parametrize("compression", ["infer", "gzip"])
def test_folder_takes_parts_and_a_manifest(simulator: Simulator, storage: Storage, compression: str) -> None:
    made = simulator.add_conversations(45, first=NOON.isoformat(), last=(NOON + HOUR / 2).isoformat())
    result = extract(storage / "all/", part_size=20, compression=compression)
    manifest = json.loads(storage.content("all/manifest.json"))
    parts = [part["path"] for part in manifest["parts"]]
    assert storage.names("all") == ["manifest.json", *parts]
    assert [part["count"] for part in manifest["parts"]] == [20, 20, 5]
    assert sorted(each for part in parts for each in storage.ids(f"all/{part}")) == sorted(made)
    assert all(part.endswith(".jsonl.gz" if compression == "gzip" else ".jsonl") for part in parts)
    assert result["manifest"] == storage / "all/manifest.json"
    assert {name: manifest[name] for name in ("count", "bytes", "last_updated_at")} == {
        name: result[name] for name in ("count", "bytes", "last_updated_at")
    }
    for conversation in made[3:]:
        simulator.remove_conversation(conversation)
    extract(storage / "all", part_size=20)  # that it is a folder, is seen
    [part] = json.loads(storage.content("all/manifest.json"))["parts"]
    assert storage.names("all") == ["manifest.json", part["path"]]


@pytest.mark.parametrize("name", ["part-00000-spark.parquet", "part-of-a-backup.tar", "readme.md"])
def test_what_is_not_of_an_extraction_stays(simulator: Simulator, storage: Storage, name: str) -> None:
    ObjectStoragePath(storage / f"all/{name}").parent.mkdir(parents=True, exist_ok=True)
    ObjectStoragePath(storage / f"all/{name}").write_bytes(b"of somebody else")
    for number in range(3):
        add(simulator, NOON + number * SECOND)
        extract(storage / "all/")
    [part] = json.loads(storage.content("all/manifest.json"))["parts"]
    assert storage.names("all") == sorted(["manifest.json", name, part["path"]])


def test_parts_of_a_try_that_was_killed_after_its_manifest_are_deleted_by_the_next_one(
    simulator: Simulator, storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    add(simulator, NOON)
    extract(storage / "all/")
    add(simulator, NOON + SECOND)
    with monkeypatch.context() as patch:
        patch.setattr(Target, "clean", lambda *_: killed())
        with pytest.raises(KilledError):
            extract(storage / "all/")
    add(simulator, NOON + 2 * SECOND)
    extract(storage / "all/")
    [part] = json.loads(storage.content("all/manifest.json"))["parts"]
    assert storage.names("all") == ["manifest.json", part["path"]]


def test_of_two_tries_at_once_no_manifest_lists_what_is_not_there(
    simulator: Simulator, local: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    add(simulator, NOON)
    extract(local / "all/", part_size=1)
    put = parts._put_manifest

    def second_try_in_between(*how: Any) -> None:
        monkeypatch.setattr(parts, "_put_manifest", put)
        add(simulator, NOON + SECOND)
        extract(local / "all/", part_size=1)
        put(*how)

    monkeypatch.setattr(parts, "_put_manifest", second_try_in_between)
    extract(local / "all/", part_size=1)
    listed = [part["path"] for part in json.loads(local.content("all/manifest.json"))["parts"]]
    assert {*listed} <= {*local.names("all")}


def test_folder_of_another_interval_is_warned_of(
    simulator: Simulator, local: Storage, caplog: pytest.LogCaptureFixture
) -> None:
    extract(local / "all/")
    assert "is replaced" not in caplog.text
    extract(local / "all/", start=NOON + HOUR)
    assert "an extraction of conversations from 2026-03-01T12:00:00+00:00" in caplog.text


@pytest.mark.parametrize(
    "name", ["a*.jsonl", "a?.jsonl", "a[1].jsonl", "a*/", "q[1]/", "a b.jsonl", "ü😀.jsonl", "a#%20.jsonl"]
)
def test_path_is_a_name_and_not_a_pattern(simulator: Simulator, storage: Storage, name: str) -> None:
    add(simulator, NOON)
    others = ["ab.jsonl", "a1.jsonl", ".ab.jsonl.partial/kept", ".a1.jsonl.partial/kept"]
    for other in others:
        ObjectStoragePath(storage / other).parent.mkdir(parents=True, exist_ok=True)
        ObjectStoragePath(storage / other).write_bytes(b"of another task")
    for _ in range(2):
        extract(storage / name, include_history=True)
    written = [each for each in storage.names() if each not in others]
    assert all(storage.content(other) == b"of another task" for other in others)
    assert written == [name] if not name.endswith("/") else len(written) == 2


def test_object_storage_path_is_taken_as_well(simulator: Simulator, storage: Storage) -> None:
    add(simulator, NOON)
    extract(ObjectStoragePath(storage / "a.jsonl"))
    from_xcom = transfer("/tmp/{{ task_instance.xcom_pull() }}")
    from_xcom.object_storage_path = ObjectStoragePath(storage / "b.jsonl")
    from_xcom.execute({})
    assert storage.rows("a.jsonl") == storage.rows("b.jsonl")


def test_bucket_that_is_not_there_is_not_made(simulator: Simulator, s3: str) -> None:
    path = s3.replace("@bucket/", "@buckett/")
    with pytest.raises(OpenCXStorageError, match="cannot be written"):
        extract(f"{path}/a.jsonl")
    assert ObjectStoragePath(s3).fs.ls("", detail=False) == ["bucket"]


def test_storage_that_deletes_nothing_is_warned_of(
    simulator: Simulator, s3: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    add(simulator, NOON)
    storage = ObjectStoragePath(s3).fs

    def denied(path: str) -> None:
        raise PermissionError("denied; the key is s3cret")

    monkeypatch.setattr(storage, "rm_file", denied)
    assert extract(f"{s3}/a.jsonl")["count"] == 1
    assert "cannot be deleted (PermissionError" in caplog.text
    assert "s3cret" not in caplog.text


@dataclass
class Broken:
    """Lets one operation of the local file system fail, at one time."""

    operation: str
    at: int

    def __call__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        from fsspec.implementations.local import LocalFileSystem

        works, numbers = getattr(LocalFileSystem, self.operation), iter(range(1000))

        def may_fail(*args: Any, **kwargs: Any) -> Any:
            if next(numbers) == self.at:
                raise PermissionError("denied; the key is s3cret")
            return works(*args, **kwargs)

        monkeypatch.setattr(LocalFileSystem, self.operation, may_fail)


@pytest.mark.parametrize("folder", [False, True], ids=["file", "folder"])
@pytest.mark.parametrize(
    "broken", [Broken("put_file", 0), Broken("mv", 0), Broken("put_file", 1), Broken("mv", 1), Broken("makedirs", 0)]
)
def test_storage_that_fails_leaves_what_was_there_before(
    simulator: Simulator, local: Storage, monkeypatch: pytest.MonkeyPatch, broken: Broken, folder: bool
) -> None:
    path = local / ("all/" if folder else "a.jsonl")
    add(simulator, NOON)
    extract(path, part_size=1)
    before = {name: local.content(name) for name in local.names()}
    add(simulator, NOON + SECOND, NOON + 2 * SECOND)
    with monkeypatch.context() as patch:
        broken(patch)
        with pytest.raises(OpenCXStorageError) as caught:
            extract(path, part_size=1, include_history=not folder)
    assert "s3cret" not in "".join(traceback.format_exception(caught.value))
    assert not caught.value.is_permanent
    assert {name: local.content(name) for name in before} == before
    result = extract(path, part_size=1)
    assert result["count"] == 3
    assert not any("partial" in name for name in local.names())


@pytest.mark.parametrize("operation", ["listChatSessions", "listChatHistory"])
def test_service_that_fails_leaves_what_was_there_before(simulator: Simulator, local: Storage, operation: str) -> None:
    simulator.page_size = 2
    add(simulator, NOON)
    extract(local / "a.jsonl", include_history=True)
    before = local.content("a.jsonl")
    add(simulator, *(NOON + number * SECOND for number in range(4)))
    simulator.fail(operation, Respond(200, json.dumps({"items": "none"})), times=None)
    with pytest.raises(OpenCXError):
        extract(local / "a.jsonl", include_history=True)
    assert local.content("a.jsonl") == before


class KilledError(BaseException):
    """Ends a task as a signal does."""


def test_retry_reads_only_the_histories_that_are_left(
    simulator: Simulator, storage: Storage, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    made = add(simulator, *(NOON + number * SECOND for number in range(10)))
    extract(storage / "whole.jsonl", include_history=True)
    histories_of_whole = [row["history"] for row in storage.rows("whole.jsonl")]
    assert all(histories_of_whole)
    before = simulator.count("listChatHistory")
    with monkeypatch.context() as patch:
        left, read = iter(range(7)), histories.list_items
        patch.setattr(histories, "list_items", lambda *how: read(*how) if next(left, None) is not None else killed())
        with pytest.raises(KilledError):
            extract(storage / "a.jsonl", include_history=True)
    simulator.update_conversation(made[2], updated_at=(NOON + 2.5 * SECOND).isoformat())
    with caplog.at_level(logging.INFO):
        extract(storage / "a.jsonl", include_history=True)
    assert "An earlier try has read 7 histories. 4 are left to read." in caplog.text
    assert simulator.count("listChatHistory") - before == 7 + 3 + 1
    assert [row["history"] for row in storage.rows("a.jsonl")] == histories_of_whole
    assert storage.names() == ["a.jsonl", "whole.jsonl"]


def killed() -> Any:
    raise KilledError


@pytest.mark.parametrize(
    "content", [b"", b"no gzip", gzip.compress(b"not a line")[:-4]], ids=["empty", "no gzip", "cut off"]
)
def test_what_a_kill_has_left_in_pieces_is_read_again(simulator: Simulator, local: Storage, content: bytes) -> None:
    add(simulator, NOON)
    aside = Path(local / ".a.jsonl.partial")
    aside.mkdir()
    (aside / "histories-1.jsonl.gz").write_bytes(content)
    extract(local / "a.jsonl", include_history=True)
    [row] = local.rows("a.jsonl")
    assert row["history"]
    assert local.names() == ["a.jsonl"]


def test_history_of_which_a_proxy_knows_nothing_is_read_by_the_next_try(simulator: Simulator, local: Storage) -> None:
    add(simulator, NOON)
    simulator.fail("listChatHistory", ProxyPage(404))
    with pytest.raises(OpenCXNotFoundError):
        extract(local / "a.jsonl", include_history=True)
    extract(local / "a.jsonl", include_history=True)
    [row] = local.rows("a.jsonl")
    assert row["history"]


def test_history_that_is_gone_is_null(simulator: Simulator, local: Storage) -> None:
    add(simulator, NOON, NOON + SECOND)
    simulator.fail("listChatHistory", Respond(404, error_body(404, "There is no such session")), times=3)
    extract(local / "a.jsonl", include_history=True)
    assert [row["history"] is None for row in local.rows("a.jsonl")] == [True, False]


def test_service_without_histories_is_an_error(simulator: Simulator, local: Storage) -> None:
    add(simulator, NOON)
    path = "/chat/sessions/ses_000001/history"
    simulator.fail("listChatHistory", Respond(404, error_body(404, f"Route GET:{path} not found")), times=None)
    with pytest.raises(OpenCXNoSuchOperationError):
        extract(local / "a.jsonl", include_history=True)


def test_long_extraction_says_how_far_it_is(
    simulator: Simulator, local: Storage, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(progress, "A_LINE_EVERY", 0.0)
    simulator.page_size = 2
    add(simulator, NOON, NOON, NOON)
    with caplog.at_level(logging.INFO):
        extract(local / "a.jsonl", include_history=True)
    assert "2 pages with 3 conversations were read so far." in caplog.text
    assert "Histories read: 2 of 3. Left: 1, which take 0:00:0" in caplog.text


def test_progress_says_when_it_will_be_done() -> None:
    assert progress.histories_read(1200, 30_000, 720, NOON) == (
        "Histories read: 1,200 of 30,000. Left: 28,800, which take 4:48:00 at this pace: until 2026-03-01T16:48+00:00."
    )


@pytest.mark.parametrize("resource", ["contacts", "phone_agents", "training_scenarios"])
def test_other_lists_are_extracted_as_well(simulator: Simulator, local: Storage, resource: str) -> None:
    made: dict[str, Any] = {
        "contacts": lambda: simulator.add_contact("+14155550101", name="Ada"),
        "phone_agents": lambda: simulator.add_agent(name="Ada"),
        "training_scenarios": lambda: simulator.create_training("Ada", "Text"),
    }[resource]()
    now = datetime.now(UTC)
    is_by_time = resource == "contacts"
    times = {"updated_after": now - HOUR, "updated_before": now, "settle_time": 0} if is_by_time else {}
    task = OpenCXToObjectStorageOperator(
        task_id="extract", resource=resource, object_storage_path=local / "a.jsonl", **times
    )
    result: Any = task.execute({})
    assert local.ids("a.jsonl") == [made["id"]]
    assert (result["resource"], result["count"]) == (resource, 1)
    if is_by_time:
        assert result["first_updated_at"]
        extract(local / "b.jsonl", resource=resource)
        assert local.rows("b.jsonl") == []


def test_channel_alone_is_extracted(simulator: Simulator, local: Storage) -> None:
    [call] = add(simulator, NOON, channel={"type": "phone_voice"})
    add(simulator, NOON, channel={"type": "web"})
    extract(local / "a.jsonl", channel_type="phone_voice")
    assert local.ids("a.jsonl") == [call]


def test_service_that_does_not_know_the_channels_is_not_believed(simulator: Simulator, local: Storage) -> None:
    types = {"call": "phone_voice", "mail": "email", "none": None}
    items = [{"id": each, "updated_at": NOON.isoformat(), "channel": {"type": type}} for each, type in types.items()]
    simulator.fail("listChatSessions", Respond(200, json.dumps({"items": items, "next": None})), times=None)
    extract(local / "a.jsonl", channel_type="phone_voice")
    assert local.ids("a.jsonl") == ["call", "none"]


def test_nothing_found_is_an_empty_file_or_a_skip(simulator: Simulator, storage: Storage) -> None:
    result = extract(storage / "a.jsonl.gz")
    assert (result["count"], result["first_updated_at"]) == (0, None)
    assert storage.rows("a.jsonl.gz") == []
    result = extract(storage / "parts/")
    assert json.loads(storage.content("parts/manifest.json"))["parts"] == []
    with pytest.raises(AirflowSkipException, match=r"There are no conversations in .*Nothing was written"):
        extract(storage / "b.jsonl", on_empty="skip")
    assert storage.names() == ["a.jsonl.gz", "parts/manifest.json"]


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ({"resource": "calls"}, "resource: must be 'conversations' or"),
        ({"object_storage_path": "a.jsonl"}, "object_storage_path: 'a.jsonl' must be the path of a file or a folder"),
        ({"updated_after": "yesterday"}, "updated_after: must be a datetime with a time zone, or such a text"),
        ({"updated_before": "2026-01-01T00:00:00"}, "updated_before: must be a datetime with a time zone"),
        ({"updated_before": datetime(2026, 1, 1)}, "updated_before: must be a datetime with a time zone"),
        ({"format": "csv"}, "format: must be 'jsonl'"),
        ({"compression": "zip"}, "compression: must be"),
        ({"part_size": 0}, "part_size: must be a whole number, 1 or more"),
        ({"channel_type": " "}, "channel_type: must be a text that is not empty"),
        ({"object_storage_path": "/tmp/a\nb.jsonl"}, "object_storage_path: "),
        ({"on_empty": "fail"}, "on_empty: must be 'write' or 'skip'"),
        ({"settle_time": -1}, "settle_time: must be"),
        ({"include_history": "yes"}, "include_history: must be True or False"),
        ({"resource": "contacts", "include_history": True}, "include_history: is not for contacts"),
        ({"resource": "contacts", "channel_type": "web"}, "channel_type: is not for contacts"),
        ({"resource": "phone_agents", "updated_after": NOON}, "updated_after: is not for phone agents"),
    ],
)
def test_wrong_argument_is_named_when_the_dag_is_parsed(how: dict[str, Any], said: str) -> None:
    given = {"resource": "conversations", "object_storage_path": "/tmp/a.jsonl", **how}
    with pytest.raises(OpenCXArgumentError, match=said):
        OpenCXToObjectStorageOperator(task_id="extract", **given)


@pytest.mark.parametrize(
    ("how", "context", "said"),
    [
        ({}, {}, "updated_after: this run has no data interval"),
        (
            {},
            {"data_interval_start": NOON, "data_interval_end": NOON},
            "Schedule the Dag with airflow.timetables.interval.CronDataIntervalTimetable",
        ),
        ({"updated_after": NOON}, {}, "updated_before: this run has no data interval"),
        ({"updated_after": NOON + HOUR, "updated_before": NOON}, {}, "is empty, so nothing could ever be in its file"),
        (
            {"updated_after": NOON, "updated_before": datetime(2999, 1, 1, tzinfo=UTC)},
            {},
            "is in the future, so the interval is not over",
        ),
    ],
)
def test_run_without_interval_is_refused(
    simulator: Simulator, local: Storage, how: dict[str, Any], context: Any, said: str
) -> None:
    task = OpenCXToObjectStorageOperator(
        task_id="extract", resource="conversations", object_storage_path=local / "a.jsonl", **how
    )
    with pytest.raises(OpenCXArgumentError, match=said):
        task.execute(context)
    assert simulator.count("listChatSessions") == 0


@pytest.mark.parametrize(("name", "advice"), [("ds", "This run has no logical date"), ("mistake", "double braces")])
def test_template_of_a_run_without_logical_date_says_what_to_do(dag: Any, name: str, advice: str) -> None:
    task = transfer(f"/tmp/{{{{ {name} }}}}.jsonl", dag=dag)
    with pytest.raises(OpenCXArgumentError, match=f"{name}' is undefined.*{advice}"):
        task.render_template_fields({})


def test_interval_that_is_just_over_is_read_when_it_has_settled(
    simulator: Simulator, local: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    slept: list[float] = []
    monkeypatch.setattr("airflow_provider_opencx.transfers.opencx_to_object_storage.time.sleep", slept.append)
    now = datetime.now(UTC)
    extract(local / "a.jsonl", updated_before=now)
    extract(local / "b.jsonl", updated_before=now, settle_time=timedelta(hours=2))
    extract(local / "c.jsonl", updated_before=now - HOUR)
    assert [round(seconds, -2) for seconds in slept] == [300, 7200]
    with pytest.raises(TaskDeferred) as deferred:
        extract(local / "d.jsonl", updated_before=now, deferrable=True)
    assert 280 < (deferred.value.trigger.moment - now).total_seconds() <= 301  # type: ignore[attr-defined]
    assert len(slept) == 2
    resumed: Any = getattr(transfer(local / "d.jsonl"), deferred.value.method_name)
    assert resumed({}, None, **(deferred.value.kwargs or {}))["updated_before"] == now.isoformat()


@pytest.mark.parametrize("path", ["/{name}", "file://{root}/a.jsonl", "s3://missing@bucket/a.jsonl", "nothing://b/a"])
def test_storage_that_cannot_be_used_is_an_error_that_names_it(
    simulator: Simulator, local: Storage, tmp_path: Path, path: str
) -> None:
    (tmp_path / "file").write_text("")
    given = path.format(name=f"{local.root}/file/a.jsonl"[1:], root=f"{local.root}/file")
    with pytest.raises(OpenCXError, match="object_storage_path"):
        extract(given)


def test_run_extracts_its_data_interval_and_says_so_in_the_asset_event(
    run_dag: Callable[..., Any], asset_events: Callable[[Any], list[Any]], simulator: Simulator, local: Storage
) -> None:
    from airflow.sdk import DAG, Asset
    from airflow.timetables.interval import CronDataIntervalTimetable

    asset = Asset(f"conversations_{local.root}")
    schedule = CronDataIntervalTimetable("0 * * * *", timezone="UTC")
    with DAG("extracting", schedule=schedule, start_date=NOON - 24 * HOUR, catchup=False) as dag:
        OpenCXToObjectStorageOperator(
            task_id="extract",
            resource="conversations",
            object_storage_path=local / "{{ data_interval_start | ts_nodash }}.jsonl",
            settle_time=0,
            outlets=[asset],
        )
    now = datetime.now(UTC)
    start = now.replace(minute=0, second=0, microsecond=0) - HOUR
    [made] = [*add(simulator, start), *add(simulator, start + HOUR)][:1]
    run = run_dag(dag)
    result = run.xcom("extract")
    assert run.state == "success"
    assert result["path"] == local / f"{start:%Y%m%dT%H%M%S}.jsonl"
    assert [row["id"] for row in local.rows(f"{start:%Y%m%dT%H%M%S}.jsonl")] == [made]
    assert run.pushed("extract")["path"] == result["path"]
    assert asset_events(asset) == [result]
