"""Finds the organization that a control request is for."""

from __future__ import annotations

from starlette.exceptions import HTTPException
from starlette.requests import Request

from airflow_provider_opencx.simulator.call import bearer_key
from airflow_provider_opencx.simulator.service import Service


def key_in(service: Service, request: Request) -> str | None:
    """Return the key in the ``Authorization`` header, which chooses the organization; None is the first one."""
    if "authorization" not in request.headers:
        return None
    api_key = bearer_key(request.headers["authorization"])
    if service.organization_of(api_key) is None:
        raise HTTPException(401, "The simulator has no such API key")
    return api_key
