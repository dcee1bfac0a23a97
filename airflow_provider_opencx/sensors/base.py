"""The base class of all sensors of this package."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import BaseSensorOperator

from airflow_provider_opencx.template_mixin import OpenCXTemplateMixin, with_templates_checked

if TYPE_CHECKING:
    from airflow.sdk import Context
    from airflow.sdk.definitions.mappedoperator import OperatorPartial
    from jinja2 import Environment


class BaseOpenCXSensor(BaseSensorOperator, OpenCXTemplateMixin):
    """Base of all sensors of this package: their way with templates."""

    ui_color = "#d9e8fb"

    @classmethod
    def partial(cls, **kwargs: Any) -> OperatorPartial:
        """Return a sensor to be mapped; raises ``OpenCXArgumentError`` for a template that cannot be parsed."""
        return with_templates_checked(super().partial(**kwargs), kwargs)

    def render_template(
        self,
        content: object,
        context: Context,
        jinja_env: Environment | None = None,
        seen_oids: set[int] | None = None,
    ) -> object:
        """Render a template field; Airflow calls this for each. What holds no template arrives as it was written."""
        renders = partial(super().render_template, context=context, jinja_env=jinja_env, seen_oids=seen_oids)
        return self._rendered_field(renders, content, context, seen_oids)
