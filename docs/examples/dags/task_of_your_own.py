"""A task that uses the hook, and handles an error of it."""

from datetime import datetime

from airflow.sdk import DAG, get_current_context, task

from airflow_provider_opencx.exceptions import OpenCXAmbiguousNameError


@task(retries=2, max_active_tis_per_dag=1)
def keep_agent(name: str) -> dict[str, object]:
    """Keep an agent as declared, with the first voice that the service has."""
    # Imported here, so that parsing the Dag does not pay for it.
    from airflow_provider_opencx.hooks.opencx import OpenCXHook
    from airflow_provider_opencx.resources.phone_agents import PhoneAgentSpec
    from airflow_provider_opencx.task_state import intents_of

    hook = OpenCXHook("opencx_default")
    voice = hook.list_voices()[0]
    spec = PhoneAgentSpec(name=name, language=["en"], voice_id=voice.voice_id)
    intents, is_retry = intents_of(get_current_context())
    try:
        agent = hook.upsert_phone_agent(spec, is_retry=is_retry, intents=intents)
        return agent.as_dict()
    except OpenCXAmbiguousNameError as error:
        print("To be renamed by hand:", error.agent_ids)
        raise


with DAG(
    "task_of_your_own",
    schedule=None,
    start_date=datetime(2026, 1, 1),
):
    keep_agent("Support")
