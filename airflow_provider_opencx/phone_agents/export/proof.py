"""Proves an export: a plan of its files, made from the agents that were read, changes nothing."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from airflow_provider_opencx.exceptions import OpenCXArgumentError, OpenCXPermanentError
from airflow_provider_opencx.exported_files.directory import Files
from airflow_provider_opencx.phone_agents import fleet_files
from airflow_provider_opencx.phone_agents.declarations import parse_fleet
from airflow_provider_opencx.phone_agents.entry import FleetEntry
from airflow_provider_opencx.phone_agents.export.declarable import Entry, Fleet, cut, fleet_of
from airflow_provider_opencx.phone_agents.export.layouts import Layout, as_yaml
from airflow_provider_opencx.phone_agents.fleet import FleetPlan, FleetStep, plan_fleet
from airflow_provider_opencx.phone_agents.fleet_files.reader import read_fleet
from airflow_provider_opencx.phone_agents.plan import PhoneAgents
from airflow_provider_opencx.reconciliation.plans import Refuse, Unchanged, described

_MOST_ROUNDS = 5
"""Times that a fleet is laid out, each time without the agents that would be changed."""


@dataclass(frozen=True)
class Export:
    """Fleet files of which a plan changes nothing.

    :param files: the texts of the files by their names.
    :param fleet: what they hold, and what they do not.
    """

    files: Files
    fleet: Fleet


def export_fleet(
    agents: PhoneAgents,
    *,
    names: Sequence[str] = (),
    voices: Mapping[str, str] | None = None,
    layout: Layout = as_yaml,
) -> Export:
    """Return the agents as fleet files that a plan finds unchanged, each by its id.

    An agent that such a plan would change is taken out, and named with the reason.

    :param agents: all agents of the organization.
    :param names: globs such as ``"Spring *"``; only agents whose names match one of them are taken. Default all.
    :param voices: the names of the voices by their ids, for comments. Default none.
    :param layout: how the files are laid out: one YAML file by default.
    :raises OpenCXArgumentError: if the files are larger than what is read of a fleet.
    :raises OpenCXPermanentError: if a plan would change something whatever is taken out.
    """
    fleet = fleet_of(agents, names)
    for _ in range(_MOST_ROUNDS):
        files = layout(fleet, voices or {})
        reasons = _reasons_against(fleet, files, agents, layout)
        if not reasons:
            return Export(files, fleet)
        fleet = fleet.without(reasons)
    raise OpenCXPermanentError(
        "The agents were not exported, because a plan of the file would still change some of them. Nothing was written."
        " Export a part of them with --names, and report this with the output of --debug."
    )


def _reasons_against(fleet: Fleet, files: Files, agents: PhoneAgents, layout: Layout) -> dict[str, str]:
    """Return why a plan would change agents, or not find them, by their ids."""
    if not fleet.entries:
        return {}
    try:
        planned = _planned(files, agents)
    except OpenCXArgumentError as unreadable:
        if reasons := dict(_unreadable_entries(fleet, agents, layout)):
            return reasons
        raise OpenCXArgumentError(
            f"The agents were not exported, because their file could not be read: {unreadable}. Nothing was written."
            " Export a part of them with --names, or each into a file of its own with --split."
        ) from None
    steps = {step.spec.id: step for step in planned.steps if isinstance(step.spec, FleetEntry)}
    found = {entry.agent.id: _reason_against(entry, steps.get(entry.agent.id)) for entry in fleet.entries}
    return {agent_id: reason for agent_id, reason in found.items() if reason}


def _reason_against(entry: Entry, step: FleetStep | None) -> str:
    """Return why a plan would change an agent, or not find it; nothing if it is found unchanged."""
    if step is None:
        return "it is not found in its own file."
    if isinstance(step.plan, Refuse):
        return cut(str(step.plan.error))
    if not isinstance(step.plan, Unchanged):
        return cut(f"a plan of its file would change it ({described(step.plan.differences)}).")
    is_same = step.item_id == entry.agent.id and step.spec == FleetEntry.model_validate(dict(entry.fields))
    return "" if is_same else "its file is not read as it was written."


def _unreadable_entries(fleet: Fleet, agents: PhoneAgents, layout: Layout) -> Iterator[tuple[str, str]]:
    """Return the ids of the agents whose entries cannot be read, even alone, and why."""
    try:
        _planned(layout(fleet, {}), agents)
    except OpenCXArgumentError as unreadable:
        if len(fleet.entries) == 1:
            yield fleet.entries[0].agent.id, cut(f"its entry could not be read: {unreadable}.")
            return
        middle = len(fleet.entries) // 2
        for half in (fleet.entries[:middle], fleet.entries[middle:]):
            yield from _unreadable_entries(replace(fleet, entries=half), agents, layout)


def _planned(files: Files, agents: PhoneAgents) -> FleetPlan:
    """Return the plan of files, read as a command reads them.

    :raises OpenCXArgumentError: if they cannot be read, without the path of the folder in which they were for it.
    """
    with tempfile.TemporaryDirectory() as folder, _silent():
        for name, text in files.items():
            Path(folder, name).write_text(text, encoding="utf-8", newline="")
        try:
            return plan_fleet(parse_fleet(read_fleet(_path_of(files, Path(folder)), root=Path(folder))), agents)
        except OpenCXArgumentError as wrong:
            raise OpenCXArgumentError(str(wrong).replace(f"{folder}/", "").replace(folder, "")) from None


def _path_of(files: Files, folder: Path) -> Path:
    """Return what a command is given to read: the one file, or the folder of several."""
    [first, *others] = files
    return folder if others else folder / first


@contextmanager
def _silent() -> Iterator[None]:
    """Keep the warnings of the reader out of the log: nobody has written this file by hand."""
    logger = logging.getLogger(fleet_files.__name__)
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)
