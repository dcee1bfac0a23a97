"""What workers and triggerers send to a statsd."""

from __future__ import annotations

import socket
import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path

import pytest
from airflow_standalone import AirflowStandalone

from airflow_provider_opencx.simulator import Respond, Simulator


class Statsd:
    """Receives what a statsd client sends."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self._socket.settimeout(0.1)
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._receive)
        self.port = self._socket.getsockname()[1]
        self.received: list[tuple[str, float, str]] = []

    def __enter__(self) -> Statsd:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()
        self._socket.close()

    def counts(self) -> Counter[str]:
        """Return the counters of this provider."""
        counts: Counter[str] = Counter()
        for name, value, kind in self.received:
            if kind == "c":
                counts[name] += int(value)
        return counts

    def values(self, name: str, kind: str) -> list[float]:
        """Return the values of a timer (``ms``), in milliseconds, or of a gauge (``g``)."""
        return [value for of, value, of_kind in self.received if (of, of_kind) == (name, kind)]

    def _receive(self) -> None:
        while not self._over.is_set():
            with suppress(TimeoutError):
                for line in self._socket.recv(65536).decode().splitlines():
                    name, _, rest = line.partition(":")
                    value, kind, *_ = rest.split("|")
                    if name.startswith("airflow.opencx."):
                        self.received.append((name.removeprefix("airflow."), float(value), kind))


@pytest.fixture
def statsd() -> Iterator[Statsd]:
    with Statsd() as running:
        yield running


def test_metrics_reach_statsd_once_with_tags(
    simulator: Simulator, statsd: Statsd, connections: Mapping[str, str], dags: Path, tmp_path: Path
) -> None:
    simulator.provision_after = "5s"
    simulator.fail("listPhoneAgents", Respond(429, headers={"Retry-After": "1"}))
    simulator.fail("listPhoneAgents", Respond(503))
    variables = {
        **connections,
        "AIRFLOW__METRICS__STATSD_ON": "True",
        "AIRFLOW__METRICS__STATSD_HOST": "127.0.0.1",
        "AIRFLOW__METRICS__STATSD_PORT": str(statsd.port),
        "AIRFLOW__METRICS__STATSD_INFLUXDB_ENABLED": "True",
    }
    with AirflowStandalone(tmp_path / "airflow", dags, variables) as airflow:
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
