"""How Sphinx builds these pages: ``sphinx-build -W -b html docs docs/_build/html``. It needs no network."""

from __future__ import annotations

import atexit
import inspect
import os
import re
import shutil
import sys
import tempfile
from typing import Any

# Before anything imports Airflow, which makes this folder, and a configuration in it.
os.environ["AIRFLOW_HOME"] = tempfile.mkdtemp(prefix="opencx-docs-")
atexit.register(shutil.rmtree, os.environ["AIRFLOW_HOME"], ignore_errors=True)

from airflow.sdk.bases.operator import BaseOperator  # noqa: E402
from docutils import nodes  # noqa: E402
from docutils.statemachine import StringList  # noqa: E402
from sphinx.application import Sphinx  # noqa: E402
from sphinx.util.docutils import SphinxDirective  # noqa: E402

from airflow_provider_opencx import __version__  # noqa: E402
from airflow_provider_opencx.connection.form import DEFAULT_CONN_ID  # noqa: E402
from airflow_provider_opencx.exceptions import OpenCXError  # noqa: E402
from airflow_provider_opencx.phone_agents.plan import IfExists  # noqa: E402
from airflow_provider_opencx.phone_agents.reconcile import OnMismatch  # noqa: E402
from airflow_provider_opencx.resources import all_operations  # noqa: E402

project = "airflow-provider-opencx"
author = "The authors of airflow-provider-opencx"
project_copyright = "the authors of airflow-provider-opencx; Apache License 2.0"
version = release = __version__

extensions = ["myst_parser", "sphinx.ext.autodoc"]
exclude_patterns = ["_build", "examples"]
myst_heading_anchors = 3
nitpicky = True
# Names of other packages, which would be looked up over the network, and of modules that are not public.
nitpick_ignore_regex = [
    ("py:.*", r"(?!airflow_provider_opencx\.).*"),
    ("py:class", r"airflow_provider_opencx\.(client\.client|simulator\.call|simulator\.faults\.Handle).*"),
]

html_theme = "furo"
html_title = f"airflow-provider-opencx {release}"
html_static_path = ["_static"]
html_css_files = ["pages.css"]
html_theme_options = {"navigation_with_keys": True}
html_copy_source = False
html_show_sphinx = False

add_module_names = False
autodoc_member_order = "bysource"
autodoc_preserve_defaults = True
python_maximum_signature_line_length = 130  # module names count, and are not shown

_NAME = re.compile(r"\b[A-Za-z_]\w*\b")
_DEFAULT_CONN_ID = ("form.DEFAULT_CONN_ID", repr(DEFAULT_CONN_ID))
_ANNOTATED = re.compile(r"Annotated\[(\w+), [^\]]*\]")
_IMPORTED_FOR_TYPES_ALONE = {
    alias: str(choices).removeprefix("typing.")
    for alias, choices in {"OnMismatch": OnMismatch, "IfExists": IfExists}.items()
}


def setup(app: Sphinx) -> None:
    """Register the signatures that an author of a Dag reads and writes, and the table of operations."""
    app.connect("autodoc-process-signature", _signature)
    app.add_directive("opencx-operations", _OperationsTable)


class _OperationsTable(SphinxDirective):
    """A table of every operation of the API that the package uses, from their declarations."""

    def run(self) -> list[nodes.Node]:
        rows = [("Request", "Operation", "Scope", "Sent again", "Confidence", "What it does")]
        rows += [
            (
                f"``{operation.method} {operation.path}``",
                f"``{operation.id}``",
                f"``{operation.scope}``",
                "yes" if operation.repeatable else "no",
                operation.confidence,
                operation.summary.replace("`", "``"),
            )
            for operation in all_operations()
        ]
        lines = [".. list-table::", "   :header-rows: 1", ""]
        for row in rows:
            lines += [f"   {'* -' if column == 0 else '  -'} {cell}" for column, cell in enumerate(row)]
        container = nodes.container()
        self.state.nested_parse(StringList(lines, source="opencx-operations"), self.content_offset, container)
        return container.children


def _signature(
    app: Sphinx, what: str, name: str, documented: object, options: object, *written: str
) -> tuple[str, str] | None:
    signature, returns = written
    if isinstance(documented, type) and issubclass(documented, BaseOperator):
        return _signature_of_operator(documented), ""
    if isinstance(documented, type) and issubclass(documented, OpenCXError) and "__init__" not in vars(documented):
        return "", ""  # that of the class above it
    return (_readable(signature), returns) if signature else None


def _readable(signature: str) -> str:
    """Return a signature with what its types stand for, and a model's fields as an author spells them."""
    signature = _NAME.sub(lambda name: _IMPORTED_FOR_TYPES_ALONE.get(name[0], name[0]), signature)
    return _ANNOTATED.sub(r"\1", signature).replace("actionIds", "action_ids").replace(*_DEFAULT_CONN_ID)


def _signature_of_operator(operator: type[BaseOperator]) -> str:
    """Return the arguments of an operator and of its bases in this package; Airflow's own are ``**kwargs``."""
    written: dict[str, str] = {}
    for cls in reversed(operator.__mro__):
        if cls.__module__.startswith("airflow_provider_opencx.") and "__init__" in vars(cls):
            module = vars(sys.modules[cls.__module__])
            parameters = inspect.signature(inspect.unwrap(vars(cls)["__init__"])).parameters.values()
            written |= {p.name: _written(p, module) for p in parameters if p.kind is p.KEYWORD_ONLY}
    if "deferrable" in written:  # its default is that of the Airflow that builds these pages
        written["deferrable"] = "deferrable: bool = <[operators] default_deferrable>"
    return f"({', '.join(['*', *written.values(), '**kwargs'])})"


def _written(parameter: inspect.Parameter, module: dict[str, Any]) -> str:
    """Return a parameter as it is written, with the types that an alias stands for in its place."""
    aliases = {name: value for name, value in module.items() if isinstance(value, str)}
    annotation = _NAME.sub(lambda name: aliases.get(name[0], name[0]), str(parameter.annotation))
    annotation = _readable(annotation).replace("LeftOut | ", "").replace(" | LeftOut", "")
    default = "" if parameter.default is parameter.empty else f" = {parameter.default!r}"
    return f"{parameter.name}: {annotation}{default}"
