"""Reads the training scenario files of a command, and makes the plan for them."""

from __future__ import annotations

from argparse import Namespace
from typing import TYPE_CHECKING

from airflow_provider_opencx.cli.command import Argument
from airflow_provider_opencx.cli.variables import read_with_variables

if TYPE_CHECKING:
    from airflow_provider_opencx.cli.connections import ConnectedClient
    from airflow_provider_opencx.declared_files.places import FileDeclarations
    from airflow_provider_opencx.knowledge.training_plan import TrainingPlan

SCENARIO_FILES = Argument(
    ("files",),
    {"metavar": "FILE", "nargs": "+", "help": "a folder of Markdown files, one of them, or a glob in quotes"},
)
"""The files of training scenarios."""

COLLECTION = Argument(
    ("--collection",),
    {
        "metavar": "NAME",
        "default": "default",
        "help": "the collection that the scenarios belong to: others are never touched. Default: default",
    },
)
"""The collection, which separates the scenarios of two repositories."""

TRAINING_ARGUMENTS = (
    COLLECTION,
    Argument(
        ("--adopt",),
        {
            "choices": ("by_title", "never"),
            "help": "what to do about a scenario of the same title that was not made from these files: take it over, or"
            " create another. Default: refuse",
        },
    ),
    Argument(
        ("--on-draft",),
        {
            "choices": ("fail", "overwrite"),
            "default": "fail",
            "help": "what to do about an edit in the dashboard that is not published. Default: fail",
        },
    ),
    Argument(
        ("--on-removed",),
        {
            "choices": ("keep", "draft"),
            "default": "keep",
            "help": "what to do with a scenario whose file was removed. Default: keep",
        },
    ),
)
"""The arguments that say which plan is made; :func:`make_training_plan` reads them."""


def read_scenario_declarations(options: Namespace) -> FileDeclarations:
    """Read the files of training scenarios, with the variables that the options give.

    :param options: those of :data:`SCENARIO_FILES` and of ``VARIABLE_ARGUMENTS``.
    :raises OpenCXFleetFileError: naming each problem in the files.
    """
    from airflow_provider_opencx.knowledge.scenario_files import read_scenarios

    return read_with_variables(options, read_scenarios)


def make_training_plan(options: Namespace, connected: ConnectedClient) -> TrainingPlan:
    """Read the files, list the training scenarios, and return the plan; writes nothing.

    :param options: those of :data:`SCENARIO_FILES`, :data:`TRAINING_ARGUMENTS` and of ``VARIABLE_ARGUMENTS``.
    """
    from airflow_provider_opencx.knowledge.declarations import parse_scenarios
    from airflow_provider_opencx.knowledge.plan import Rules
    from airflow_provider_opencx.knowledge.reconcile import plan_training

    return plan_training(
        connected.client,
        parse_scenarios(read_scenario_declarations(options)),
        collection=options.collection,
        rules=Rules(options.adopt, options.on_draft, options.on_removed),
        connection=connected.connection,
        with_org_id=options.expected_org_id is not None,
    )
