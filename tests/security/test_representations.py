"""Whatever is printed, pickled or shown of the provider's objects and errors, the key is not in it."""

from __future__ import annotations

import copy
import json
import pickle
import traceback
from collections.abc import Callable
from typing import Any

import pytest

from airflow_provider_opencx.exceptions import OpenCXError
from airflow_provider_opencx.hooks.opencx import OpenCXHook
from airflow_provider_opencx.resources.phone_agents import ping

KEY = "ocx_live_s3cret-of-the-security-tests"


@pytest.fixture
def connect(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Puts a base URL behind the default connection."""

    def connect(url: str) -> None:
        extra = {"max_retries": 0, "requests_per_minute": 100_000}
        connection = {"conn_type": "opencx", "host": url, "password": KEY, "extra": extra}
        monkeypatch.setenv("AIRFLOW_CONN_OPENCX_DEFAULT", json.dumps(connection))

    return connect


def shown(value: object) -> str:
    """Everything that Python shows of an object and of what it holds."""
    held = "\n".join(f"{name}={held!r} {held}" for name, held in vars(value).items())
    return f"{value!r}\n{value}\n{held}"


@pytest.mark.usefixtures("fresh_tls")
def test_key_stays_out_of_repr(serve: Callable[..., Any], connect: Callable[[str], None]) -> None:
    connect(serve().url)
    hook = OpenCXHook()
    with hook.get_conn() as client:
        ping(client)
        assert KEY not in shown(hook)
        assert KEY not in shown(client)


def test_key_stays_out_of_pickled_hook(serve: Callable[..., Any], connect: Callable[[str], None]) -> None:
    connect(serve().url)
    hook = OpenCXHook()
    hook.list_phone_agents()
    assert KEY.encode() not in pickle.dumps(hook)
    assert copy.deepcopy(hook).list_phone_agents() == []


@pytest.mark.parametrize("failing", ["rejected", "redirected", "broken", "unreachable"])
@pytest.mark.usefixtures("fresh_tls")
def test_key_stays_out_of_tracebacks(failing: str, serve: Callable[..., Any], connect: Callable[[str], None]) -> None:
    answers = {"rejected": (401,), "redirected": (302, {"Location": "/elsewhere"}), "broken": (500,)}
    connect(serve(*answers[failing]).url if failing in answers else "http://127.0.0.1:1")
    with pytest.raises(OpenCXError) as raised:
        OpenCXHook().list_phone_agents()
    told = "".join(traceback.TracebackException.from_exception(raised.value, capture_locals=True).format())
    assert "settings = ClientSettings(" in told or "response = Response(" in told
    assert KEY not in told
