"""Run the simulator from the command line: ``python -m airflow_provider_opencx.simulator``."""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Sequence
from functools import partial

_REQUIREMENTS = frozenset({"fastapi", "starlette", "uvicorn", "h11", "jsonschema", "yaml"})


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the simulator until it is interrupted."""
    try:
        from airflow_provider_opencx.simulator.contract import GENERATIONS
        from airflow_provider_opencx.simulator.loopback import is_loopback
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

    parser = _parser(GENERATIONS)
    options = parser.parse_args(arguments)
    if not options.allow_remote and not is_loopback(options.host):
        parser.error(f"{options.host} can be reached from other machines; if that is what you want, add --allow-remote")
    try:
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
    except ValueError as error:
        parser.error(str(error))

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


def _parser(generations: Sequence[str]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m airflow_provider_opencx.simulator",
        description="A stand-in OpenCX API for trying out and testing. It keeps everything in memory, calls nobody, "
        "and is not the real service. Ctrl-C stops it.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("--port", type=int, default=8010, help="the port to listen on; 0 takes any that is free")
    parser.add_argument("--host", default="127.0.0.1", help="the address to listen on")
    parser.add_argument("--allow-remote", action="store_true", help="permit a host that other machines can reach")
    parser.add_argument(
        "--allow-remote-admin",
        action="store_true",
        help="let other machines control the simulator under /_simulator/; this machine always can",
    )
    parser.add_argument(
        "--api-key",
        action="append",
        metavar="KEY",
        # argparse would append to a default; main() falls back to demo-key instead.
        default=argparse.SUPPRESS,
        help="an accepted key; repeat it for several, each of an organization of its own (default: demo-key)",
    )
    parser.add_argument(
        "--scopes",
        action="append",
        type=_scopes,
        metavar="KEY=SCOPE,...",
        default=[],
        help="the scopes of a key, such as demo-key=phone:read; what needs another one gets 403 (default: all)",
    )
    parser.add_argument(
        "--provision-after",
        default="5s",
        metavar="WHEN",
        help="when a new agent gets its phone number: now, 5s, 500ms, 2m, 3reads "
        "(three reads of the list do not show it, the fourth does) or never; and what happens to it later, as in "
        "'now, lost after 10s', '5s, changed after 3reads' or 'never, gone after 1m'",
    )
    parser.add_argument("--generation", choices=generations, default=generations[-1], help="the API's generation")
    parser.add_argument(
        "--requests-per-minute",
        type=_limit,
        default=100,
        metavar="N",
        help="the rate limit of each key, past which it gets 429; 0 or none is no limit",
    )
    parser.add_argument(
        "--page-size",
        type=int,
        default=100,
        metavar="N",
        help="agents on a page of the list, in generations with pages",
    )
    parser.add_argument("--quiet", action="store_true", help="print no line for each request")
    return parser


def _scopes(text: str) -> tuple[str, list[str]]:
    api_key, separator, scopes = text.rpartition("=")
    if not (separator and api_key):
        raise argparse.ArgumentTypeError("it is not like KEY=phone:read,phone:write")
    return api_key, [scope.strip() for scope in scopes.split(",") if scope.strip()]


def _limit(text: str) -> int | None:
    if text in ("0", "none"):
        return None
    try:
        return int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of requests, and not none") from None


if __name__ == "__main__":
    sys.exit(main())
