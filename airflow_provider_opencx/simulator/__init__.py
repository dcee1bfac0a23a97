"""A stand-in OpenCX API for development and tests. It is not the real service.

Run it with ``python -m airflow_provider_opencx.simulator``, or inside a test::

    from airflow_provider_opencx.simulator import LoseResponse, Simulator

    with Simulator(provision_after="2reads") as simulator:
        simulator.fail("createPhoneAgent", LoseResponse())
        ...  # talk to simulator.url with the key "test-key"
        assert simulator.count("createPhoneAgent") == 1

A simulator that runs as a process is controlled over HTTP, under ``/_simulator/``. See ``docs/test/simulator.md``, and
``docs/test/testing.md`` for testing Dags with it.

It is built from the OpenAPI documents in ``openapi/``, one for each generation of the API, and imports nothing else of
this package. The names below are loaded when they are first used, so that importing this module is cheap and needs
none of the simulator's requirements.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from airflow_provider_opencx.simulator.faults import (
        AlterItems,
        CloseBeforeHandling,
        CompressedResponse,
        DecompressionBomb,
        EmptyList,
        EmptyResponse,
        EndlessGzipHeader,
        EndlessInformation,
        EndlessPages,
        ErrorResponse,
        Fault,
        ForgetIdleConnections,
        HandleLate,
        IgnoreFields,
        IncompleteList,
        LargeHeaders,
        LoseResponse,
        MalformedResponse,
        MovedPages,
        PlaceholderNumber,
        ProxyPage,
        RefuseAfterHandling,
        RefuseConnections,
        RepeatedIds,
        Respond,
        RespondInGeneration,
        RespondWithAnotherId,
        SlowBody,
        SlowChunks,
        SlowHeaders,
        SlowResponse,
        StaleList,
        TidyText,
        TooManyRequests,
        TruncateResponse,
    )
    from airflow_provider_opencx.simulator.server import Simulator

__all__ = [
    "AlterItems",
    "CloseBeforeHandling",
    "CompressedResponse",
    "DecompressionBomb",
    "EmptyList",
    "EmptyResponse",
    "EndlessGzipHeader",
    "EndlessInformation",
    "EndlessPages",
    "ErrorResponse",
    "Fault",
    "ForgetIdleConnections",
    "HandleLate",
    "IgnoreFields",
    "IncompleteList",
    "LargeHeaders",
    "LoseResponse",
    "MalformedResponse",
    "MovedPages",
    "PlaceholderNumber",
    "ProxyPage",
    "RefuseAfterHandling",
    "RefuseConnections",
    "RepeatedIds",
    "Respond",
    "RespondInGeneration",
    "RespondWithAnotherId",
    "Simulator",
    "SlowBody",
    "SlowChunks",
    "SlowHeaders",
    "SlowResponse",
    "StaleList",
    "TidyText",
    "TooManyRequests",
    "TruncateResponse",
]


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = "server" if name == "Simulator" else "faults"
    return getattr(import_module(f"{__name__}.{module}"), name)
