"""Proves an export: a plan of its files, compared with the agents that were read, must change nothing."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from airflow_provider_opencx.exceptions import (
    OpenCXArgumentError,
    OpenCXPermanentError,
    OpenCXPlanRefusedError,
    OpenCXResponseError,
)
from airflow_provider_opencx.exported_files.directory import Files
from airflow_provider_opencx.phone_agents import fleet_files
from airflow_provider_opencx.phone_agents.declarations import parse_fleet
from airflow_provider_opencx.phone_agents.entry import FleetEntry
from airflow_provider_opencx.phone_agents.export.by_name import NamesInUse, with_names
from airflow_provider_opencx.phone_agents.export.declarable import Entry, Fleet, cut, fleet_of
from airflow_provider_opencx.phone_agents.export.layouts import Layout, as_yaml
from airflow_provider_opencx.phone_agents.fleet import FleetPlan, FleetStep, plan_fleet
from airflow_provider_opencx.phone_agents.fleet_files.reader import read_fleet
from airflow_provider_opencx.phone_agents.named import Names
from airflow_provider_opencx.phone_agents.plan import PhoneAgents
from airflow_provider_opencx.phone_agents.resolution import with_ids_of
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
    by_name: NamesInUse | None = None,
    layout: Layout = as_yaml,
) -> Export:
    """Return the agents as fleet files that a plan finds unchanged, each by its id, or all by name.

    An agent that such a plan would change is taken out, and named with the reason.

    :param agents: all agents of the organization.
    :param names: globs such as ``"Spring *"``; only agents whose names match one of them are taken. Default all.
    :param voices: the names of the voices by their ids, for comments. Default none.
    :param by_name: the names to write instead of ids, for files that serve several organizations. Default ids.
    :param layout: how the files are laid out: one YAML file by default.
    :raises OpenCXArgumentError: if the files are larger than what is read of a fleet.
    :raises OpenCXPermanentError: if a plan would change something no matter what is left out.
    """
    fleet = fleet_of(agents, names)
    known = {} if by_name is None else by_name.known
    if by_name is not None:
        fleet = with_names(fleet, by_name)
    for _ in range(_MOST_ROUNDS):
        files = layout(fleet, voices or {})
        reasons = _reasons_against(fleet, files, agents, layout, known)
        if not reasons:
            return Export(files, fleet)
        fleet = fleet.without(reasons)
    raise OpenCXPermanentError(
        "The agents were not exported, because a plan of the file would still change some of them. Nothing was written."
        " Export a part of them with --names, and report this with the output of --debug."
    )


def _reasons_against(
    fleet: Fleet, files: Files, agents: PhoneAgents, layout: Layout, known: Mapping[str, Names]
) -> dict[str, str]:
    """Return why a plan would change agents, or not find them, by their ids."""
    if not fleet.entries:
        return {}
    try:
        planned = _planned(files, agents, known)
    except OpenCXArgumentError as unreadable:
        if reasons := dict(_unreadable_entries(fleet, agents, layout, known)):
            return reasons
        raise OpenCXArgumentError(
            f"The agents were not exported, because their file could not be read: {unreadable}. Nothing was written."
            " Export a part of them with --names, or each into a file of its own with --split."
        ) from None
    steps = {step.spec.name: step for step in planned.steps}
    found = {
        entry.agent.id: _reason_against(entry, steps.get(str(entry.fields["name"])), known) for entry in fleet.entries
    }
    return {agent_id: reason for agent_id, reason in found.items() if reason}


def _reason_against(entry: Entry, step: FleetStep | None, known: Mapping[str, Names]) -> str:
    """Return why a plan would change an agent, or not find it; nothing if it is found unchanged."""
    if step is None:
        return "it is not found in its own file."
    if isinstance(step.plan, Refuse):
        return cut(str(step.plan.error))
    if not isinstance(step.plan, Unchanged):
        return cut(f"a plan of its file would change it ({described(step.plan.differences)}).")
    [written] = with_ids_of(known, [FleetEntry.model_validate(dict(entry.fields))]).specs
    is_same = step.item_id == entry.agent.id and step.spec == written
    return "" if is_same else "its file is not read as it was written."


def _unreadable_entries(
    fleet: Fleet, agents: PhoneAgents, layout: Layout, known: Mapping[str, Names]
) -> Iterator[tuple[str, str]]:
    """Return the ids of the agents whose entries cannot be read, even alone, and why."""
    try:
        _planned(layout(fleet, {}), agents, known)
    except OpenCXArgumentError as unreadable:
        if len(fleet.entries) == 1:
            yield fleet.entries[0].agent.id, cut(f"its entry could not be read: {unreadable}.")
            return
        middle = len(fleet.entries) // 2
        for half in (fleet.entries[:middle], fleet.entries[middle:]):
            yield from _unreadable_entries(replace(fleet, entries=half), agents, layout, known)


def _planned(files: Files, agents: PhoneAgents, known: Mapping[str, Names]) -> FleetPlan:
    """Return the plan of files, read as a command reads them.

    :raises OpenCXArgumentError: if they cannot be read, without the path of the folder in which they were for it.
    """
    with tempfile.TemporaryDirectory() as folder, _silent():
        for name, text in files.items():
            Path(folder, name).write_text(text, encoding="utf-8", newline="")
        try:
            specs = parse_fleet(read_fleet(_path_of(files, Path(folder)), root=Path(folder)))
            return plan_fleet(with_ids_of(known, specs).specs, agents)
        except (OpenCXArgumentError, OpenCXPlanRefusedError, OpenCXResponseError) as wrong:
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
