"""Tests that an error in a trigger becomes the same error in the worker."""

from __future__ import annotations

import json
import pickle
import subprocess
import sys

import pytest
from airflow.providers.common.compat.sdk import AirflowException, AirflowFailException

from airflow_provider_opencx import exceptions
from airflow_provider_opencx.exceptions import OpenCXError, OpenCXRateLimitError

ERRORS = [error for error in vars(exceptions).values() if isinstance(error, type) and issubclass(error, OpenCXError)]
PERMANENT = {
    "OpenCXPermanentError",
    "OpenCXConfigError",
    "OpenCXArgumentError",
    "OpenCXFleetFileError",
    "OpenCXAuthenticationPermanentError",
    "OpenCXPermissionPermanentError",
    "OpenCXNotFoundPermanentError",
    "OpenCXRequestRefusedPermanentError",
    "OpenCXRedirectPermanentError",
    "OpenCXCreateMismatchError",
    "OpenCXNotFoundAgainError",
    "OpenCXNameMismatchError",
    "OpenCXKeyMismatchError",
    "OpenCXPlanRefusedError",
    "OpenCXAmbiguousNameError",
    "OpenCXAgentExistsError",
    "OpenCXPlanChangedError",
    "OpenCXDriftError",
    "OpenCXFleetPermanentError",
    "OpenCXAgentNotFoundError",
    "OpenCXNearNameError",
    "OpenCXDraftError",
    "OpenCXGuardError",
    "OpenCXUnknownCallOutcomeError",
    "OpenCXCallsNotAllowedError",
    "OpenCXCallRefusedError",
    "OpenCXContactsChangedError",
    "OpenCXContactsMissingError",
    "OpenCXNoSuchOperationPermanentError",
    "OpenCXSequenceCanceledError",
    "OpenCXSequenceMismatchError",
    "OpenCXSequenceRefusedError",
    "OpenCXUnknownStartError",
    "OpenCXWatcherArgumentError",
}


@pytest.mark.parametrize("error_class", ERRORS)
def test_error_survives_event_and_pickle(error_class: type[OpenCXError]) -> None:
    error = error_class("what happened")
    for name in vars(error):
        setattr(error, name, {"agent_ids": ["1"], "changes": {"a": ["language"]}}.get(name, 7))
    for copy in (OpenCXError.from_event(json.loads(json.dumps(error.to_event()))), pickle.loads(pickle.dumps(error))):
        assert (type(copy), str(copy), vars(copy)) == (error_class, "what happened", vars(error))


@pytest.mark.parametrize("error_class", ERRORS)
def test_error_prevents_retry_only_if_permanent(error_class: type[OpenCXError]) -> None:
    assert issubclass(error_class, AirflowException)
    assert issubclass(error_class, AirflowFailException) == (error_class.__name__ in PERMANENT)
    assert error_class("what happened").is_permanent == (error_class.__name__ in PERMANENT)


def test_error_of_newer_version_keeps_message() -> None:
    error = OpenCXError.from_event({"error": "OpenCXFutureError", "message": "what happened"})
    assert type(error) is OpenCXError
    assert str(error) == "what happened"


def test_error_carries_status_and_retry_after() -> None:
    error = OpenCXRateLimitError("slow down", status_code=429, request_id="r1", retry_after=120.0)
    assert (error.status_code, error.message, error.request_id, error.retry_after) == (429, "slow down", "r1", 120.0)


ARGUMENT_ERROR = "PhoneAgentSpec.parse({'name': 5})"
SCRIPTS = {
    "without Airflow": (
        "from airflow_provider_opencx.resources.phone_agents import PhoneAgentSpec",
        [],
    ),
    "inside Airflow": (
        "import airflow; from airflow_provider_opencx.resources.phone_agents import PhoneAgentSpec",
        ["AirflowException", "AirflowFailException"],
    ),
    "Airflow imported later": (
        "from airflow_provider_opencx.resources.phone_agents import PhoneAgentSpec;"
        "import airflow_provider_opencx.operators.phone_agent",
        ["AirflowException", "AirflowFailException"],
    ),
    "the hook imported later": (
        "from airflow_provider_opencx.resources.phone_agents import PhoneAgentSpec;"
        "import airflow_provider_opencx.hooks.opencx",
        ["AirflowException", "AirflowFailException"],
    ),
}


@pytest.mark.parametrize("script", SCRIPTS)
def test_error_derives_from_airflow_only_inside_airflow(script: str) -> None:
    imports, bases = SCRIPTS[script]
    probe = f"""{imports}
try:
    {ARGUMENT_ERROR}
except ValueError as error:
    names = [base.__name__ for base in type(error).__mro__ if base.__module__.startswith("airflow.")]
    print(error.is_permanent, sorted(names))
"""
    printed = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True).stdout
    assert printed.splitlines()[-1] == f"True {bases}"


MODULES_OF_A_SCRIPT = (
    "resources.phone_agents",
    "resources.voices",
    "client.client",
    "connection.settings",
    "phone_agents.reconcile",
    "phone_agents.fleet_files.reader",
    "phone_agents.waiting",
    "simulator",
)


@pytest.mark.parametrize("module", MODULES_OF_A_SCRIPT)
def test_import_does_not_load_airflow(module: str) -> None:
    probe = (
        f"import airflow_provider_opencx.{module}, sys; print([m for m in sys.modules if m.split('.')[0] == 'airflow'])"
    )
    printed = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True).stdout
    assert printed == "[]\n"
