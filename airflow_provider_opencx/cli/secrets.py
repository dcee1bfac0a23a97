"""Collects the secrets of this process, so that no command prints them."""

from __future__ import annotations

import os
from collections.abc import Iterable

from airflow_provider_opencx.secret import Secret

_secrets: set[Secret] = set()


def keep_out_of_output(secrets: Iterable[Secret]) -> None:
    """Let :func:`without_secrets` take secrets out from now on."""
    _secrets.update(secrets)


def without_secrets(text: str) -> str:
    """Return a text without the secrets that this process knows, and without the API key in the environment.

    A secret of less than eight characters stays: it is in a text by chance.
    """
    from airflow_provider_opencx.cli.connections import API_KEY_VARIABLE

    in_environment = os.environ.get(API_KEY_VARIABLE, "").strip()
    for secret in {*_secrets, *([Secret(in_environment)] if in_environment else [])}:
        if secret.is_in(text):
            text = secret.masked(text)
    return text
