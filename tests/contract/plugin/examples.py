"""A resource with state, as a contributor would add it to the simulator."""

from __future__ import annotations

from itertools import count

from airflow_provider_opencx.simulator.handler import AcceptedRequest, Handlers
from airflow_provider_opencx.simulator.json_values import Json
from airflow_provider_opencx.simulator.service import Service


class Examples:
    """Counts how often they were read."""

    def __init__(self, service: Service) -> None:
        self.reads = count(1)


def list_examples(request: AcceptedRequest) -> Json:
    read = next(request.service.state(Examples).reads)
    return [{"id": f"example_{read}", "org_id": request.organization}]


HANDLERS: Handlers = {"listExamples": list_examples}
