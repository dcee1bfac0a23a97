"""What a poll means for one waiting task."""

from __future__ import annotations

import pytest

from airflow_provider_opencx.api.models import PhoneAgent
from airflow_provider_opencx.exceptions import (
    OpenCXAgentNotFoundError,
    OpenCXAmbiguousNameError,
    OpenCXAuthenticationError,
    OpenCXConnectionSettingsError,
    OpenCXError,
    OpenCXPermissionError,
    OpenCXRateLimitError,
    OpenCXServerError,
    OpenCXUnreachableError,
)
from airflow_provider_opencx.reconcile import PhoneAgents
from airflow_provider_opencx.waiting import Wait, next_poll_in


def listed(*agents: PhoneAgent) -> PhoneAgents:
    return PhoneAgents(agents)


def agent(**members: object) -> PhoneAgent:
    return PhoneAgent.from_answer({"id": "1", "name": "a", **members})


@pytest.mark.parametrize("number", [None, "", " "])
def test_ready_is_a_number_that_is_not_empty(number: str | None) -> None:
    wait = Wait(agent_id="1")
    assert wait.judge(listed(agent(id="2", phone_number="+1555"), agent(phone_number=number))) is None
    assert wait.judge(listed(agent(phone_number="+15550000001"))) == agent(phone_number="+15550000001")


def test_by_id_an_agent_missing_three_times_in_a_row_is_an_error() -> None:
    wait = Wait(agent_id="1")
    polls = [listed(), listed(), listed(agent()), listed(), listed()]
    assert [wait.judge(poll) for poll in polls] == [None] * 5
    with pytest.raises(OpenCXAgentNotFoundError, match="missing 3 times in a row"):
        wait.judge(listed())


def test_by_name_an_agent_that_does_not_exist_yet_is_waited_for() -> None:
    wait = Wait(agent_name="a")
    assert [wait.judge(listed()) for _ in range(20)] == [None] * 20
    assert wait.judge(listed(agent(phone_number="+1555"))) is not None


def test_by_name_several_agents_are_an_error_that_names_them() -> None:
    with pytest.raises(OpenCXAmbiguousNameError, match="1, 2"):
        Wait(agent_name="a").judge(listed(agent(phone_number="+1555"), agent(id="2")))


@pytest.mark.parametrize("error", [OpenCXServerError("500"), OpenCXUnreachableError("timeout"), OpenCXError("other")])
def test_five_failed_polls_in_a_row_are_borne(error: OpenCXError) -> None:
    wait = Wait(agent_id="1")
    assert [wait.judge(error) for _ in range(5)] == [None] * 5
    assert wait.judge(listed(agent())) is None
    assert [wait.judge(error) for _ in range(5)] == [None] * 5
    with pytest.raises(type(error), match="the number of phone agent 1 after 6 failed polls in a row") as given_up:
        wait.judge(error)
    assert vars(given_up.value) == vars(error)


@pytest.mark.parametrize(
    "error", [OpenCXAuthenticationError("401"), OpenCXPermissionError("403"), OpenCXConnectionSettingsError("missing")]
)
def test_what_another_poll_cannot_mend_fails_at_once(error: OpenCXError) -> None:
    with pytest.raises(type(error), match=f"the number of phone agent 1 makes no sense: {error}"):
        Wait(agent_id="1").judge(error)


def test_being_told_to_slow_down_is_not_a_failure() -> None:
    wait = Wait(agent_id="1")
    assert [wait.judge(OpenCXRateLimitError("429")) for _ in range(50)] == [None] * 50


@pytest.mark.parametrize(
    ("poll", "seconds"),
    [
        (listed(), 60),
        (OpenCXServerError("503", retry_after=300), 60),
        (OpenCXRateLimitError("429"), 120),
        (OpenCXRateLimitError("429", retry_after=5), 60),
        (OpenCXRateLimitError("429", retry_after=200), 200),
        (OpenCXRateLimitError("429", retry_after=86_400), 3600),
    ],
)
def test_a_429_stretches_the_wait(poll: object, seconds: float) -> None:
    assert next_poll_in(60, poll) == seconds
