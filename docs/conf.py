"""Configures Sphinx for these pages: ``sphinx-build -W -b html docs docs/_build/html``. It needs no network."""

from __future__ import annotations

import atexit
import os
import re
import shutil
import tempfile

# Before anything imports Airflow, which makes this folder, and a configuration in it.
os.environ["AIRFLOW_HOME"] = tempfile.mkdtemp(prefix="opencx-docs-")
atexit.register(shutil.rmtree, os.environ["AIRFLOW_HOME"], ignore_errors=True)

from docutils import nodes  # noqa: E402
from docutils.statemachine import StringList  # noqa: E402
from sphinx.application import Sphinx  # noqa: E402
from sphinx.util.docutils import SphinxDirective  # noqa: E402

from airflow_provider_opencx import __version__  # noqa: E402
from airflow_provider_opencx.connection.form import DEFAULT_CONN_ID  # noqa: E402
from airflow_provider_opencx.exceptions import OpenCXError  # noqa: E402
from airflow_provider_opencx.reconciliation.sync import OnMismatch  # noqa: E402
from airflow_provider_opencx.resources import all_operations  # noqa: E402

project = "airflow-provider-opencx"
author = "The authors of airflow-provider-opencx"
project_copyright = "the authors of airflow-provider-opencx; Apache License 2.0"
version = release = __version__

extensions = ["myst_parser", "sphinx.ext.autodoc"]
exclude_patterns = ["_build", "reference/registry_entry.md"]  # the latter is for maintainers
myst_heading_anchors = 3
nitpicky = True
# Names of other packages, which would be looked up over the network, and of modules that are not public.
nitpick_ignore_regex = [
    ("py:.*", r"(?!airflow_provider_opencx\.).*"),
    ("py:class", r"airflow_provider_opencx\.(client\.client|simulator\.call|simulator\.faults\.fault\.Handle).*"),
]

html_theme = "furo"
html_title = f"airflow-provider-opencx {release}"
html_static_path = ["_static"]
html_css_files = ["pages.css"]
html_search_scorer = os.path.join(os.path.dirname(os.path.abspath(__file__)), "_static", "scorer.js")
html_theme_options = {"navigation_with_keys": True}
html_copy_source = False
html_show_sphinx = False

add_module_names = False
autodoc_member_order = "bysource"
autodoc_preserve_defaults = True
python_maximum_signature_line_length = 130  # module names count, and are not shown

_AS_WRITTEN_IN_A_DAG = {
    r"(form\.)?\bDEFAULT_CONN_ID\b": repr(DEFAULT_CONN_ID),
    r"\bOnMismatch\b": str(OnMismatch).removeprefix("typing."),
    r"Annotated\[(\w+), [^\]]*\]": r"\1",
}
"""How a part of a signature is shown, where its own spelling is that of the sources or of the API."""


def setup(app: Sphinx) -> None:
    """Register the spelling of signatures, and the table of operations."""
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
    if isinstance(documented, type) and issubclass(documented, OpenCXError) and "__init__" not in vars(documented):
        return "", ""  # that of the class above it
    if not signature:
        return None
    for spelling, shown in _AS_WRITTEN_IN_A_DAG.items():
        signature = re.sub(spelling, shown, signature)
    return signature, returns
