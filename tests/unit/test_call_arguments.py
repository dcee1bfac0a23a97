"""Tests the arguments of the operator that calls, which are checked again where the task runs."""

from __future__ import annotations

import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowSkipException

from airflow_provider_opencx.exceptions import OpenCXArgumentError, OpenCXCallRefusedError
from airflow_provider_opencx.hooks.opencx import OpenCXHook
from airflow_provider_opencx.operators.call import OpenCXPlaceCallOperator
from airflow_provider_opencx.operators.calling import has_task_state_store
from airflow_provider_opencx.simulator import Simulator

ADA, BOB = "+14155550101", "+14155550102"
TASK: dict[str, Any] = {
    "try_number": 1,
    "map_index": -1,
    "dag_id": "dag",
    "run_id": "run",
    "task_id": "call",
    "xcom_push": lambda key, value: None,
}


class StateStore(dict[str, Any]):
    """Stands in for Airflow's task state store."""

    def set(self, key: str, value: Any, *, retention: Any = None) -> None:
        self[key] = value

    def delete(self, key: str) -> None:
        self.pop(key, None)


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


@pytest.mark.skipif(not has_task_state_store(), reason="Airflow 3.3 has the first task state store")
@pytest.mark.parametrize("is_one_first", [True, False])
def test_task_that_is_given_a_list_in_place_of_a_person_calls_nobody_again(
    opencx_default: Simulator, *, is_one_first: bool
) -> None:
    """The Dag was changed, and the task cleared."""
    opencx_default.add_agent("Caller", type="outbound")
    one: dict[str, Any] = {"phone_number": ADA}
    several: dict[str, Any] = {"contacts": [ADA, BOB]}
    context: Any = {"ti": SimpleNamespace(**TASK), "task_state_store": StateStore()}
    for arguments in (one, several) if is_one_first else (several, one):
        task(**arguments).execute(context)
    assert [dialed.phone_number for dialed in opencx_default.dialed()] == [ADA, BOB]


def test_body_with_the_key_in_a_tuple_is_not_sent(opencx_default: Simulator) -> None:
    opencx_default.add_agent("Caller", type="outbound")
    body: Any = {"agent": "pa_000001", "to": ADA, "notes": (OpenCXHook().get_connection("opencx_default").password,)}
    with pytest.raises(OpenCXArgumentError, match="holds a secret"):
        task(phone_number=ADA, body=body).execute({})
    assert opencx_default.count("makeOutboundCall") == 0


def test_do_not_call_file_that_holds_nobody_is_warned_of(
    opencx_default: Simulator,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    opencx_default.add_agent("Caller", type="outbound")
    file = tmp_path / "do_not_call.csv"
    file.write_text("phone_number\n")
    task(phone_number=ADA, do_not_call=str(file)).execute({})
    assert "holds nobody, so nobody is left out" in caplog.text + "".join(capfd.readouterr())


def test_contact_is_the_same_with_blanks_around_its_id(opencx_default: Simulator) -> None:
    opencx_default.add_agent("Caller", type="outbound")
    with pytest.raises(AirflowSkipException, match="do-not-call"):
        task(contact_id=" c1\n", unchecked=True, do_not_call=[{"contact_id": "c1"}]).execute({})
    assert not opencx_default.dialed()


@pytest.mark.parametrize("contact_id", ["c\u200b1", "\ud800", "c\n1", " "])
def test_contact_id_that_looks_like_another_is_refused(contact_id: str) -> None:
    with pytest.raises(OpenCXArgumentError, match="contact_id"):
        task(contact_id=contact_id)
    with pytest.raises(OpenCXArgumentError, match=r"contact_id|names neither"):
        task(contacts=[{"contact_id": contact_id}]).execute({})


@pytest.mark.parametrize("people", [1, 2])
def test_number_of_people_may_be_text(opencx_default: Simulator, people: int) -> None:
    """A Variable is text."""
    opencx_default.add_agent("Caller", type="outbound")
    call = task(contacts=[ADA, BOB][:people], max_contacts="1")
    if people == 1:
        call.execute({})
    else:
        with pytest.raises(OpenCXCallRefusedError, match="max_contacts=1 people"):
            call.execute({})
    assert len(opencx_default.dialed()) == (1 if people == 1 else 0)
