"""The command-line options of the simulator, declared once for both command lines. Imports no dependency of it."""

from __future__ import annotations

import argparse
from collections.abc import Mapping

from airflow_provider_opencx.simulator.generations import GENERATIONS


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


DESCRIPTION = (
    "A stand-in OpenCX API for trying out and testing. It keeps everything in memory, calls nobody, and is not the real"
    " service. Ctrl-C stops it."
)

OPTIONS: Mapping[str, Mapping[str, object]] = {
    "--port": {
        "type": int,
        "default": 8010,
        "help": "the port to listen on; 0 takes any that is free (default: %(default)s)",
    },
    "--host": {"default": "127.0.0.1", "help": "the address to listen on (default: %(default)s)"},
    "--allow-remote": {"action": "store_true", "help": "permit a host that other machines can reach"},
    "--allow-remote-admin": {
        "action": "store_true",
        "help": "let other machines control the simulator under /_simulator/; this machine always can",
    },
    "--api-key": {
        "action": "append",
        "metavar": "KEY",
        # argparse would append to a default, so demo-key is filled in later if no key is given.
        "default": argparse.SUPPRESS,
        "help": "an accepted key; repeat it for several organizations (default: demo-key)",
    },
    "--scopes": {
        "action": "append",
        "type": _scopes,
        "metavar": "KEY=SCOPE,...",
        "default": [],
        "help": "the scopes of a key, such as demo-key=phone:read; what needs another one gets 403 (default: all)",
    },
    "--provision-after": {
        "default": "5s",
        "metavar": "WHEN",
        "help": "when a new agent gets its phone number: now, 5s, 500ms, 2m, 3reads (three reads of the list do not"
        " show it, the fourth does) or never; and what happens to it later, as in 'now, lost after 10s', '5s, changed"
        " after 3reads' or 'never, gone after 1m' (default: %(default)s)",
    },
    "--generation": {
        "choices": GENERATIONS,
        "default": GENERATIONS[-1],
        "help": "the API's generation (default: %(default)s)",
    },
    "--requests-per-minute": {
        "type": _limit,
        "default": 100,
        "metavar": "N",
        "help": "the rate limit of each key, past which it gets 429; 0 or none is no limit (default: %(default)s)",
    },
    "--page-size": {
        "type": int,
        "default": 100,
        "metavar": "N",
        "help": "agents on a page of the list, in generations with pages (default: %(default)s)",
    },
    "--quiet": {"action": "store_true", "help": "print no line for each request"},
}
"""The arguments for ``argparse.ArgumentParser.add_argument``, by the flag of each option."""
