"""Tests what workers and triggerers send to a statsd."""

from __future__ import annotations

import socket
from collections import Counter

from airflow_standalone import AirflowStandalone

from airflow_provider_opencx.simulator import Respond, Simulator

from .statsd import Statsd


def test_metrics_reach_statsd_once_with_tags(airflow: AirflowStandalone, simulator: Simulator, statsd: Statsd) -> None:
    statsd.received.clear()
    simulator.provision_after = "5s"
    simulator.fail("listPhoneAgents", Respond(429, headers={"Retry-After": "1"}))
    simulator.fail("listPhoneAgents", Respond(503))
    airflow.run_dag("measured", within=300)
    counts = statsd.counts()
    statuses = Counter((request.operation, str(request.status)) for request in simulator.requests)
    assert counts == {
        **{
            f"opencx.requests,operation={operation},status={status}": count
            for (operation, status), count in statuses.items()
        },
        "opencx.retries,operation=listPhoneAgents": 2,
        "opencx.rate_limited,operation=listPhoneAgents": 1,
        "opencx.agents,decision=created": 1,
    }
    for operation, sent in Counter(request.operation for request in simulator.requests).items():
        assert len(statsd.values(f"opencx.request_duration,operation={operation}", "ms")) == sent
    poked, deferred = statsd.values("opencx.time_to_number", "ms")
    assert 0 < poked < 300_000
    assert 0 < deferred < 300_000
    waiting = statsd.values(f"opencx.waiting_agents,conn_id=opencx_default,hostname={socket.gethostname()}", "g")
    assert set(waiting) == {1.0, 0.0}
    assert waiting[-1] == 0
    assert "ecret" not in str(statsd.received)
