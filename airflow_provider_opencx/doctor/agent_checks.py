"""Checks the fields of agents and voices, and counts unusual ones. Reports only counts. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from pydantic import JsonValue

from airflow_provider_opencx.doctor.check import Check, Status
from airflow_provider_opencx.doctor.expected import AGENT_FIELDS, GENERATIONS, LABELS, VOICE_FIELDS, fields_until
from airflow_provider_opencx.doctor.findings import Findings
from airflow_provider_opencx.doctor.generation_check import generations_of
from airflow_provider_opencx.doctor.listing import Form
from airflow_provider_opencx.doctor.outcomes import Outcome
from airflow_provider_opencx.doctor.probes import VOICES
from airflow_provider_opencx.doctor.shapes import Shape
from airflow_provider_opencx.exceptions import OpenCXResponseError
from airflow_provider_opencx.normalization import normalize_name
from airflow_provider_opencx.phone_agents.plan import has_number
from airflow_provider_opencx.resources.phone_agents import PhoneAgent

LONG_WITHOUT_NUMBER = timedelta(hours=1)
"""An agent that has no number for longer is worth a question."""

_MOST_FIELDS = 60


def agent_fields_check(findings: Findings) -> Check:
    """Compare the fields of the agents with those that the provider knows: names, types and counts."""
    if not findings.agents:
        summary = "There are no agents, so no fields to look at." if findings.has_agents_list else _NOT_LISTED
        return Check("agent-fields", Status.UNKNOWN, summary)
    shape = findings.agent_shape
    possible = generations_of(findings)
    oldest = next((each for each in GENERATIONS if each in possible), GENERATIONS[0])
    differences = _differences(findings, shape, AGENT_FIELDS, fields_until(oldest))
    details = {"agents": shape.total, **differences}
    if differences:
        return Check("agent-fields", Status.WARNING, f"Agents differ from the documentation. {_REPORT}", details)
    return Check("agent-fields", Status.OK, f"Agents have the documented fields of {oldest}.", details)


def voice_fields_check(findings: Findings) -> Check:
    """Say which fields a voice has: their names and types, and the keys of its labels."""
    if findings.outcome(VOICES) is not Outcome.ALLOWED:
        return Check("voice-fields", Status.UNKNOWN, f"The voices were not read: {findings.outcome(VOICES).value}.")
    form = findings.readings.voices[0].form if findings.readings.voices else Form.NONE
    shape = findings.voice_shape
    details: dict[str, JsonValue] = {"form of the list": form.value, "voices": shape.total}
    if form in (Form.OTHER, Form.NONE):
        details["names in it"] = findings.names.show_all(findings.readings.voices[0].names)
    if not shape.total:
        status = Status.UNKNOWN if form in (Form.ARRAY, Form.PAGES) else Status.WARNING
        return Check("voice-fields", status, f"There are no voices to look at, in {form.value}.", details)
    labels = Shape.of([labels for voice in findings.voices if isinstance(labels := voice.get("labels"), dict)])
    details["fields"] = _types(findings, shape)
    details["keys of labels"] = _types(findings, labels)
    details["duplicate names"] = _repeated([voice.get("name") for voice in findings.voices])
    differences = _differences(findings, shape, VOICE_FIELDS, list(VOICE_FIELDS))
    new_labels = [name for name in labels.fields if name not in LABELS]
    details |= differences
    if form is Form.OTHER:
        return Check(
            "voice-fields", Status.WARNING, f"The provider cannot read this form of a list. {_REPORT}", details
        )
    if differences or new_labels or findings.readings.voices_end:
        return Check("voice-fields", Status.WARNING, f"Voices are not as they were inferred. {_REPORT}", details)
    return Check("voice-fields", Status.OK, "Voices are as they were inferred.", details)


_NOT_LISTED = "The list of agents was not read."
_REPORT = "The provider works with it where it can; please report this."


def _differences(
    findings: Findings, shape: Shape, known: Mapping[str, frozenset[str] | None], wanted: list[str]
) -> dict[str, JsonValue]:
    unknown = {name: types.total() for name, types in shape.fields.items() if name not in known}
    other_types = shape.other_types(known)
    differences: dict[str, JsonValue] = {
        "unknown fields": findings.counted(unknown),
        "missing fields": dict[str, JsonValue](shape.missing(wanted)),
        "fields of another type": {name: dict[str, JsonValue](types) for name, types in other_types.items()},
    }
    return {name: value for name, value in differences.items() if value}


def _types(findings: Findings, shape: Shape) -> dict[str, JsonValue]:
    shown: dict[str, JsonValue] = {}
    for name, types in [*shape.fields.items()][:_MOST_FIELDS]:
        shown[findings.names.show(name)] = dict[str, JsonValue](types)
    if len(shape.fields) > _MOST_FIELDS:
        shown["more names"] = len(shape.fields) - _MOST_FIELDS
    return shown


def agents_check(findings: Findings) -> Check:
    """Count the agents, and what stands out among them."""
    end = findings.readings.agents_end
    if not findings.has_agents_list:
        forms = {page.form for page in findings.readings.agents} - {Form.ARRAY, Form.PAGES}
        if forms:
            return Check(
                "agents",
                Status.PROBLEM,
                f"The list of agents is {forms.pop().value}, which the provider cannot read. {_REPORT}",
                {"names in it": findings.names.show_all(findings.readings.agents[0].names)},
            )
        return Check("agents", Status.UNKNOWN, f"The list of agents was not read: {end.rstrip('.') or 'no list'}.")
    details, status, problems = _counts(findings)
    if end:
        problems.append(f"only the first {findings.agents_listed:,} were read: {end.rstrip('.')}")
        status = Status.WARNING if status is Status.OK else status
    if not findings.agents_listed:
        problems.append("the organization has none: create one in the dashboard to see more")
    summary = "; ".join([f"{findings.agents_listed:,} agents", *problems])
    return Check("agents", status, f"{summary}.", details)


def _counts(findings: Findings) -> tuple[dict[str, JsonValue], Status, list[str]]:
    """Return the counts, the status that they call for, and what is to be done about them."""
    agents = [agent for item in findings.agents if (agent := _agent(item)) is not None]
    waiting = [agent for agent in agents if not has_number(agent)]
    placeholders = sum(1 for agent in waiting if agent.phone_number)
    strange = findings.agents_listed - len(agents)
    names = _repeated([None if agent.name is None else normalize_name(agent.name) for agent in agents])
    ids = _repeated([agent.id for agent in agents])
    partly = sum(1 for agent in agents if agent.unreadable)
    details: dict[str, JsonValue] = {
        "agents": findings.agents_listed,
        "types": findings.counted(Counter(agent.type if agent.type in _TYPES else "other" for agent in agents)),
        "without a number": len(waiting),
        **_ages(waiting, findings.now),
        "invalid numbers": placeholders,
        "duplicate names": names,
        "duplicate ids": ids,
        "not readable": strange,
        "readable in part": partly,
    }
    oldest = _oldest(waiting, findings.now)
    problems = [
        problem
        for is_so, problem in (
            (strange, "some cannot be read, so nothing is created beside them: look into the dashboard"),
            (ids, "there are duplicate ids: please report this"),
            (
                names,
                "there are duplicate names, which find no agent: rename the agents, or declare an id",
            ),
            (placeholders, "some have a phone_number that is not a telephone number, and count as without a number"),
            (partly, "some have fields that cannot be read"),
            (oldest > LONG_WITHOUT_NUMBER, f"the oldest without a number waits for {_age(oldest)}: ask OpenCX"),
        )
        if is_so
    ]
    status = Status.PROBLEM if strange else Status.WARNING if problems else Status.OK
    return details, status, problems


_TYPES = ("inbound", "outbound")


def _agent(item: Mapping[str, JsonValue]) -> PhoneAgent | None:
    try:
        return PhoneAgent.from_response(item)
    except OpenCXResponseError:
        return None


def _repeated(values: list[JsonValue]) -> int:
    """Return how many different texts are there more than once."""
    return sum(number > 1 for number in Counter(value for value in values if isinstance(value, str)).values())


def _ages(waiting: list[PhoneAgent], now: datetime) -> dict[str, JsonValue]:
    if not waiting:
        return {}
    oldest = _oldest(waiting, now)
    unreadable = sum(_created_at(agent, now) is None for agent in waiting)
    return {
        "oldest without a number": _age(oldest) if unreadable < len(waiting) else "not known",
        "of these, created_at cannot be read": unreadable,
    }


def _oldest(waiting: list[PhoneAgent], now: datetime) -> timedelta:
    created = [at for agent in waiting if (at := _created_at(agent, now)) is not None]
    return max((now - at for at in created), default=timedelta(0))


def _created_at(agent: PhoneAgent, now: datetime) -> datetime | None:
    """Return when an agent was created, ``None`` if that is not a time, or lies in the future."""
    if not isinstance(agent.created_at, str) or len(agent.created_at) > 100:
        return None
    try:
        at = datetime.fromisoformat(agent.created_at)
        at = at if at.tzinfo else at.replace(tzinfo=UTC)
        return at if at <= now + timedelta(minutes=1) else None
    except (ValueError, OverflowError):
        return None


def _age(age: timedelta) -> str:
    seconds = max(0, int(age.total_seconds()))
    for unit, name in ((86_400, "days"), (3_600, "hours"), (60, "minutes")):
        if seconds >= 2 * unit:
            return f"{seconds // unit:,} {name}"
    return f"{seconds} s"
