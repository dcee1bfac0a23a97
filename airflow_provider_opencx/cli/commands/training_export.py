"""``training export``: writes the training scenarios that exist as Markdown files."""

from __future__ import annotations

from argparse import Namespace

from airflow_provider_opencx.cli.command import Argument, Command, ExitCode
from airflow_provider_opencx.cli.connections import CONNECTION_ARGUMENTS, open_client
from airflow_provider_opencx.cli.output import say
from airflow_provider_opencx.cli.training import COLLECTION
from airflow_provider_opencx.visible_text import visible, visible_repr


def run(options: Namespace) -> ExitCode:
    """Write the scenarios into a folder, each into a file."""
    from pathlib import Path

    from airflow_provider_opencx.exported_files.directory import write_files
    from airflow_provider_opencx.knowledge.declared import checked_collection
    from airflow_provider_opencx.knowledge.export import export_scenarios
    from airflow_provider_opencx.knowledge.scenario_files import SCENARIO_FILES
    from airflow_provider_opencx.resources.training import list_training_scenarios

    collection = checked_collection(options.collection)
    with open_client(options) as connected:
        scenarios = list_training_scenarios(connected.client)
    export = export_scenarios(scenarios, collection)
    for note in export.notes:
        say(visible_repr(note))
    folder = Path(options.into)
    others = write_files(export.files, folder, SCENARIO_FILES, option="DIR", overwrite=options.force)
    if others:
        say(f"Warning: {visible(options.into)} holds {len(others)} other .md files, which are read with the folder.")
    say(
        f"Exported {len(export.files)} of {len(scenarios)} training scenarios. A plan of the folder, with"
        " --adopt by_title, gives those without a key theirs, and changes nothing else."
    )
    return ExitCode.DONE


COMMAND = Command(
    name="training export",
    help="Write the training scenarios that exist as Markdown files, each proved by reading it back.",
    example="python -m airflow_provider_opencx training export training/",
    arguments=(
        Argument(("into",), {"metavar": "DIR", "help": "the folder, which is made if it does not exist"}),
        COLLECTION,
        *CONNECTION_ARGUMENTS,
        Argument(("--force",), {"action": "store_true", "help": "replace files that exist"}),
    ),
    run=run,
    has_output=False,
)
