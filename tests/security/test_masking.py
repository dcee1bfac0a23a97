"""Tests that Airflow masks the key as soon as a hook has read it, and that no library logs it before."""

from __future__ import annotations

import asyncio
import io
import json
import logging
import uuid
from collections.abc import Callable
from inspect import signature
from typing import Any

import pytest
import structlog
from airflow.sdk.log import logging_processors

from airflow_provider_opencx.hooks.opencx import OpenCXHook
from airflow_provider_opencx.triggers.phone_number import PhoneNumbers
from airflow_provider_opencx.triggers.polling import SharedPolls


def logged(line: str) -> str:
    """What Airflow writes to a task's log for a line."""
    written = io.StringIO()
    if "json_output" in signature(logging_processors).parameters:
        processors = logging_processors(json_output=False, colors=False)
    else:  # Airflow 3.0
        processors, _ = logging_processors(enable_pretty_log=True, colored_console_log=False)
    logger = structlog.wrap_logger(structlog.PrintLogger(written), processors=processors)
    logger.info(line)
    return written.getvalue()


async def poll_in_triggerer() -> None:
    async with SharedPolls.join("opencx_default", 3600, PhoneNumbers()) as polls:
        await polls.after(None)


READERS: dict[str, Callable[[], Any]] = {
    "worker": lambda: OpenCXHook().get_conn().close(),
    "triggerer": lambda: asyncio.run(poll_in_triggerer()),
}


@pytest.mark.parametrize("written", ["{key}", " {key}\n"], ids=["as it is", "with space around"])
@pytest.mark.parametrize("reader", READERS)
def test_key_appears_masked_in_log(
    reader: str, written: str, serve: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    key = f"ocx_live_{uuid.uuid4().hex}"  # the masker never forgets
    assert key in logged(f"Authorization: Bearer {key}")
    connection = {"conn_type": "opencx", "host": serve().url, "password": written.format(key=key)}
    monkeypatch.setenv("AIRFLOW_CONN_OPENCX_DEFAULT", json.dumps(connection))
    READERS[reader]()
    line = logged(f"Authorization: Bearer {key}")
    assert "Authorization: Bearer ***" in line
    assert key not in line


@pytest.mark.parametrize("reader", READERS)
def test_masking_covers_redis_password_encoded_and_decoded(
    reader: str, serve: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    part = uuid.uuid4().hex
    written, meant = f"r3dis%40{part}", f"r3dis@{part}"
    coordination = f"redis://worker:{written}@127.0.0.1:1"
    connection = {
        "conn_type": "opencx",
        "host": serve().url,
        "password": f"ocx_live_{uuid.uuid4().hex}",
        "extra": {"coordination": coordination},
    }
    monkeypatch.setenv("AIRFLOW_CONN_OPENCX_DEFAULT", json.dumps(connection))
    assert all(password in logged(f"AUTH worker {password}") for password in (written, meant))
    READERS[reader]()
    assert all("AUTH worker ***" in logged(f"AUTH worker {password}") for password in (written, meant))
    assert "redis://worker:***@127.0.0.1:1" in logged(coordination)


@pytest.mark.parametrize("answered", [{"status": 200}, {"status": 401}, {"status": 302, "headers": {"Location": "/"}}])
def test_key_stays_out_of_library_logs(
    answered: dict[str, Any],
    serve: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    key = f"ocx_live_{uuid.uuid4().hex}"
    service = serve(**answered)
    connection = {"conn_type": "opencx", "host": service.url, "password": key}
    monkeypatch.setenv("AIRFLOW_CONN_OPENCX_DEFAULT", json.dumps(connection))
    with caplog.at_level(logging.DEBUG):
        OpenCXHook().test_connection()
    assert key in service.seen[0]
    assert any(record.name.startswith("httpcore") for record in caplog.records)
    assert key not in caplog.text
