"""Tests that no redirect takes the key along: only the service itself gets a request."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from airflow_provider_opencx.exceptions import OpenCXRedirectError
from airflow_provider_opencx.resources.phone_agents import (
    PhoneAgentChanges,
    PhoneAgentSpec,
    create_phone_agent,
    list_phone_agents,
    update_phone_agent,
)

SPEC = PhoneAgentSpec.parse({"name": "a"})


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize(
    "request_of",
    [
        list_phone_agents,
        lambda client: create_phone_agent(client, SPEC),
        lambda client: update_phone_agent(client, "pa_1", PhoneAgentChanges.parse({"first_message": "Hi"})),
    ],
    ids=["GET", "POST", "PATCH"],
)
def test_redirect_raises_and_is_not_followed(
    status: int, request_of: Any, send: Any, serve: Callable[..., Any]
) -> None:
    elsewhere = serve()
    service = serve(status, {"Location": f"{elsewhere.url}/phone", "Refresh": f"0; url={elsewhere.url}"})
    with pytest.raises(OpenCXRedirectError, match="Redirects are not followed: set the connection's Base URL") as error:
        send(request_of, service.url)
    assert error.value.status_code == status
    assert (len(service.seen), elsewhere.seen) == (1, [])
