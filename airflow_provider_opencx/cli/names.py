"""The argument that selects agents by name."""

from __future__ import annotations

from airflow_provider_opencx.cli.command import Argument

NAMES = Argument(
    ("--names",),
    {
        "metavar": "GLOB",
        "action": "append",
        "help": "only agents whose name fits, such as 'Spring *'; may be given several times. Default: all",
    },
)
"""Names or globs, as :func:`~airflow_provider_opencx.phone_agents.names.name_fits` takes them; ``None`` is all."""
