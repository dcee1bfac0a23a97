"""Faults that can be injected into upcoming requests.

Durations are wall-clock seconds, except in ``HandleLate`` and ``StaleList``, which use the simulator's clock.
"""

from __future__ import annotations

from collections.abc import Mapping

from airflow_provider_opencx.simulator.faults.connections import (
    CloseBeforeHandling,
    ForgetIdleConnections,
    HandleLate,
    LoseResponse,
    RefuseConnections,
    SlowBody,
    SlowResponse,
    TruncateResponse,
)
from airflow_provider_opencx.simulator.faults.dribbles import (
    EndlessGzipHeader,
    EndlessInformation,
    SlowChunks,
    SlowHeaders,
)
from airflow_provider_opencx.simulator.faults.encodings import (
    CompressedResponse,
    DecompressionBomb,
)
from airflow_provider_opencx.simulator.faults.fault import AlteringFault, Fault, Handle
from airflow_provider_opencx.simulator.faults.lists import (
    EmptyList,
    EndlessPages,
    IncompleteList,
    MovedPages,
    RepeatedIds,
    StaleList,
)
from airflow_provider_opencx.simulator.faults.requests import IgnoreFields, TidyText
from airflow_provider_opencx.simulator.faults.responses import (
    AlterItems,
    EmptyResponse,
    ErrorResponse,
    LargeHeaders,
    MalformedResponse,
    PlaceholderNumber,
    ProxyPage,
    RefuseAfterHandling,
    Respond,
    RespondInGeneration,
    RespondWithAnotherId,
    TooManyRequests,
)

FAULTS: Mapping[str, type[Fault]] = {
    fault.__name__: fault
    for fault in (
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
}
"""The faults of this package by class name, as the admin interface names them."""

__all__ = [
    "FAULTS",
    "AlterItems",
    "AlteringFault",
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
    "Handle",
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
    "SlowBody",
    "SlowChunks",
    "SlowHeaders",
    "SlowResponse",
    "StaleList",
    "TidyText",
    "TooManyRequests",
    "TruncateResponse",
]
