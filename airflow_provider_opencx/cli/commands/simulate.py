"""``simulate``: runs the simulator, as ``python -m airflow_provider_opencx.simulator`` does."""

from __future__ import annotations

from argparse import Namespace

from airflow_provider_opencx.cli.command import Argument, Command, ExitCode
from airflow_provider_opencx.simulator.options import DESCRIPTION, OPTIONS


def run(options: Namespace) -> ExitCode:
    """Run the simulator until it is interrupted."""
    from airflow_provider_opencx.exceptions import OpenCXArgumentError
    from airflow_provider_opencx.simulator.__main__ import serve

    try:
        return ExitCode(serve(options))
    except ValueError as error:
        raise OpenCXArgumentError(f"simulate: {error}") from None


COMMAND = Command(
    name="simulate",
    help=DESCRIPTION,
    example="python -m airflow_provider_opencx simulate --port 8010 --api-key demo-key",
    arguments=tuple(Argument((flag,), option) for flag, option in OPTIONS.items()),
    run=run,
    has_output=False,
)
