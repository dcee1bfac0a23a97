"""Opens files of people: a path in object storage, or a file next to the Dag."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from airflow_provider_opencx.campaigns.contacts import Source, callees, rows_of
from airflow_provider_opencx.exceptions import OpenCXContactsUnreadableError, OpenCXError
from airflow_provider_opencx.resources.calls import Callee
from airflow_provider_opencx.storage_paths import error_name
from airflow_provider_opencx.visible_text import visible

if TYPE_CHECKING:
    from airflow.sdk import DAG

_ENCODING = "utf-8-sig"  # programs that write tables begin files with a mark
_LONGEST_NAME = 200


def source_of(path: str, dag: DAG | None) -> Source:
    """Return where the rows of a path come from.

    :param path: a URL of Airflow's object storage, such as ``s3://aws_default@bucket/people.csv``, or a local path; a
        relative one begins at the folder of the Dag file.
    :param dag: the Dag of the task; ``None`` if it has none.
    """

    def open_file() -> TextIO:
        if "://" not in path:
            folder = Path(getattr(dag, "folder", None) or ".")
            return (folder / path).open(encoding=_ENCODING, newline="")
        from airflow.providers.common.compat.sdk import ObjectStoragePath

        file: TextIO = ObjectStoragePath(path).open("r", encoding=_ENCODING, newline="")  # type: ignore[no-untyped-call]
        return file

    return Source(visible(path, _LONGEST_NAME), open_file)


@contextmanager
def readable(argument: str) -> Generator[None]:
    """Say of a file that cannot be read that nobody is called.

    :param argument: the argument that names it.
    :raises OpenCXContactsUnreadableError: instead of any error of the storage.
    """
    try:
        yield
    except OpenCXError:
        raise
    except Exception as error:
        # Each storage has its own errors, and their texts may hold its keys: no traceback shows them.
        raise OpenCXContactsUnreadableError(
            f"{argument}: cannot be read ({error_name(error)}), so nobody is called. Another try may succeed, where"
            " the storage is away; otherwise check the path, and who may read it."
        ) from None


def people_in(
    contacts: object, dag: DAG | None, argument: str, *, default_region: str | None, most: int | None = None
) -> list[Callee]:
    """Return the people of a list, or of a file, each once.

    :param contacts: a list of numbers and mappings, or the path of a file.
    :param dag: the Dag of the task; ``None`` if it has none.
    :param argument: the argument, for messages.
    :param default_region: the country whose national numbers are read, such as ``"US"``; ``None`` reads none.
    :param most: how many people there may be; one more ends the reading. ``None`` means no limit.
    :raises OpenCXContactsUnreadableError: if the file cannot be read.
    :raises OpenCXArgumentError: if somebody cannot be read.
    """
    with readable(argument):
        rows = rows_of(contacts, lambda path: source_of(path, dag), argument)
        return callees(rows, default_region=default_region, most=most)
