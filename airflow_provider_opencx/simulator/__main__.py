"""Runs the simulator from the command line: ``python -m airflow_provider_opencx.simulator``."""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Sequence
from functools import partial
from typing import Any

from airflow_provider_opencx.simulator.loopback import is_loopback
from airflow_provider_opencx.simulator.options import DESCRIPTION, OPTIONS

_REQUIREMENTS = frozenset({"fastapi", "starlette", "uvicorn", "h11", "jsonschema", "yaml"})


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the simulator until it is interrupted."""
    parser = argparse.ArgumentParser(prog="python -m airflow_provider_opencx.simulator", description=DESCRIPTION)
    for flag, option in OPTIONS.items():
        keywords: dict[str, Any] = dict(option)
        parser.add_argument(flag, **keywords)
    try:
        return serve(parser.parse_args(arguments))
    except ValueError as error:
        parser.error(str(error))


def serve(options: argparse.Namespace) -> int:
    """Run the simulator until it is interrupted, and return the exit code.

    :param options: those of :data:`.options.OPTIONS`.
    :raises ValueError: if one of them is wrong.
    """
    if not options.allow_remote and not is_loopback(options.host):
        raise ValueError(
            f"{options.host} can be reached from other machines; if that is what you want, add --allow-remote"
        )
    try:
        from airflow_provider_opencx.simulator.server import Simulator
    except ModuleNotFoundError as missing:
        if missing.name not in _REQUIREMENTS:
            raise
        print(
            f"The simulator needs {missing.name}, which is not installed: "
            "pip install 'airflow-provider-opencx[simulator]'",
            file=sys.stderr,
        )
        return 1
    simulator = Simulator(
        api_keys=getattr(options, "api_key", ["demo-key"]),
        provision_after=options.provision_after,
        generation=options.generation,
        page_size=options.page_size,
        requests_per_minute=options.requests_per_minute,
        scopes=dict(options.scopes),
        host=options.host,
        port=options.port,
        remote_admin=options.allow_remote_admin,
        on_request=None if options.quiet else partial(print, flush=True),
    )

    signals = {signal.SIGINT, signal.SIGTERM}
    # Blocked before the server's thread starts, so that the thread inherits it: sigwait() below takes the signals.
    signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    try:
        simulator.start()
    except (OSError, OverflowError) as error:
        print(f"The simulator cannot listen on {options.host}, port {options.port}: {error}", file=sys.stderr)
        return 1
    print(
        f"OpenCX simulator (generation {simulator.generation}) on {simulator.url}"
        " - a stand-in for trying out and testing, not the real service",
        flush=True,
    )
    signal.sigwait(signals)
    simulator.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main())
