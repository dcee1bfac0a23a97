"""Keeps secrets out of Airflow's logs."""

from __future__ import annotations

from collections.abc import Iterable

from airflow_provider_opencx.secret import Secret

try:
    from airflow.sdk.log import mask_secret
except ImportError:  # Airflow 3.0
    from airflow.sdk.execution_time.secrets_masker import mask_secret  # type: ignore[no-redef]


def mask_secrets(secrets: Iterable[Secret]) -> None:
    """Let Airflow mask secrets in its logs from now on. It informs the process that writes the log, and waits for that.

    :param secrets: what to mask.
    """
    for secret in secrets:
        mask_secret(secret.reveal())
