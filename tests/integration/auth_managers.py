"""Auth managers for the API servers of the tests."""

from __future__ import annotations

from typing import Any

from airflow.api_fastapi.auth.managers.simple.simple_auth_manager import SimpleAuthManager


class ReadingAuthManager(SimpleAuthManager):
    """The simple auth manager, in which a user may read connections and not edit them, and a viewer reads no XCom."""

    def is_authorized_connection(self, *, method: Any, user: Any, details: Any = None) -> bool:
        is_reader = method == "GET" and user.role.lower() in ("user", "viewer")
        return is_reader or super().is_authorized_connection(method=method, user=user, details=details)

    def is_authorized_dag(self, *, method: Any, user: Any, access_entity: Any = None, details: Any = None) -> bool:
        if getattr(access_entity, "value", None) == "XCOM" and user.role.lower() == "viewer":
            return False
        return super().is_authorized_dag(method=method, user=user, access_entity=access_entity, details=details)
