"""A fault of your own for the simulator."""

# ruff: noqa: S101 - what is asserted here is what the reader should know
import httpx

from airflow_provider_opencx.simulator import Fault, Simulator


class Impostor(Fault):
    """While the create is on its way, somebody makes the same agent."""

    async def respond(self, call, handle):
        """Make the agent, then handle the create."""
        simulator.add_agent("Support")
        return handle(call)


with Simulator() as simulator:
    simulator.fail("createPhoneAgent", Impostor())
    response = httpx.post(
        f"{simulator.url}/phone",
        headers={"Authorization": "Bearer test-key"},
        json={"name": "Support"},
    )
    assert response.status_code == 200
    assert len(simulator.agents()) == 2
