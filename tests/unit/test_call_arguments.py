"""The arguments of the operator that calls, where they are not what was written: each is checked where the task runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from airflow_provider_opencx.exceptions import OpenCXArgumentError
from airflow_provider_opencx.operators.call import OpenCXPlaceCallOperator
from airflow_provider_opencx.simulator import Simulator

ADA = "+14155550101"


def task(**arguments: Any) -> OpenCXPlaceCallOperator:
    return OpenCXPlaceCallOperator(task_id="call", agent_name="Caller", calling_hours=None, **arguments)


NOWHERE: list[Any] = ["", " ", "None", "calls", "./calls", "~/calls", "file://calls", "s3://", 5]


@pytest.mark.parametrize("path", NOWHERE)
@pytest.mark.parametrize("once_per", ["run", "ever"])
def test_ledger_path_that_is_none_for_all_processes_is_refused(path: Any, once_per: Any) -> None:
    with pytest.raises(OpenCXArgumentError, match="ledger_path: .* must be the path of a folder"):
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
