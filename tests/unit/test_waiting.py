"""Tests what a poll means for one task that waits for phone numbers."""

from __future__ import annotations

from contextlib import nullcontext

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
from airflow_provider_opencx.phone_agents.waiting import Wait, success
from airflow_provider_opencx.phone_numbers import normalize_phone_number
from airflow_provider_opencx.resources.phone_agents import PhoneAgent
from airflow_provider_opencx.waiting import next_poll_in


def listed(*agents: PhoneAgent) -> PhoneAgents:
    return PhoneAgents(agents)


def agent(**fields: object) -> PhoneAgent:
    return PhoneAgent.from_response({"id": "1", "name": "a", **fields})


@pytest.mark.parametrize(
    "number",
    ["+15550000001", "+1 (555) 000-0001", "5550001", "+390612345678901", "\u00a0+1 555 000 0001\n"],
)
def test_wait_ends_with_telephone_number(number: str) -> None:
    wait = Wait(agent_id="1")
    ready = agent(phone_number=number)
    assert wait.evaluate(listed(agent(id="2"), ready), 0) == [ready]
    assert wait.warnings == []
    assert success(ready.as_dict()).startswith(f"Number {normalize_phone_number(number)}: phone agent 'a' (1)")


@pytest.mark.parametrize("number", [None, "", " \u00a0\n"])
def test_wait_goes_on_silently_without_number(number: str | None) -> None:
    wait = Wait(agent_id="1")
    assert wait.evaluate(listed(agent(id="2", phone_number="+15550000001"), agent(phone_number=number)), 0) is None
    assert wait.warnings == []


@pytest.mark.parametrize(
    ("number", "shown"),
    [
        ("pending", "'pending'"),
        ("N/A", "'N/A'"),
        ("none", "'none'"),
        ("0", "'0'"),
        ("+000000000", "'+000000000'"),
        ("555-001", "'555-001'"),
        ("+1234567890123456", "'+1234567890123456'"),
        ("+1555000000\u0661", "'+1555000000\u0661'"),
        ("++15550000001", "'++15550000001'"),
        ("+1555\x1b[2J\n", r"'+1555\u001b[2J\n'"),
        ("x" * 1000, f"'{'x' * 100}'... (900 more characters)"),
    ],
)
def test_wait_warns_once_of_value_that_is_no_number(number: str, shown: str) -> None:
    wait = Wait(agent_name=["a", "b"])
    odd = listed(agent(phone_number=number), agent(id="2", name="b", phone_number=number))
    assert wait.evaluate(odd, 0) is None
    assert wait.warnings == [
        f"The phone agent 'a' (1) has the phone_number {shown}, which is not a telephone number. The wait goes on."
    ]
    assert wait.evaluate(odd, 1) is None
    assert wait.warnings == []
    assert wait.evaluate(listed(agent(phone_number="another"), agent(id="2", name="b")), 2) is None
    assert len(wait.warnings) == 1


@pytest.mark.parametrize(
    ("polled_at", "is_error"),
    [
        ((0, 100, 299), False),
        ((0, 300), False),  # two polls
        ((0, 100, 300), True),
        ((0, 3600, 7200), True),
        ((*range(0, 300, 5),), False),
    ],
)
def test_wait_fails_when_id_is_missing_for_minutes(polled_at: tuple[float, ...], is_error: bool) -> None:
    wait = Wait(agent_id="1")
    assert [wait.evaluate(listed(), at) for at in (-900, -600)] == [None] * 2
    assert wait.evaluate(listed(agent()), -300) is None
    *before, last = polled_at
    assert [wait.evaluate(listed(), at) for at in before] == [None] * len(before)
    assert wait.is_counting_errors
    missing_for = f"phone agent 1 in this organization: missing for {last} s, in {len(polled_at)} polls in a row"
    with pytest.raises(OpenCXAgentNotFoundError, match=missing_for) if is_error else nullcontext():
        assert wait.evaluate(listed(), last) is None


def test_wait_needs_all_numbers_in_one_poll() -> None:
    wait = Wait(agent_id=["2", "1", "2"])
    one, two, other = (
        agent(phone_number="+15550000001"),
        agent(id="2", name="b", phone_number="+15550000002"),
        agent(id="3"),
    )
    assert wait.evaluate(listed(one, agent(id="2"), other), 0) is None
    assert wait.progress == "2 of 3 phone agents are still without a number: 'a' (2), 'a' (2)."
    assert wait.evaluate(listed(agent(), two), 0) is None
    assert wait.progress == "1 of 3 phone agents is still without a number: 'a' (1)."
    assert wait.evaluate(listed(one, other, two), 0) == [two, one, two]
    assert wait.result([two, one, two]) == [two.as_dict(), one.as_dict(), two.as_dict()]


def test_wait_returns_list_for_sequence() -> None:
    ready = agent(phone_number="+15550000005")
    for given, result in (("a", ready.as_dict()), (["a"], [ready.as_dict()]), (("a",), [ready.as_dict()]), ([], [])):
        wait = Wait(agent_name=given)
        agents = wait.evaluate(listed(ready), 0)
        assert agents is not None
        assert wait.result(agents) == result
        assert wait.is_for_none == (given == [])


