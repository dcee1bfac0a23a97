"""Tests that the simulator and the package have the same operations, which each declares for itself."""

from __future__ import annotations

import pytest

from airflow_provider_opencx.resources import all_operations
from airflow_provider_opencx.simulator.contract import load_contract, operation_ids
from airflow_provider_opencx.simulator.generations import GENERATIONS


def test_operations_of_the_package_are_those_of_the_documents() -> None:
    assert {operation.id for operation in all_operations()} == set(operation_ids())


@pytest.mark.parametrize("generation", GENERATIONS)
def test_operations_have_the_method_and_path_of_each_document(generation: str) -> None:
    declared = {operation.id: (operation.method, operation.path) for operation in all_operations()}
    for operation in load_contract(generation).operations.values():
        assert declared[operation.id] == (operation.method, operation.path)
