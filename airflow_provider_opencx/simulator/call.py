"""A request for one operation, as faults and handlers get it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from airflow_provider_opencx.simulator.json_values import read_json, write_json


def bearer_key(authorization: str) -> str:
    """Return the key in the value of an ``Authorization`` header; empty if there is none."""
    scheme, _, key = authorization.partition(" ")
    return key.strip() if scheme.lower() == "bearer" else ""


@dataclass(frozen=True)
class Call:
    """A request for one operation, before authentication and validation."""

    operation: str
    method: str
    path: str
    query: Mapping[str, str]
    path_parameters: Mapping[str, str]
    authorization: str = field(repr=False)
    body: bytes

    def without_fields(self, names: frozenset[str]) -> Call:
        """Return this request without some fields of its body. A body that is not a JSON object is unchanged."""
        try:
            body = read_json(self.body)
        except ValueError:
            return self
        if not isinstance(body, dict):
            return self
        rest = {name: value for name, value in body.items() if name not in names}
        return replace(self, body=write_json(rest).encode())
