"""Decides what a poll means for one task that waits for a number: pure, so every mode of the sensor shares it."""

from __future__ import annotations

from dataclasses import dataclass

from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_provider_opencx.api.models import PhoneAgent
from airflow_provider_opencx.exceptions import OpenCXAgentNotFoundError, OpenCXError, OpenCXRateLimitError
from airflow_provider_opencx.reconcile import PhoneAgents, describe_selector, pick_agent

TOLERATED_FAILED_POLLS = 5
"""So many failed polls in a row are borne; the next one is an error."""

TOLERATED_MISSING_LOOKS = 2
"""So often in a row an agent may be missing by its id; the next time is an error."""

LONGEST_STRETCH = 3600.0
"""Seconds to which a 429 stretches the wait at the most."""


@dataclass
class Wait:
    """One agent that is waited for, and how the polls went so far.

    :param agent_id: the agent, by its id: one that stays missing is an error.
    :param agent_name: the agent, by its name: one that does not exist yet is waited for.
    """

    agent_id: str | None = None
    agent_name: str | None = None
    failed_polls: int = 0
    missing_looks: int = 0

    def __str__(self) -> str:
        return describe_selector(self.agent_id, self.agent_name)

    @property
    def in_trouble(self) -> bool:
        """Whether the last poll failed or did not find the agent, so that the next may decide."""
        return self.failed_polls > 0 or self.missing_looks > 0

    def judge(self, poll: PhoneAgents | OpenCXError) -> PhoneAgent | None:
        """Return the agent if it has its number, ``None`` if it is to be waited for.

        :param poll: all agents, or the error for which they could not be read.
        :raises OpenCXError: if waiting on makes no sense.
        """
        if isinstance(poll, OpenCXError):
            self._bear(poll)
            return None
        self.failed_polls = 0
        agent = pick_agent(poll, agent_id=self.agent_id, agent_name=self.agent_name)
        if agent is None:
            self._miss()
            return None
        self.missing_looks = 0
        return agent if agent.phone_number and agent.phone_number.strip() else None

    def _bear(self, error: OpenCXError) -> None:
        if isinstance(error, AirflowFailException):
            raise error.saying(f"Waiting for the number of {self} makes no sense: {error}")
        if isinstance(error, OpenCXRateLimitError):
            return
        self.failed_polls += 1
        if self.failed_polls > TOLERATED_FAILED_POLLS:
            raise error.saying(
                f"Gave up on the number of {self} after {self.failed_polls} failed polls in a row. {error}"
            )

    def _miss(self) -> None:
        if self.agent_id is None:
            return
        self.missing_looks += 1
        if self.missing_looks > TOLERATED_MISSING_LOOKS:
            raise OpenCXAgentNotFoundError(
                f"There is no {self} in this organization: it was missing {self.missing_looks} times in a row. Has it"
                " been deleted, or does the connection's API key belong to another organization?",
                agent_ids=[self.agent_id],
            )


def next_poll_in(interval: float, poll: object) -> float:
    """Return the seconds until the next poll: the interval, stretched after a 429."""
    if not isinstance(poll, OpenCXRateLimitError):
        return interval
    asked = 2 * interval if poll.retry_after is None else poll.retry_after
    return max(interval, min(asked, LONGEST_STRETCH))
