"""An operator that waits for an agent's number in the triggerer, and then does something with it."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from airflow.sdk import DAG, BaseOperator, Context

from airflow_provider_opencx.triggers.phone_number import (
    OpenCXPhoneNumberTrigger,
    result_of,
)


class AnnounceNumberOperator(BaseOperator):
    """Waits for an agent's number, and returns what to tell about it."""

    def __init__(self, *, agent_name: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.agent_name = agent_name

    def execute(self, context: Context) -> None:
        """Leave the worker until the number is there."""
        trigger = OpenCXPhoneNumberTrigger(
            "opencx_default",
            agent_name=self.agent_name,
            poll_interval=30,
        )
        self.defer(trigger=trigger, method_name="announce")

    def announce(self, context: Context, event: Mapping[str, Any]) -> str:
        """Go on with the agent, or raise the error that the trigger met."""
        agent = result_of(event)
        return f"Call {agent['phone_number']} to reach {agent['name']}."


with DAG("operator_of_your_own", schedule=None, start_date=datetime(2026, 1, 1)):
    AnnounceNumberOperator(task_id="announce", agent_name="Front desk")
