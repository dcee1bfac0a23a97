"""Tests the URIs of assets: one for each name of any kind, and an error for a URI that is not valid."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from airflow.sdk import Asset

from airflow_provider_opencx.assets import (
    agent_asset,
    agent_named_by,
    agents_asset,
    phone_number_asset,
    sequence_asset,
    training_asset,
)
from airflow_provider_opencx.exceptions import OpenCXArgumentError

COMPOSED, DECOMPOSED = "Caf\u00e9", "Cafe\u0301"


@pytest.mark.parametrize(
    ("asset", "uri"),
    [
        (agents_asset(), "opencx://opencx_default/agents"),
        (agent_asset("Renewals"), "opencx://opencx_default/agents/Renewals"),
        (agent_asset("Renewals", "opencx.staging-1"), "opencx://opencx.staging-1/agents/Renewals"),
        (agent_asset("Renewals", "a/b:c@d"), "opencx://a%2Fb%3Ac%40d/agents/Renewals"),
        (phone_number_asset("Renewals"), "opencx://opencx_default/agents/Renewals/phone_number"),
        (agent_asset("50% off / today? #1"), "opencx://opencx_default/agents/50%25%20off%20%2F%20today%3F%20%231"),
        (agent_asset("%20"), "opencx://opencx_default/agents/%2520"),
        (agent_asset("phone_number"), "opencx://opencx_default/agents/phone_number"),
        (agent_asset(DECOMPOSED), "opencx://opencx_default/agents/Caf%C3%A9"),
        (agent_asset("/"), "opencx://opencx_default/agents/%2F"),
        (training_asset(), "opencx://opencx_default/training/default"),
        (training_asset("spring 2026"), "opencx://opencx_default/training/spring%202026"),
        (sequence_asset("airflow:renewals"), "opencx://opencx_default/sequences/airflow%3Arenewals"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_address_is_percent_encoded_and_stays_as_it_is(asset: Asset, uri: str) -> None:
    assert (asset.uri, asset.name) == (uri, uri)
    assert Asset(uri) == asset
    assert str(asset.uri).isascii()


@pytest.mark.parametrize(
    "other", [f"  {COMPOSED}\n", DECOMPOSED, COMPOSED], ids=["white space", "decomposed", "the same"]
)
def test_names_that_are_compared_as_one_have_one_asset(other: str) -> None:
    assert agent_asset(other) == agent_asset(COMPOSED)
    by_hand = Asset(name="by hand", uri=f"opencx://opencx_default/agents/{other.strip()}")
    assert by_hand.uri == agent_asset(COMPOSED).uri


def test_names_that_differ_have_assets_of_their_own() -> None:
    names = ["a", "A", "a/b", "a%2Fb", "a b", "a+b", "a%20b", "a/phone_number", "phone_number"]
    uris = {make(name).uri for name in names for make in (agent_asset, phone_number_asset)}
    assert len(uris) == 2 * len(names)


@pytest.mark.parametrize(
    ("uri", "problem"),
    [
        ("opencx://opencx_default", "its path is not known"),
        ("opencx://opencx_default/", "its path is not known"),
        ("opencx://opencx_default/agent/x", "its path is not known"),
        ("opencx://opencx_default/agents/%20", "its path is not known"),
        ("opencx://opencx_default/agents/x/number", "its path is not known"),
        ("opencx://opencx_default/agents/a/b", "its path is not known"),
        ("opencx://opencx_default/training", "its path is not known"),
        ("opencx:///agents/x", "it names no connection"),
        ("opencx:agents", "it names no connection"),
        ("opencx://opencx_default:443/agents", "it has a user, a port"),
        ("opencx://opencx_default/agents/x?y=1", "it has a user, a port, a query"),
        ("opencx://opencx_default/agents/%ff", "codec"),
        ("opencx://opencx_default/agents/{{ params.name }}", "Airflow renders no template in an asset"),
        ("opencx://{{ var.value.conn }}/agents", "Airflow renders no template in an asset"),
        ("OPENCX://opencx_default/agent/x", "its path is not known"),
    ],
)
def test_wrong_address_is_refused_where_the_dag_is_parsed(uri: str, problem: str) -> None:
    with pytest.raises(OpenCXArgumentError, match=problem) as refused:
        Asset(uri)
    assert isinstance(refused.value, ValueError)
    assert "Write opencx://CONNECTION/agents" in str(refused.value)


@pytest.mark.parametrize(
    ("make", "problem"),
    [
        (lambda: agent_asset(""), "name: must be a string that is not empty"),
        (lambda: agent_asset("  "), "name: must be a string"),
        (lambda: agent_asset(None), "name: must be a string"),  # type: ignore[arg-type]
        (lambda: phone_number_asset("{{ params.name }}"), "name: Airflow renders no template in an asset"),
        (lambda: agents_asset("{{ params.conn }}"), "opencx_conn_id: Airflow renders no template"),
        (lambda: agents_asset(""), "opencx_conn_id: must be a string"),
        (lambda: training_asset(""), "collection: must be"),
        (lambda: sequence_asset(" "), "custom_id: must be"),
    ],
)
def test_wrong_argument_is_refused_by_its_name(make: Callable[[], Any], problem: str) -> None:
    with pytest.raises(OpenCXArgumentError, match=f"^{problem}"):
        make()


@pytest.mark.parametrize(
    ("uri", "name"),
    [
        (agent_asset("a / b").uri, "a / b"),
        (phone_number_asset("a / b").uri, "a / b"),
        (agents_asset().uri, None),
        (sequence_asset("a").uri, None),
        ("s3://bucket/agents/a", None),
        ("agents", None),
    ],
)
def test_agent_of_an_asset_is_read_from_its_address(uri: str, name: str | None) -> None:
    assert agent_named_by(uri) == name
