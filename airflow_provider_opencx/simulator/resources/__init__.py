"""The API's resources. Every module or package in this folder is a resource, and is found automatically.

A resource has

- ``HANDLERS``: a handler for each of its operations, by the ``operationId`` in the OpenAPI documents;
- if tests should be able to change it from outside, ``ADMIN_ROUTES``: routes below ``/_simulator/``.

State of its own, for example what requests have created, is in a class that takes the service. ``service.state(Class)``
returns the service's instance of it. Methods for tests are in a subclass of ``Service`` from which ``Simulator``
derives.

``voices.py`` is a small resource, and ``phone_agents/`` one with all of this.
"""

from __future__ import annotations

from importlib import import_module
from pkgutil import iter_modules
from types import ModuleType

from airflow_provider_opencx.simulator.contract import ContractError, operation_ids
from airflow_provider_opencx.simulator.handler import Handlers


def find_resources() -> list[ModuleType]:
    """Import and return the resources."""
    return [import_module(f"{__name__}.{module.name}") for module in iter_modules(__path__)]


def load_handlers() -> Handlers:
    """Return the handler of each operation of the OpenAPI documents.

    Raises a ContractError if an operation has no handler or several, or a handler no operation.
    """
    handlers = [item for resource in find_resources() for item in resource.HANDLERS.items()]
    served = [operation for operation, _ in handlers]
    documented = operation_ids()
    if missing := [operation for operation in documented if operation not in served]:
        raise ContractError(f"No resource has a handler for {', '.join(missing)}.")
    if unknown := [operation for operation in served if operation not in documented]:
        raise ContractError(f"No OpenAPI document has {', '.join(unknown)}, for which there is a handler.")
    if repeated := {operation for operation in served if served.count(operation) > 1}:
        raise ContractError(f"There are several handlers for {', '.join(sorted(repeated))}.")
    by_operation = dict(handlers)
    return {operation: by_operation[operation] for operation in documented}
