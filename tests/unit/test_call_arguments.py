"""The arguments of the operator that calls, which are checked again where the task runs."""

from __future__ import annotations

import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from airflow_provider_opencx.exceptions import OpenCXArgumentError
from airflow_provider_opencx.hooks.opencx import OpenCXHook
from airflow_provider_opencx.operators.call import OpenCXPlaceCallOperator
from airflow_provider_opencx.simulator import Simulator

ADA = "+14155550101"
TASK: dict[str, Any] = {
    "try_number": 1,
    "map_index": -1,
    "dag_id": "dag",
    "run_id": "run",
    "task_id": "call",
    "xcom_push": lambda key, value: None,
}


def task(**arguments: Any) -> OpenCXPlaceCallOperator:
    return OpenCXPlaceCallOperator(task_id="call", agent_name="Caller", calling_hours=None, **arguments)


NOWHERE: list[Any] = ["", " ", "None", "calls", "./calls", "~/calls", "file://calls", "s3://", 5]


@pytest.mark.parametrize("path", NOWHERE)
@pytest.mark.parametrize("once_per", ["run", "ever"])
def test_ledger_path_that_is_none_for_all_processes_is_refused(path: Any, once_per: Any) -> None:
    with pytest.raises(OpenCXArgumentError, match=r"ledger_path: .* must be the path of a folder"):
        task(phone_number=ADA, ledger_path=path, once_per=once_per)


@pytest.mark.parametrize("path", [None, Path("/calls")])
@pytest.mark.parametrize("once_per", ["run", "ever"])
def test_ledger_path_that_has_become_none_is_not_the_default(
    opencx_default: Simulator, path: Any, once_per: Any
) -> None:
    """The task that should have returned it was skipped: then another record would be asked than in an earlier try."""
    opencx_default.add_agent("Caller", type="outbound")
    call = task(phone_number=ADA, ledger_path="{{ ti.xcom_pull('place') }}", once_per=once_per)
    call.ledger_path = path
    with pytest.raises(OpenCXArgumentError, match=r"ledger_path: (NoneType|PosixPath) must be"):
        call.execute({})
    assert not opencx_default.dialed()


@pytest.mark.parametrize("body", [None, {"agent": "pa_000001", "to": ADA, "rate": math.nan}])
def test_body_that_cannot_be_sent_leaves_no_record_of_a_call(
    opencx_default: Simulator, tmp_path: Path, body: Any
) -> None:
    opencx_default.add_agent("Caller", type="outbound")
    call = task(phone_number=ADA, body={"to": "{{ ti.xcom_pull('body') }}"}, ledger_path=str(tmp_path))
    call.body = body
    context: Any = {"ti": SimpleNamespace(**TASK)}
    with pytest.raises(OpenCXArgumentError, match="body: "):
        call.execute(context)
    assert not opencx_default.dialed()
    assert not [*tmp_path.rglob("*.intent.json")]


def test_body_with_the_key_in_a_tuple_is_not_sent(opencx_default: Simulator) -> None:
    opencx_default.add_agent("Caller", type="outbound")
    body: Any = {"agent": "pa_000001", "to": ADA, "notes": (OpenCXHook().get_connection("opencx_default").password,)}
    with pytest.raises(OpenCXArgumentError, match="holds a secret"):
        task(phone_number=ADA, body=body).execute({})
    assert opencx_default.count("makeOutboundCall") == 0
