"""What a poll means for one waiting task."""

from __future__ import annotations

import pytest

from airflow_provider_opencx.exceptions import (
    OpenCXAgentNotFoundError,
    OpenCXAmbiguousNameError,
    OpenCXArgumentError,
    OpenCXAuthenticationError,
    OpenCXAuthenticationPermanentError,
    OpenCXConfigError,
    OpenCXConnectionNotFoundError,
    OpenCXError,
    OpenCXPermissionPermanentError,
    OpenCXRateLimitError,
    OpenCXServerError,
    OpenCXUnreachableError,
)
from airflow_provider_opencx.phone_agents.plan import PhoneAgents
from airflow_provider_opencx.phone_agents.waiting import Wait, next_poll_in
from airflow_provider_opencx.resources.phone_agents import PhoneAgent


def listed(*agents: PhoneAgent) -> PhoneAgents:
    return PhoneAgents(agents)


def agent(**fields: object) -> PhoneAgent:
    return PhoneAgent.from_response({"id": "1", "name": "a", **fields})


@pytest.mark.parametrize("number", [None, "", " "])
def test_wait_ends_with_non_empty_number(number: str | None) -> None:
    wait = Wait(agent_id="1")
    assert wait.evaluate(listed(agent(id="2", phone_number="+1555"), agent(phone_number=number))) is None
    ready = agent(phone_number="+15550000001")
    assert wait.evaluate(listed(ready)) == [ready]


def test_wait_fails_when_id_is_missing_three_times() -> None:
    wait = Wait(agent_id="1")
    polls = [listed(), listed(), listed(agent()), listed(), listed()]
    assert [wait.evaluate(poll) for poll in polls] == [None] * 5
    with pytest.raises(OpenCXAgentNotFoundError, match="missing 3 times in a row"):
        wait.evaluate(listed())


def test_wait_needs_all_numbers_in_one_poll() -> None:
    wait = Wait(agent_id=["2", "1", "2"])
    one, two, other = agent(phone_number="+1551"), agent(id="2", name="b", phone_number="+1552"), agent(id="3")
    assert wait.evaluate(listed(one, agent(id="2"), other)) is None
    assert wait.progress == "2 of 3 phone agents are still without a number."
    assert wait.evaluate(listed(agent(), two)) is None
    assert wait.progress == "1 of 3 phone agents is still without a number."
    assert wait.evaluate(listed(one, other, two)) == [two, one, two]
    assert wait.result([two, one, two]) == [two.as_dict(), one.as_dict(), two.as_dict()]


def test_wait_returns_list_for_sequence() -> None:
    ready = agent(phone_number="+1555")
    for given, result in (("a", ready.as_dict()), (["a"], [ready.as_dict()]), (("a",), [ready.as_dict()]), ([], [])):
        wait = Wait(agent_name=given)
        agents = wait.evaluate(listed(ready))
        assert agents is not None
        assert wait.result(agents) == result
        assert wait.is_for_none == (given == [])


def test_wait_counts_missing_agents_separately() -> None:
    wait = Wait(agent_id=["1", "2", "2", "3"])
    one, two, three = agent(), agent(id="2"), agent(id="3")
    for poll in (listed(one, two), listed(one), listed(two, three), listed(one, two, three), OpenCXServerError("500")):
        assert wait.evaluate(poll) is None
    assert wait.is_counting_errors
    assert [wait.evaluate(listed(one)) for _ in range(2)] == [None] * 2
    with pytest.raises(OpenCXAgentNotFoundError, match="There is no phone agent 2 or 3 in this organization") as gone:
        wait.evaluate(listed(one))
    assert gone.value.agent_ids == ["2", "3"]
    wait = Wait(agent_id=["1", "2"])
    assert [wait.evaluate(OpenCXServerError("500")) for _ in range(5)] == [None] * 5
    with pytest.raises(OpenCXServerError, match="the numbers of 2 phone agents after 6 failed polls in a row"):
        wait.evaluate(OpenCXServerError("500"))


@pytest.mark.parametrize(
    ("selector", "says"),
    [
        ({}, "either agent_id or agent_name"),
        ({"agent_id": ["1"], "agent_name": "a"}, "either agent_id or agent_name"),
        ({"agent_id": ["1"], "agent_name": ["a"]}, "either agent_id or agent_name"),
        ({"agent_id": ["1", ""]}, r"agent_id: must be a string that is not empty \(element 1 of the sequence\)"),
        ({"agent_name": ["a", None]}, r"agent_name: must be a string that is not empty \(element 1 of the sequence\)"),
        ({"agent_id": [["1"]]}, "element 0"),
        ({"agent_name": ["\0"]}, "NUL"),
        ({"agent_id": {"1"}}, "must be a string"),
        ({"agent_id": b"1"}, "must be a string"),
    ],
)
def test_wait_refuses_wrong_selector(selector: dict[str, object], says: str) -> None:
    with pytest.raises(OpenCXArgumentError, match=says):
        Wait(**selector)


def test_wait_tolerates_name_that_does_not_exist_yet() -> None:
    wait = Wait(agent_name="a")
    assert [wait.evaluate(listed()) for _ in range(20)] == [None] * 20
    assert wait.evaluate(listed(agent(phone_number="+1555"))) is not None


def test_wait_refuses_ambiguous_name() -> None:
    with pytest.raises(OpenCXAmbiguousNameError, match="1, 2"):
        Wait(agent_name="a").evaluate(listed(agent(phone_number="+1555"), agent(id="2")))


@pytest.mark.parametrize(
    "error",
    [
        OpenCXServerError("500"),
        OpenCXUnreachableError("timeout"),
        OpenCXError("other"),
        OpenCXAuthenticationError("401"),
        OpenCXConnectionNotFoundError("missing"),
    ],
)
def test_wait_tolerates_five_failed_polls(error: OpenCXError) -> None:
    wait = Wait(agent_id="1")
    assert [wait.evaluate(error) for _ in range(5)] == [None] * 5
    assert wait.evaluate(listed(agent())) is None
    assert [wait.evaluate(error) for _ in range(5)] == [None] * 5
    with pytest.raises(type(error), match="the number of phone agent 1 after 6 failed polls in a row") as given_up:
        wait.evaluate(error)
    assert vars(given_up.value) == vars(error)


@pytest.mark.parametrize(
    "error",
    [OpenCXAuthenticationPermanentError("401"), OpenCXPermissionPermanentError("403"), OpenCXConfigError("wrong")],
)
def test_wait_fails_at_once_on_permanent_error(error: OpenCXError) -> None:
    with pytest.raises(type(error), match=f"Stopped waiting for the number of phone agent 1: {error}"):
        Wait(agent_id="1").evaluate(error)


def test_wait_does_not_count_429_as_failure() -> None:
    wait = Wait(agent_id="1")
    assert [wait.evaluate(OpenCXRateLimitError("429")) for _ in range(50)] == [None] * 50


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
def test_wait_interval_grows_after_429(poll: object, seconds: float) -> None:
    assert next_poll_in(60, poll) == seconds
