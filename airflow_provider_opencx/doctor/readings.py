"""The results of the requests: each response, or why there is no response. Pure data for the checks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from airflow_provider_opencx.client.operation import Response
from airflow_provider_opencx.doctor.listing import ListPage
from airflow_provider_opencx.doctor.probes import Probe


class FailureKind(StrEnum):
    """Why there is no response that can be used."""

    UNREACHABLE = "no connection"
    UNTRUSTED = "certificate not trusted"
    TIMEOUT = "no response in time"
    BROKEN = "broken response"
    UNREADABLE = "response not read"
    NOT_SENT = "not sent"


@dataclass(frozen=True)
class Failure:
    """Why there is no response that can be used.

    :param kind: what kind of failure it is.
    :param reason: the failure in a sentence, without anything that the server wrote.
    """

    kind: FailureKind
    reason: str


@dataclass(frozen=True)
class Reading:
    """One request, and what came of it.

    :param probe: what was sent.
    :param response: the response, ``None`` if there is none.
    :param failure: why there is none.
    :param seconds: from sending to the end of the response, without the wait for the rate limit; ``None`` if nothing
        was sent.
    :param received_at: seconds since the epoch when the response had arrived, by this machine's clock.
    """

    probe: Probe
    response: Response | None = None
    failure: Failure | None = None
    seconds: float | None = None
    received_at: float = 0.0


@dataclass(frozen=True)
class Readings:
    """All that was read.

    :param first: the reading of each probe, in the order of the probes.
    :param agents: the pages of the list of agents, as far as they could be read.
    :param agents_end: why the list of agents was not read to its end; empty if it was.
    :param voices: the list of voices, as far as it could be read.
    :param voices_end: why not more of it was read; empty if all was.
    """

    first: Sequence[Reading]
    agents: Sequence[ListPage] = field(default=())
    agents_end: str = ""
    voices: Sequence[ListPage] = field(default=())
    voices_end: str = ""

    def of(self, probe: Probe) -> Reading:
        """Return the reading of a probe."""
        return next(
            (reading for reading in self.first if reading.probe == probe), Reading(probe, failure=NOT_TRIED_AT_ALL)
        )


NOT_TRIED_AT_ALL = Failure(FailureKind.NOT_SENT, "it was not tried")
