"""The resources of the API, one file for each: its models, and its operations as plain functions.

A new resource is a new file here that declares its operations as module-level names. Code that lists the operations,
such as the documentation, finds them by :func:`all_operations`.
"""

from __future__ import annotations

from importlib import import_module
from pkgutil import iter_modules
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from airflow_provider_opencx.client.operation import Operation


def all_operations() -> list[Operation]:
    """Return every operation of every resource, in the order of the modules' names and of their lines."""
    from airflow_provider_opencx.client.operation import Operation

    modules = [import_module(f"{__name__}.{module.name}") for module in iter_modules(__path__)]
    found = [value for module in modules for value in vars(module).values() if isinstance(value, Operation)]
    return list({id(operation): operation for operation in found}.values())  # one module may import another's
