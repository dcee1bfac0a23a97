"""Checks a run of calls: who was called, compared with who may be called and when, and with what the tasks report."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import httpx

from airflow_provider_opencx import exceptions
from airflow_provider_opencx.resources.calls import MAKE_OUTBOUND_CALL
from fault_campaign.calls import read_call
from fault_campaign.dag_checks import DagChecker, Happened, RequestSent
from fault_campaign.dag_runs import DagTry
from fault_campaign.wire import operation_of

_CALL = "call"


@dataclass
class CallChecker(DagChecker):
    """Checks one run of calls."""

    _seen: int = 0

    @property
    def counted(self) -> Mapping[str, int]:
        """What was done, for the table."""
        return {"people called": len(self.reached)}

    @property
    def expected(self) -> tuple[type[Exception], ...]:
        """The errors with which guards end a task where nothing goes wrong."""
        return (
            exceptions.OpenCXCallRefusedError,
            exceptions.OpenCXAgentNotReadyError,
            exceptions.OpenCXAgentNotFoundError,
            exceptions.OpenCXOutsideCallingHoursError,
        )

    def request_of(self, tried: DagTry, request: httpx.Request) -> RequestSent | None:
        """Return a request that leaves a worker, if it is one for a call."""
        if operation_of(request) != MAKE_OUTBOUND_CALL:
            return None
        agent_id, number = read_call(request.content)
        reasons = [
            *self.reasons_against_person(tried, number),
            *self.reasons_against(tried, [agent_id]),
            *self.reasons_against_number(tried, [number]),
        ]
        for reason in reasons:
            self.broken.add("called against a guard", f"{tried.described} asked for a call to {number}, {reason}")
        return self.sent_to(tried, _CALL, [number])

    def happened(self) -> Iterable[Happened]:
        """Return who was called since the last time."""
        dialed = self.simulator.dialed(self.api_key)
        new, self._seen = dialed[self._seen :], len(dialed)
        return [Happened(_CALL, [str(each.phone_number)]) for each in new]
