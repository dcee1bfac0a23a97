"""A read-only resource, as a contributor would add it to the simulator."""

from __future__ import annotations

from airflow_provider_opencx.simulator.handler import AcceptedRequest, Handlers
from airflow_provider_opencx.simulator.json_values import Json


def list_examples(request: AcceptedRequest) -> Json:
    return [{"id": "example_1", "org_id": request.organization}]


HANDLERS: Handlers = {"listExamples": list_examples}
