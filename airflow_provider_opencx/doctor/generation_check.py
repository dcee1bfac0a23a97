"""Concludes which generation of the API sent the responses. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from pydantic import JsonValue

from airflow_provider_opencx.doctor.check import Check, Status
from airflow_provider_opencx.doctor.expected import GENERATIONS, NEW_FIELDS, Generation
from airflow_provider_opencx.doctor.findings import Findings
from airflow_provider_opencx.doctor.listing import Form
from airflow_provider_opencx.doctor.shapes import type_name


@dataclass(frozen=True)
class Evidence:
    """One observation, and the generations whose documentation it agrees with.

    :param seen: the observation in words.
    :param generations: the generations.
    """

    seen: str
    generations: frozenset[Generation]


def generations_of(findings: Findings) -> frozenset[Generation]:
    """Return the generations that all observations agree with; none if they contradict each other."""
    possible = frozenset(GENERATIONS)
    for evidence in evidence_of(findings):
        possible &= evidence.generations
    return possible


def evidence_of(findings: Findings) -> list[Evidence]:
    """Return what the responses show of their generation."""
    if not findings.has_agents_list:
        return []
    return [*_of_form(findings), *_of_language(findings), *_of_fields(findings)]


def generation_check(findings: Findings) -> Check:
    """Say which generation of the API the responses are of, and why."""
    evidence = evidence_of(findings)
    possible = sorted(generations_of(findings))
    details: dict[str, JsonValue] = {
        "reasons": [f"{each.seen}: {' or '.join(sorted(each.generations)) or 'of no generation'}" for each in evidence],
        "not settled": "the response to a create, and which language an update takes: nothing is written",
    }
    if not evidence:
        return Check("generation", Status.UNKNOWN, "Unknown: the list of agents was not read.", details)
    if not possible:
        return Check(
            "generation",
            Status.WARNING,
            "Mixed: the responses contradict each other. The provider reads all forms; please report this.",
            details,
        )
    if len(possible) > 1:
        why = "there are no agents to see more of" if not findings.agents else "nothing distinguishes them"
        return Check("generation", Status.UNKNOWN, f"{' or '.join(possible)}: {why}.", details)
    return Check("generation", Status.OK, f"The responses are those of {possible[0]}.", details)


def _of_form(findings: Findings) -> Iterator[Evidence]:
    forms = {page.form for page in findings.readings.agents}
    if Form.ARRAY in forms:
        yield Evidence("the list of agents is an array", frozenset({"2025", "2026"}))
    if Form.PAGES in forms:
        yield Evidence("the list of agents is pages of items and next", frozenset({"2024", "2025"}))


def _of_language(findings: Findings) -> Iterator[Evidence]:
    types = {type_name(agent["language"]) for agent in findings.agents if "language" in agent}
    if types & {"text", "null"}:
        yield Evidence("language is a text or null", frozenset({"2024", "2025"}))
    if types & {"list of texts", "empty list", "list"}:
        yield Evidence("language is a list", frozenset({"2026"}))


def _of_fields(findings: Findings) -> Iterator[Evidence]:
    """Compare what agents have with what came with each generation; agents may differ among themselves."""
    for generation in GENERATIONS[1:]:
        since = frozenset(GENERATIONS[GENERATIONS.index(generation) :])
        having = sum(not NEW_FIELDS[generation].keys().isdisjoint(agent) for agent in findings.agents)
        if having and having < len(findings.agents):
            seen = f"{having} of {len(findings.agents)} agents have fields that came in {generation}"
            yield Evidence(seen, frozenset())
        elif having:
            yield Evidence(f"agents have fields that came in {generation}", since)
        elif findings.agents:
            yield Evidence(f"agents have no fields that came in {generation}", frozenset(GENERATIONS) - since)
