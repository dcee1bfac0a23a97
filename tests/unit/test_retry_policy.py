"""Tests that the retry policy retries when the service asks to, and gives up when a retry cannot help."""

from __future__ import annotations

from datetime import timedelta

import pytest

pytest.importorskip("airflow.sdk.definitions.retry_policy", reason="tasks take a retry_policy since Airflow 3.3")
from airflow.sdk import RetryAction, RetryDecision

from airflow_provider_opencx.exceptions import (
    OpenCXAuthenticationPermanentError,
    OpenCXError,
    OpenCXPlanRefusedError,
    OpenCXRateLimitError,
    OpenCXServerError,
    OpenCXUnknownOutcomeError,
)
from airflow_provider_opencx.retry_policy import OpenCXRetryPolicy, opencx_retry_policy


def decide(exception: BaseException) -> RetryDecision:
    return opencx_retry_policy().evaluate(exception, try_number=1, max_tries=3)


def caused_by(cause: BaseException) -> RuntimeError:
    error = RuntimeError("a task of the user's own failed")
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    "error", [OpenCXAuthenticationPermanentError("bad key"), OpenCXPlanRefusedError("several")], ids=repr
)
@pytest.mark.parametrize("met", [lambda error: error, caused_by, lambda error: caused_by(caused_by(error))])
def test_retry_policy_fails_permanent_errors_at_once(met: type[BaseException], error: OpenCXError) -> None:
    decision = decide(met(error))
    assert decision.action is RetryAction.FAIL
    assert type(error).__name__ in (decision.reason or "")


@pytest.mark.parametrize("error_class", [OpenCXRateLimitError, OpenCXServerError, OpenCXUnknownOutcomeError])
def test_retry_policy_waits_as_service_asks(
    error_class: type[OpenCXRateLimitError | OpenCXServerError | OpenCXUnknownOutcomeError],
) -> None:
    decisions = [decide(error_class("later", retry_after=600.0)) for _ in range(50)]
    assert {decision.action for decision in decisions} == {getattr(RetryAction, "RESCHEDULE", RetryAction.RETRY)}
    delays = {decision.retry_delay for decision in decisions}
    assert all(delay and timedelta(seconds=600) <= delay <= timedelta(seconds=660) for delay in delays)
    assert len(delays) > 1, "a hundred tasks that were told to wait return as one"


@pytest.mark.parametrize(
    "error",
    [
        OpenCXRateLimitError("soon", retry_after=60.0),
        OpenCXRateLimitError("not said"),
        OpenCXServerError("now"),
        OpenCXUnknownOutcomeError("maybe"),
        KeyError("none of ours"),
    ],
    ids=repr,
)
def test_retry_policy_leaves_other_errors_to_task(error: BaseException) -> None:
    assert decide(error) == RetryDecision.default()


def test_retry_policy_survives_circular_cause() -> None:
    first, second = RuntimeError(), RuntimeError()
    first.__cause__, second.__cause__ = second, first
    assert decide(first) == RetryDecision.default()


def test_retry_policy_round_trips_serialization() -> None:
    assert isinstance(OpenCXRetryPolicy.deserialize(opencx_retry_policy().serialize()), OpenCXRetryPolicy)
