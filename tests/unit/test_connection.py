"""Tests that a connection becomes settings, or an error that names what is wrong with it."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from airflow.sdk import Connection

from airflow_provider_opencx.client.settings import ClientSettings
from airflow_provider_opencx.connection.extras import Extras
from airflow_provider_opencx.connection.form import EXTRA_FIELDS, conn_fields
from airflow_provider_opencx.connection.settings import client_settings
from airflow_provider_opencx.exceptions import OpenCXConfigError
from airflow_provider_opencx.hooks.opencx import OpenCXHook
from airflow_provider_opencx.secret import Secret

KEY = "ocx_live_s3cret"
PASSWORD = "r3dis-s3cret"


def settings_of(**fields: object) -> ClientSettings:
    extra = fields.pop("extra", None)
    connection = Connection(
        conn_id="c",
        extra=extra if extra is None or isinstance(extra, str) else json.dumps(extra),
        **{"conn_type": "opencx", "password": KEY, **fields},
    )
    return client_settings(connection, user_agent="test")


def test_connection_needs_only_key() -> None:
    assert settings_of() == ClientSettings("https://api.open.cx", KEY, 30.0, 4, 90, "test", "connection 'c'")


GATEWAY = "https://gateway.example.com"
NO_PATH = "the schema, or in a URI the path, must be empty, http or https"
NO_URL = "the Base URL (host) must be an http or https URL"
PORTS_DIFFER = "the port is 9000, and that of the Base URL (host) is 8443"


@pytest.mark.parametrize(
    ("written", "outcome"),
    [
        ("opencx://:{key}@", "https://api.open.cx"),
        ("opencx://:{key}@/https", "https://api.open.cx"),
        ("opencx://:{key}@/http", "the schema is http, and the Base URL (host) is https"),
        ("opencx://:{key}@/opencx", NO_PATH),
        ("opencx://:{key}@:443/", "https://api.open.cx"),
        ("opencx://:{key}@gateway.example.com", GATEWAY),
        ("opencx://:{key}@gateway.example.com/https", GATEWAY),
        ("opencx://:{key}@gateway.example.com/opencx", NO_PATH),
        ("opencx://:{key}@gateway.example.com/https/opencx", NO_PATH),
        ("opencx://:{key}@gateway.example.com//opencx", NO_PATH),
        ("opencx://:{key}@gateway.example.com%2Fopencx", f"{GATEWAY}/opencx"),
        ("opencx://:{key}@gateway.example.com%2Fopencx:8443/", f"{GATEWAY}:8443/opencx"),
        ("opencx://:{key}@https%3A%2F%2Fgateway.example.com%2Fopencx", f"{GATEWAY}/opencx"),
        ("opencx://https://:{key}@gateway.example.com/", GATEWAY),
        ("opencx://https://:{key}@gateway.example.com/https", GATEWAY),
        ("opencx://https://:{key}@gateway.example.com/opencx", NO_PATH),
        ("opencx://https://:{key}@gateway.example.com/opencx/v2/", NO_PATH),
        ("opencx://https://:{key}@gateway.example.com%2Fopencx%2Fv2%2F", f"{GATEWAY}/opencx/v2"),
        ("opencx://https://:{key}@https%3A%2F%2Fgateway.example.com", NO_URL),
        ("opencx://gopher://:{key}@gateway.example.com", NO_URL),
        ("opencx://http://:{key}@127.0.0.1:8010/", "http://127.0.0.1:8010"),
        ("opencx://http://:{key}@127.0.0.1:8010/https", "the schema is https, and the Base URL (host) is http"),
        ({"host": ""}, "https://api.open.cx"),
        ({"host": "gateway.example.com"}, GATEWAY),
        ({"host": "gateway.example.com/opencx"}, f"{GATEWAY}/opencx"),
        ({"host": "gateway.example.com", "port": 8443}, f"{GATEWAY}:8443"),
        ({"host": "gateway.example.com", "schema": "gopher"}, NO_PATH),
        ({"host": "gateway.example.com", "schema": "opencx"}, NO_PATH),
        ({"host": "https://gateway.example.com/opencx/"}, f"{GATEWAY}/opencx"),
        ({"host": "https://gateway.example.com/opencx", "schema": "https"}, f"{GATEWAY}/opencx"),
        ({"host": "https://gateway.example.com/opencx", "schema": "http"}, "the schema is http, and"),
        ({"host": "https://gateway.example.com", "schema": "gopher"}, NO_PATH),
        ({"host": "https://gateway.example.com", "schema": "/opencx"}, NO_PATH),
        ({"host": "https://gateway.example.com:8443", "port": 8443}, f"{GATEWAY}:8443"),
        ({"host": "https://gateway.example.com:8443", "port": 9000}, PORTS_DIFFER),
        ({"host": "https://gateway.example.com:443"}, GATEWAY),
        ({"host": "https://gateway.example.com:80"}, f"{GATEWAY}:80"),
        ({"host": "http://127.0.0.1", "port": 80}, "http://127.0.0.1"),
        ({"host": "https://gateway.example.com//opencx"}, NO_URL),
        ({"host": "https://https://gateway.example.com"}, NO_URL),
        ({"host": "https:/gateway.example.com"}, NO_URL),
        ({"host": "https//gateway.example.com"}, NO_URL),
        ({"host": "/opencx"}, NO_URL),
        ({"host": "http://127.0.0.1:8010"}, "http://127.0.0.1:8010"),
        ({"host": "127.0.0.1", "port": 8010, "schema": "http"}, "http://127.0.0.1:8010"),
        ({"host": "http://localhost:8010"}, "http://localhost:8010"),
        ({"host": "http://internal", "extra": '{"allow_insecure_http": true}'}, "http://internal"),
        ({"host": "http://internal", "extra": '{"allow_insecure_http": "true"}'}, "http://internal"),
    ],
    ids=str,
)
def test_address_is_same_or_refused_however_connection_is_written(
    written: str | dict[str, object], outcome: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    as_read = read_variable(written, monkeypatch)
    as_fields = {name: getattr(as_read, name) for name in ("host", "port", "schema", "extra")}
    as_uri = read_variable(as_read.get_uri(), monkeypatch)  # as Airflow's Test button does
    assert {address_or_error(as_read), address_or_error(as_uri)} == {
        address_or_error(Connection(conn_id="opencx_env", conn_type="opencx", password=KEY, **as_fields))
    }
    found = address_or_error(as_read)
    assert KEY not in found
    assert found == outcome if outcome.startswith("http") else outcome in found


def read_variable(written: str | dict[str, object], monkeypatch: pytest.MonkeyPatch) -> Connection:
    variable = (
        written.format(key=KEY)
        if isinstance(written, str)
        else json.dumps({"conn_type": "opencx", "password": KEY, **written})
    )
    monkeypatch.setenv("AIRFLOW_CONN_OPENCX_ENV", variable)
    return OpenCXHook.get_connection("opencx_env")


def address_or_error(connection: Connection) -> str:
    try:
        return client_settings(connection, user_agent="test").base_url
    except OpenCXConfigError as wrong:
        return str(wrong)


def test_address_may_be_one_of_version_6() -> None:  # which Airflow does not read out of a URI
    assert settings_of(host="http://[::1]:8010").base_url == "http://[::1]:8010"


@pytest.mark.parametrize("conn_type", ["opencx", "generic", "", None])
def test_connection_type_may_be_unsaid(conn_type: str | None) -> None:
    assert settings_of(conn_type=conn_type) == settings_of()


@pytest.mark.parametrize("conn_type", ["http", "https", "postgres", "OpenCX"])
def test_connection_of_another_service_is_refused(conn_type: str) -> None:
    with pytest.raises(OpenCXConfigError, match=f"it is of type '{conn_type}'.*Give it the type 'opencx'") as wrong:
        settings_of(conn_type=conn_type)
    assert KEY not in str(wrong.value)


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("Timeout", "timeout"),
        (" timeout", "timeout"),
        ("time_out", "timeout"),
        ("TIMEOUT", "timeout"),
        ("read_timeout", "timeout"),
        ("extra__opencx__timeout", "timeout"),
        ("extra__http__timeout", "timeout"),
        ("max-retries", "max_retries"),
        ("maxRetries", "max_retries"),
        ("retries", "max_retries"),
        ("max_retry", "max_retries"),
        ("requests_per_minutes", "requests_per_minute"),
        ("Requests per minute", "requests_per_minute"),
        ("extra__opencx__requests_per_minutes", "requests_per_minute"),
        ("cordination", "coordination"),
        ("allow_insecure", "allow_insecure_http"),
        ("allow_call", "allow_calls"),
        ("Allow calls", "allow_calls"),
        ("body_style", "call_body_style"),
        ("extra__opencx__allow_insecure_http", "allow_insecure_http"),
    ],
)
def test_connection_refuses_extra_that_is_nearly_known(written: str, meant: str) -> None:
    with pytest.raises(OpenCXConfigError, match=rf"is not known\. Did you mean {meant}\?"):
        settings_of(extra={written: "5"})
    assert settings_of(extra={written: ""}) == settings_of(), "an empty field of an old form says nothing"


@pytest.mark.parametrize("name", ["owner", "timezone", "organization", "description", "__extra__", "no_such_extra"])
def test_connection_ignores_extra_of_somebody_else(name: str) -> None:
    assert settings_of(extra={name: "5"}) == settings_of()


@pytest.mark.parametrize(
    ("fields", "names"),
    [
        ({"password": ""}, "API key (password) is empty"),
        ({"password": "two words"}, "API key (password) holds characters"),
        ({"password": "line\nbreak"}, "API key (password) holds characters"),
        ({"host": "http://api.open.cx"}, "plain http to api.open.cx"),
        ({"host": "http://127.0.0.1.example.com"}, "plain http to 127.0.0.1.example.com"),
        ({"host": "ftp://api.open.cx"}, "Base URL (host)"),
        ({"host": f"https://user:{KEY}@api.open.cx"}, "no user, password"),
        ({"host": "https://api.open.cx:notaport"}, "the port"),
        ({"host": "api.open.cx", "port": 99999}, "the port"),
        ({"host": "https://api..open.cx"}, "Base URL (host)"),
        ({"host": "https://xn--zz\u2603.example"}, "Base URL (host)"),
        ({"host": "https://two words"}, "Base URL (host)"),
        ({"extra": "{"}, "the extra is not JSON"),
        ({"extra": "[]"}, "the extra is not a JSON object"),
        ({"extra": {"timeout": "soon"}}, 'the extra timeout must be a number from 1 to 3600, got "soon"'),
        ({"extra": {"timeout": 0}}, "the extra timeout"),
        ({"extra": {"timeout": 3600.5}}, "the extra timeout"),
        ({"extra": {"timeout": True}}, "the extra timeout"),
        ({"extra": {"timeout": "NaN"}}, "the extra timeout"),
        ({"extra": {"timeout": "inf"}}, "the extra timeout"),
        ({"extra": {"timeout": "1e400"}}, "the extra timeout"),
        ({"extra": '{"timeout": NaN}'}, "the extra timeout"),
        ({"extra": '{"timeout": 1e400}'}, "the extra timeout"),
        ({"extra": {"timeout": 10**400}}, "the extra timeout must be a number from 1 to 3600, got a longer value"),
        ({"extra": {"timeout": {"seconds": 5}}}, "the extra timeout must be a number from 1 to 3600, got an object"),
        ({"extra": {"max_retries": 2.5}}, "the extra max_retries must be a whole number from 0 to 100, got 2.5"),
        ({"extra": {"max_retries": "2.5"}}, "the extra max_retries"),
        ({"extra": {"max_retries": False}}, "the extra max_retries"),
        ({"extra": '{"max_retries": 1e400}'}, "the extra max_retries"),
        ({"extra": {"max_retries": -1}}, "the extra max_retries"),
        ({"extra": {"max_retries": 101}}, "the extra max_retries"),
        (
            {"extra": {"requests_per_minute": 0}},
            "the extra requests_per_minute must be a whole number from 1 to 1000000",
        ),
        ({"extra": {"requests_per_minute": [90]}}, "the extra requests_per_minute"),
        ({"extra": {"allow_insecure_http": "maybe"}}, "the extra allow_insecure_http must be true or false"),
        ({"extra": {"allow_insecure_http": 1}}, "the extra allow_insecure_http"),
        ({"extra": {"allow_calls": "yes"}}, 'the extra allow_calls must be true or false, got "yes"'),
        ({"extra": {"allow_calls": 1}}, "the extra allow_calls"),
        ({"extra": {"allow_calls": ["true"]}}, "the extra allow_calls"),
        (
            {"extra": {"call_body_style": "kebab"}},
            'the extra call_body_style must be camel, snake or both, got "kebab"',
        ),
        ({"extra": {"call_body_style": "Camel"}}, "the extra call_body_style"),
        ({"extra": {"call_body_style": True}}, "the extra call_body_style"),
        *(
            (
                {"extra": {"dashboard_url": url}},
                "the extra dashboard_url must be an https address with {id} in place of",
            )
            for url in (
                "https://app.example.com/agents",
                "http://app.example.com/agents/{id}",
                "javascript:alert({id})",
                "https:///agents/{id}",
                "https://user:pass@app.example.com/{id}",
                "https://[app/{id}",
                "/agents/{id}",
            )
        ),
        ({"extra": {"coordination": 1}}, "the extra coordination must be machine, process, or"),
        (
            {"extra": {"coordination": "cluster"}},
            "the extra coordination must be machine, process, or the address of a Redis",
        ),
        ({"extra": {"coordination": "Machine"}}, "the extra coordination"),
        ({"extra": {"coordination": f"https://:{PASSWORD}@redis.example.com"}}, "the extra coordination"),
        ({"extra": {"coordination": f"redis://:{PASSWORD}@"}}, "the extra coordination"),
        ({"extra": {"coordination": f"redis://:{PASSWORD}/@redis.example.com"}}, "the extra coordination"),
        ({"extra": {"coordination": f"redis://:{PASSWORD}@redis.example.com:0"}}, "the extra coordination"),
        ({"extra": {"coordination": f"redis://:{PASSWORD}@redis.example.com:65536"}}, "the extra coordination"),
        ({"extra": {"coordination": f"redis://:{PASSWORD}@redis.example.com/first"}}, "the extra coordination"),
        (
            {"extra": {"coordination": f"rediss://:{PASSWORD}@redis.example.com/0?ssl_cert_reqs=none"}},
            "the extra coordination",
        ),
        ({"extra": {"coordination": f"redis://:{PASSWORD}@two words"}}, "the extra coordination"),
        ({"extra": {"coordination": f"redis://:{PASSWORD}@[::1"}}, "the extra coordination"),
    ],
)
def test_connection_names_wrong_field(fields: dict[str, object], names: str) -> None:
    with pytest.raises(OpenCXConfigError) as wrong:
        settings_of(**fields)
    assert "Connection 'c'" in str(wrong.value)
    assert names in str(wrong.value)
    assert KEY not in str(wrong.value)
    assert PASSWORD not in str(wrong.value)


@pytest.mark.parametrize(
    "fields",
    [
        {"host": "http://{key}"},
        {"host": "http://{key}.example.com/"},
        {"host": "{key}", "schema": "http"},
        {"extra": {"timeout": "{key}"}},
        {"extra": {"max_retries": " {key} "}},
        {"extra": {"allow_insecure_http": "{key}"}},
        {"extra": {"verify_{key}": "true"}},
    ],
    ids=str,
)
@pytest.mark.parametrize("spelled", [str, str.upper, str.lower, str.swapcase], ids=lambda spelled: spelled.__name__)
def test_connection_hides_key_in_any_letter_case(spelled: Callable[[str], str], fields: dict[str, object]) -> None:
    key = "ocx_LIVE_s3Cret"
    fields = json.loads(json.dumps(fields).replace("{key}", spelled(key)))
    with pytest.raises(OpenCXConfigError, match=r"\*\*\*") as wrong:
        settings_of(password=f" {key}\n", **fields)
    assert key.lower() not in str(wrong.value).lower()


@pytest.mark.parametrize(
    "coordination",
    [
        "process",
        "machine",
        "redis://redis.example.com",
        "redis://redis.example.com:6380/3",
        "rediss://worker:p%40ss@redis.example.com/",
        "redis://[::1]:6379/0",
    ],
)
def test_connection_accepts_coordination_values(coordination: str) -> None:
    held = settings_of(extra={"coordination": f" {coordination} "}).coordination
    assert (held.reveal() if isinstance(held, Secret) else held) == coordination
    assert isinstance(held, Secret) == coordination.startswith("redis")


def test_connection_treats_redis_password_as_secret() -> None:
    settings = settings_of(extra={"coordination": "redis://worker:p%40ss-word@redis.example.com"})
    assert {secret.reveal() for secret in settings.secrets} == {KEY, "p%40ss-word", "p@ss-word"}
    assert "ss-word" not in repr(settings)


@pytest.mark.parametrize(
    ("name", "value", "read"),
    [
        ("timeout", 30, 30.0),
        ("timeout", "30", 30.0),
        ("timeout", " 30.5 ", 30.5),
        ("timeout", "3.6e3", 3600.0),
        ("max_retries", 0, 0),
        ("max_retries", 7.0, 7),
        ("max_retries", "7", 7),
        ("max_retries", "7.0", 7),
        ("requests_per_minute", "1000000", 1_000_000),
        ("coordination", " machine ", "machine"),
        ("allow_calls", True, True),
        ("allow_calls", "true", True),
        ("allow_calls", " False ", False),
        ("call_body_style", " both ", "both"),
        (
            "dashboard_url",
            " https://app.example.com/agents/{id}?tab=calls ",
            "https://app.example.com/agents/{id}?tab=calls",
        ),
        ("dashboard_url", "", ""),
        ("allow_insecure_http", True, True),
        ("allow_insecure_http", "true", True),
        ("allow_insecure_http", " TRUE ", True),
        ("allow_insecure_http", "False", False),
        ("no_such_extra", "1", None),
    ],
)
def test_connection_reads_extra(name: str, value: object, read: object) -> None:
    extras = Extras.parse(json.dumps({name: value}))
    assert getattr(extras, name, None) == read
    assert type(getattr(extras, name, None)) is type(read)
    assert extras.model_dump(exclude={name}) == Extras().model_dump(exclude={name})


def test_connection_form_declares_extras_as_they_are_read() -> None:
    read = Extras.model_json_schema()["properties"]
    declared = {name: field["schema"] for name, field in conn_fields().items()}
    assert list(read) == list(declared)
    for name, schema in read.items():
        del schema["title"]
        assert {**schema, "type": [schema["type"], "null"]} == declared[name], name


@pytest.mark.parametrize("empty", [None, "", " "])
def test_connection_empty_extra_means_default(empty: object) -> None:
    extra = dict.fromkeys((field.name for field in EXTRA_FIELDS), empty)
    assert settings_of(extra=extra) == settings_of()


@pytest.mark.parametrize(
    "variable",
    [
        json.dumps({"conn_type": "opencx", "password": KEY, "host": "http://127.0.0.1:8010", "extra": {"timeout": 9}}),
        f"opencx://:{KEY}@127.0.0.1:8010/http?timeout=9",
        f"opencx://http://:{KEY}@127.0.0.1:8010/?timeout=9",
    ],
    ids=["JSON", "URI", "URI with a second scheme"],
)
def test_connection_reads_json_or_uri_variable(variable: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_OPENCX_ENV", variable)
    settings = client_settings(OpenCXHook.get_connection("opencx_env"), user_agent="test")
    assert settings == ClientSettings("http://127.0.0.1:8010", KEY, 9.0, 4, 90, "test", "connection 'opencx_env'")


def test_connection_settings_repr_hides_key() -> None:
    assert KEY not in repr(settings_of())
