"""Tests the messages for an Airflow that is too old for a feature."""

from __future__ import annotations

import importlib
import sys

import airflow.sdk
import pytest


def test_import_explains_missing_retry_policy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "airflow.sdk.definitions.retry_policy", None)
    for name in ("RetryPolicy", "RetryDecision"):
        monkeypatch.delitem(vars(airflow.sdk), name, raising=False)
    monkeypatch.delitem(sys.modules, "airflow_provider_opencx.retry_policy", raising=False)
    with pytest.raises(ImportError, match=r"needs Airflow 3\.3 or later.* permanent errors"):
        importlib.import_module("airflow_provider_opencx.retry_policy")
