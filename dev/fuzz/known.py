"""Findings that are known, and yet to be fixed: a run counts them apart, and does not fail for them."""

from __future__ import annotations

from collections.abc import Mapping

_SPELLED = "the key is masked as it is, and not in other spellings or in part"

KNOWN: Mapping[str, str] = {
    "key in message": f"{_SPELLED}; what an agent is compared with is not masked",
    "key in repr of an error": _SPELLED,
    "key in traceback": _SPELLED,
    "key in event": _SPELLED,
    "key in attribute request_id": _SPELLED,
    "key in log record of airflow_provider_opencx": f"{_SPELLED}; what agents hold is not masked",
    "key in result": "what agents hold is returned as it is",
}
"""How each kind begins, and why it is there still."""


def is_known(kind: str) -> bool:
    """Return whether findings of a kind are known."""
    return any(kind.startswith(beginning) for beginning in KNOWN)
