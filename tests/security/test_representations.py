"""Tests that the key is in no printed, pickled or shown form of the provider's objects and errors."""

from __future__ import annotations

import copy
import dataclasses
import json
import pickle
import traceback
from collections.abc import Callable
from typing import Any

import pytest
import rich.pretty

from airflow_provider_opencx.client import decoding
from airflow_provider_opencx.client.coordination import digest
from airflow_provider_opencx.client.operation import Response
from airflow_provider_opencx.client.settings import ClientSettings
from airflow_provider_opencx.exceptions import OpenCXError, OpenCXResponseError
from airflow_provider_opencx.hooks.opencx import OpenCXHook
from airflow_provider_opencx.resources.phone_agents import ping
from airflow_provider_opencx.secret import Secret

KEY = "ocx_live_s3cret-of-the-security-tests"
PASSWORD = "r3dis-s3cret-of-the-security-tests"


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


def test_key_is_sent_in_one_header(serve: Callable[..., Any], connect: Callable[[str], None]) -> None:
    service = serve()
    connect(service.url)
    with OpenCXHook().get_conn() as client:
        ping(client)
    assert f"Authorization: Bearer {KEY}" in service.seen[0]
    assert service.seen[0].count(KEY) == 1


def test_key_stays_out_of_pickled_hook(serve: Callable[..., Any], connect: Callable[[str], None]) -> None:
    connect(serve().url)
    hook = OpenCXHook()
    hook.list_phone_agents()
    assert KEY.encode() not in pickle.dumps(hook)
    assert copy.deepcopy(hook).list_phone_agents() == []


SETTINGS = ClientSettings("https://api.open.cx", KEY, coordination=f"redis://:{PASSWORD}@redis.example.com/0")


def _names_in_common(settings: ClientSettings) -> list[str]:
    """The names under which a name's lock and the pace are kept, where others can see them."""
    return [
        digest("name", settings.base_url, "a"),
        digest("pacing", settings.base_url, settings.api_key.reveal(), "90"),
    ]


SHOWN: dict[str, Callable[[ClientSettings], object]] = {
    "repr": repr,
    "str": str,
    "format": lambda settings: f"{settings.api_key} {settings.coordination!s}",
    "vars": vars,
    "vars of the key": lambda settings: [getattr(settings.api_key, name) for name in dir(settings.api_key)],
    "as a dict": dataclasses.asdict,
    "as a tuple": dataclasses.astuple,
    "copy": copy.copy,
    "deep copy": lambda settings: vars(copy.deepcopy(settings)),
    "replaced": lambda settings: vars(dataclasses.replace(settings, timeout=1)),
    "secrets": lambda settings: settings.secrets,
    "JSON": lambda settings: json.dumps(vars(settings), default=repr),
    "rich": lambda settings: rich.pretty.pretty_repr(settings, expand_all=True),
    "names of locks": _names_in_common,
}
"""Ways to look at the settings of a client."""


@pytest.mark.parametrize("shown", SHOWN)
def test_settings_show_no_secret(shown: str) -> None:
    told = f"{SHOWN[shown](SETTINGS)!r} {SHOWN[shown](SETTINGS)}"
    assert KEY not in told
    assert PASSWORD not in told


@pytest.mark.parametrize("holder", [SETTINGS, SETTINGS.api_key, SETTINGS.coordination, SETTINGS.secrets])
def test_secret_is_in_no_pickle(holder: object) -> None:
    with pytest.raises(TypeError, match="a secret cannot be pickled"):
        pickle.dumps(holder)


def test_copied_settings_keep_key() -> None:
    """A secret that is hidden is still the one that is sent."""
    copied = copy.deepcopy(SETTINGS)
    assert copied == SETTINGS
    assert hash(copied) == hash(SETTINGS)
    assert copied.api_key.reveal() == KEY
    assert dataclasses.replace(SETTINGS, api_key="another") != SETTINGS


@pytest.mark.parametrize("failing", ["rejected", "redirected", "broken", "unreachable"])
@pytest.mark.usefixtures("fresh_tls")
def test_key_stays_out_of_tracebacks(failing: str, serve: Callable[..., Any], connect: Callable[[str], None]) -> None:
    answers = {"rejected": (401,), "redirected": (302, {"Location": "/elsewhere"}), "broken": (500,)}
    connect(serve(*answers[failing]).url if failing in answers else "http://127.0.0.1:1")
    with pytest.raises(OpenCXError) as raised:
        OpenCXHook().list_phone_agents()
    told = "".join(traceback.TracebackException.from_exception(raised.value, capture_locals=True).format())
    assert "in list_phone_agents" in told
    assert "self = <airflow_provider_opencx.hooks.opencx.OpenCXHook" in told
    assert KEY not in told


LETTERS_ESCAPED = rb'[{"id": "test-1", "name": "The test agent \u0026 \u0054"}]'
"""JSON as some languages write it, with escapes of characters that need none."""


@pytest.mark.parametrize("key", ["test", "t", "agent", "no-part-of-the-body"])
def test_what_is_no_key_stays_as_it_is(key: str) -> None:
    """A key of few letters is in many a text by chance, and a name that is changed is not found again."""
    response = Response(200, {}, LETTERS_ESCAPED, secret=Secret(key))
    assert response.json() == [{"id": "test-1", "name": "The test agent & T"}]


def test_texts_are_looked_through_one_by_one_only_where_the_key_is(monkeypatch: pytest.MonkeyPatch) -> None:
    looked_through: list[object] = []
    with_texts = decoding.with_texts
    monkeypatch.setattr(decoding, "with_texts", lambda *all: looked_through.append(all) or with_texts(*all))
    assert Response(200, {}, LETTERS_ESCAPED, secret=Secret(KEY)).json()
    assert not looked_through
    spelled = json.dumps([KEY]).replace("l", r"\u006C").encode()
    assert Response(200, {}, spelled, secret=Secret(KEY)).json() == ["***"]
    assert looked_through


def test_deep_json_with_the_key_is_read_or_refused() -> None:
    spelled = json.dumps(KEY).replace("l", r"\u006c").encode()
    shown = []
    for depth in (100, 900, 100_000):
        try:
            shown.append(
                json.dumps(Response(200, {}, b"[" * depth + spelled + b"]" * depth, secret=Secret(KEY)).json())
            )
        except OpenCXResponseError as error:
            shown.append(str(error))
    assert '["***"]' in shown[0]
    assert KEY not in "".join(shown)
