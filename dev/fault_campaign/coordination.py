"""Sets up what the workers of a campaign share, as processes of one machine do: the locks of names, and intents."""

from __future__ import annotations

import tempfile
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Literal, TypeAlias
from unittest.mock import patch

from fault_campaign.removed_fixes import without

Coordination: TypeAlias = Literal["machine", "none"]
"""``"none"`` is a worker without locks, as if each were on a machine of its own."""


@contextmanager
def coordinated(coordination: Coordination) -> Generator[Path]:
    """Let the workers of this process share a directory of their own, or nothing."""
    with ExitStack() as stack:
        directory = stack.enter_context(tempfile.TemporaryDirectory(prefix="fault-campaign-"))
        stack.enter_context(patch.object(tempfile, "tempdir", directory))
        if coordination == "none":
            stack.enter_context(without("locks"))
        yield Path(directory)


def forget(directory: Path) -> None:
    """Delete the locks and the intents of the run before; the file of the rate limit is open, and stays."""
    for file in directory.rglob("*"):
        if file.is_file() and ".sqlite" not in file.name:
            file.unlink()