def test_wait_times_missing_agents_separately() -> None:
    wait = Wait(agent_id=["1", "2", "2", "3"])
    one, two, three = agent(), agent(id="2"), agent(id="3")
    polls = (listed(one, two), listed(one), listed(two, three), listed(one, two, three), OpenCXServerError("500"))
    for number, poll in enumerate(polls):
        assert wait.evaluate(poll, 200 * number) is None
    assert wait.is_counting_errors
    assert [wait.evaluate(listed(one), at) for at in (1000, 1200)] == [None] * 2
    with pytest.raises(OpenCXAgentNotFoundError, match="There is no phone agent 2 or 3 in this organization") as gone:
        wait.evaluate(listed(one), 1300)
    assert gone.value.agent_ids == ["2", "3"]


def test_wait_tolerates_five_failed_polls_for_many_agents() -> None:
    wait = Wait(agent_id=["1", "2"])
    assert [wait.evaluate(OpenCXServerError("500"), 0) for _ in range(5)] == [None] * 5
    with pytest.raises(OpenCXServerError, match="the numbers of 2 phone agents after 6 failed polls in a row"):
        wait.evaluate(OpenCXServerError("500"), 0)


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
    assert [wait.evaluate(listed(), 0) for _ in range(20)] == [None] * 20
    assert wait.evaluate(listed(agent(phone_number="+15550000005")), 0) is not None


def test_wait_names_who_has_no_number_and_who_is_missing() -> None:
    one = Wait(agent_name="a" * 200)
    assert one.progress == f"No number yet for phone agent named '{'a' * 100}'... (100 more characters)."
    assert one.evaluate(listed(agent()), 0) is None
    assert one.made_progress
    assert (
        one.progress
        == f"No number yet for phone agent named '{'a' * 100}'... (100 more characters), which is not in the list."
    )
    many = Wait(agent_name=[f"agent {number}" for number in range(20)])
    agents = [agent(id=str(number), name=f"agent {number}", phone_number="+15550000001") for number in range(20)]
    without = [agent(id="3", name="agent 3"), agent(id="5", name="agent 5", phone_number="pending")]
    assert many.evaluate(listed(*agents[:3], without[0], agents[4], without[1], *agents[7:]), 0) is None
    assert many.progress == (
        "3 of 20 phone agents are still without a number: 'agent 3', 'agent 5', 'agent 6'; not in the list: 'agent 6'."
    )
    assert many.evaluate(listed(), 0) is None
    assert "'agent 8', 'agent 9' and 10 more; not in the list: 'agent 0'," in many.progress


@pytest.mark.parametrize(
    ("wanted", "names", "warning"),
    [
        (
            "Apointment reminder",
            ["Appointment reminder"],
            "named 'Apointment reminder' yet (there is 'Appointment reminder')",
        ),
        (
            "appointment reminder",
            ["Appointment reminder"],
            "yet (there is phone agent 'Appointment reminder' (0), whose name differs only in letter case)",
        ),
        (
            "Appointment reminder",
            ["Survey", None],
            "No phone agent is named 'Appointment reminder' yet. The wait goes on.",
        ),
        (["Survey 1", "Survey 2", "Poll"], ["Survey 1"], "No phone agent is named 'Survey 2' or 'Poll' yet. The wait"),
        ("a" * 118, ["a" * 110], f"named '{'a' * 100}'... (18 more characters) yet. The wait"),
        ("Survey 1", [f"Survey {number}" for number in range(2, 203)], "No phone agent is named 'Survey 1' yet. The"),
    ],
)
def test_wait_warns_once_of_name_that_no_agent_has(
    wanted: str | list[str], names: list[str | None], warning: str
) -> None:
    wait = Wait(agent_name=wanted)
    agents = listed(*(agent(id=str(number), name=name) for number, name in enumerate(names)))
    assert wait.evaluate(agents, 0) is None
    assert len(wait.warnings) == 1
    assert warning in wait.warnings[0]
    assert wait.evaluate(agents, 1) is None
    assert wait.warnings == []


def test_wait_refuses_ambiguous_name() -> None:
    with pytest.raises(OpenCXAmbiguousNameError, match="1, 2"):
        Wait(agent_name="a").evaluate(listed(agent(phone_number="+15550000005"), agent(id="2")), 0)


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
    assert [wait.evaluate(error, 0) for _ in range(5)] == [None] * 5
    assert wait.evaluate(listed(agent()), 0) is None
    assert [wait.evaluate(error, 0) for _ in range(5)] == [None] * 5
    with pytest.raises(type(error), match="the number of phone agent 1 after 6 failed polls in a row") as given_up:
        wait.evaluate(error, 0)
    assert vars(given_up.value) == vars(error)


@pytest.mark.parametrize(
    "error",
    [OpenCXAuthenticationPermanentError("401"), OpenCXPermissionPermanentError("403"), OpenCXConfigError("wrong")],
)
def test_wait_fails_at_once_on_permanent_error(error: OpenCXError) -> None:
    with pytest.raises(type(error), match=f"Stopped waiting for the number of phone agent 1: {error}"):
        Wait(agent_id="1").evaluate(error, 0)


def test_wait_does_not_count_429_as_failure() -> None:
    wait = Wait(agent_id="1")
    assert [wait.evaluate(OpenCXRateLimitError("429"), 0) for _ in range(50)] == [None] * 50


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
