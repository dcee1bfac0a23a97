"""The command line: ``python -m airflow_provider_opencx COMMAND``."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from airflow_provider_opencx.cli.parser import build_parser
from airflow_provider_opencx.cli.session import run_command


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code.

    :param arguments: what is typed after the program's name; ``None`` takes that of this process.
    """
    options = build_parser().parse_args(arguments)
    return run_command(options.command, options)


if __name__ == "__main__":
    sys.exit(main())
