"""``export``: writes the existing agents as fleet files. A plan of these files changes nothing."""

from __future__ import annotations

from argparse import Namespace
from typing import TYPE_CHECKING

from airflow_provider_opencx.cli.command import Argument, Command, ExitCode
from airflow_provider_opencx.cli.connections import CONNECTION_ARGUMENTS, open_client
from airflow_provider_opencx.cli.names import NAMES
from airflow_provider_opencx.cli.output import say, write_text
from airflow_provider_opencx.visible_text import in_quotes, visible, visible_repr

if TYPE_CHECKING:
    from airflow_provider_opencx.phone_agents.export.layouts import Layout
    from airflow_provider_opencx.phone_agents.export.proof import Export


def run(options: Namespace) -> ExitCode:
    """Write the agents that exist as fleet files."""
    from airflow_provider_opencx.exceptions import OpenCXArgumentError
    from airflow_provider_opencx.phone_agents.export.proof import export_fleet
    from airflow_provider_opencx.phone_agents.export.reading import read_agents, read_names_in_use, read_voice_names

    layout = _layout_of(options)
    with open_client(options) as connected:
        agents = read_agents(connected.client)
        by_name = read_names_in_use(connected.client, agents) if options.by_name else None
        has_comments = options.output != "json" and by_name is None
        voices = read_voice_names(connected.client) if has_comments else {}
    export = export_fleet(agents, names=options.names or (), voices=voices, by_name=by_name, layout=layout)
    if options.names and not export.fleet.total:
        raise OpenCXArgumentError(
            f"--names: none of {len(agents)} agents has a name that fits {' or '.join(map(in_quotes, options.names))}."
            " Nothing was written."
        )
    for sentence in export.fleet.sentences:
        say(visible_repr(sentence))
    _write(export, options)
    say(f"Exported {len(export.fleet.entries)} of {export.fleet.total} agents; a plan of them changes nothing.")
    return ExitCode.DONE


def _layout_of(options: Namespace) -> Layout:
    from airflow_provider_opencx.exceptions import OpenCXArgumentError
    from airflow_provider_opencx.phone_agents.export.layouts import as_json, as_split, as_yaml

    if options.split is None:
        if options.force:
            raise OpenCXArgumentError("--force replaces existing files of --split, so it needs --split")
        return as_json if options.output == "json" else as_yaml
    if options.output == "json":
        raise OpenCXArgumentError("--split writes YAML files: leave out -o json")
    return as_split


def _write(export: Export, options: Namespace) -> None:
    from pathlib import Path

    from airflow_provider_opencx.exported_files.directory import write_files
    from airflow_provider_opencx.text import listed

    if options.split is None:
        [text] = export.files.values()
        write_text(text.removesuffix("\n"))
        return
    others = write_files(export.files, Path(options.split), overwrite=options.force)
    say(f"Wrote {len(export.files)} files into {visible(options.split)}.")
    if others:
        say(
            f"Warning: {visible(options.split)} holds other fleet files as well: {listed([*map(visible, others)])}."
            " They are read with the folder; delete those of agents that have another name now."
        )


COMMAND = Command(
    name="export",
    help="Write the agents that exist as a fleet file, and prove that a plan of it changes nothing.",
    example="python -m airflow_provider_opencx export > fleet.yaml\n"
    "python -m airflow_provider_opencx export --names 'Spring *' --names 'Autumn *' --split fleet/",
    arguments=(
        *CONNECTION_ARGUMENTS,
        NAMES,
        Argument(
            ("--split",),
            {
                "metavar": "DIR",
                "help": "write a file for each agent into this folder, and its long texts into files beside it."
                " Default: one file on stdout",
            },
        ),
        Argument(
            ("--by-name",),
            {
                "action": "store_true",
                "help": "write training scenarios, actions and voices by their names, and no ids of agents, so that the"
                " file serves several organizations",
            },
        ),
        Argument(("--force",), {"action": "store_true", "help": "let --split replace files that exist"}),
    ),
    run=run,
)
