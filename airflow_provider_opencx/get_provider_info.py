"""The provider's metadata for Airflow, through the ``apache_airflow_provider`` entry point.

Airflow calls this while it reads its own configuration: it imports nothing heavy and nothing of Airflow.
"""

from __future__ import annotations

from airflow_provider_opencx import __version__
from airflow_provider_opencx.connection import form

_INTEGRATION = "OpenCX"


def get_provider_info() -> dict[str, object]:
    """Return the provider's metadata; Airflow checks it against its ``provider_info.schema.json``."""

    def modules(*names: str) -> list[dict[str, object]]:
        return [{"integration-name": _INTEGRATION, "python-modules": [f"airflow_provider_opencx.{n}" for n in names]}]

    return {
        "package-name": "airflow-provider-opencx",
        "name": "OpenCX",
        "description": "`OpenCX <https://docs.open.cx/>`__ AI phone agents: create them, keep them and what they know"
        " as declared, wait for their phone numbers.",
        "versions": [__version__],
        "integrations": [
            {
                "integration-name": _INTEGRATION,
                "external-doc-url": "https://docs.open.cx/",
                "tags": ["service"],
            }
        ],
        "hooks": modules("hooks.opencx"),
        "operators": modules(
            "operators.phone_agent",
            "operators.training",
            "operators.call",
            "operators.sequence",
            "operators.conversation",
        ),
        "sensors": modules("sensors.phone_number", "sensors.calling_hours", "sensors.sequence", "sensors.conversation"),
        "triggers": modules(
            "triggers.phone_number", "triggers.sequence", "triggers.conversation", "triggers.phone_agent_events"
        ),
        "transfers": [
            {
                "source-integration-name": _INTEGRATION,
                "target-integration-name": "Common IO",
                "python-module": "airflow_provider_opencx.transfers.opencx_to_object_storage",
            }
        ],
        "asset-uris": [{"schemes": ["opencx"], "handler": "airflow_provider_opencx.assets.sanitize_uri"}],
        "extra-links": [
            "airflow_provider_opencx.links.opencx.OpenCXPhoneAgentLink",
            "airflow_provider_opencx.links.opencx.OpenCXSequenceLink",
        ],
        "config": {
            "opencx": {
                "description": "What this provider adds to Airflow.",
                "options": {
                    "agents_page": {
                        "description": "Whether Airflow's UI has a page of phone agents and sequences, under Browse,"
                        " for everyone who may read a connection of type ``opencx``. Airflow 3.1 and later; the API"
                        " server reads it when it starts.",
                        "version_added": "0.1.0",
                        "type": "boolean",
                        "example": "True",
                        "default": "False",
                    }
                },
            }
        },
        "cli": ["airflow_provider_opencx.cli.airflow_commands.airflow_commands"],
        "connection-types": [
            {
                "connection-type": form.CONN_TYPE,
                "hook-class-name": "airflow_provider_opencx.hooks.opencx.OpenCXHook",
                "hook-name": form.HOOK_NAME,
                "ui-field-behaviour": {
                    "hidden-fields": form.HIDDEN_FIELDS,
                    "relabeling": form.RELABELING,
                    "placeholders": form.PLACEHOLDERS,
                },
                "conn-fields": form.conn_fields(),
            }
        ],
    }
