"""Runs a real terminal: types as a person does, and shows the screen, as text or as a picture."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable, Mapping
from io import StringIO
from pathlib import Path
from types import TracebackType
from typing import Self

_STEP = 0.05


class Terminal:
    """A shell in a terminal of tmux, in a server of its own, which ends with the ``with`` block.

    :param folder: where the shell begins; the socket of the server is there as well.
    :param environment: the environment variables of the shell.
    :param columns: the width in characters.
    :param rows: the height in lines.
    """

    def __init__(self, folder: Path, environment: Mapping[str, str], *, columns: int = 110, rows: int = 40) -> None:
        self._folder = folder
        self._environment = {**environment, "TERM": "xterm-256color", "PS1": "$ ", "LC_ALL": "C.UTF-8"}
        self._size = ("-x", str(columns), "-y", str(rows))
        self._socket = folder / "t"

    def __enter__(self) -> Self:
        self._tmux("new-session", "-d", *self._size, "bash", "--norc", "--noprofile")
        self._tmux("set-option", "-g", "status", "off")
        self.wait_for("$")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._tmux("kill-server")

    def type(self, line: str) -> None:
        """Type a line, and Enter."""
        self._tmux("send-keys", "-l", line)
        self._tmux("send-keys", "Enter")

    def press(self, key: str) -> None:
        """Press a key by its name, such as ``C-c``."""
        self._tmux("send-keys", key)

    def clear(self) -> None:
        """Clear the screen, on which the shell waits for a command."""
        self.wait_for_prompt()
        self.press("C-l")
        self._wait_until(lambda screen: screen.strip() == "$", "an empty screen", 60)

    def screen(self, *, with_colours: bool = False) -> str:
        """Return what the terminal shows.

        :param with_colours: whether the text holds ANSI escapes for colours.
        """
        return self._tmux("capture-pane", "-p", *(["-e"] if with_colours else []))

    def wait_for(self, text: str, seconds: float = 60) -> str:
        """Wait until the screen shows a text, and return it.

        :raises TimeoutError: with what the screen shows, if it does not come.
        """
        return self._wait_until(lambda screen: text in screen, repr(text), seconds)

    def wait_for_prompt(self, seconds: float = 60) -> str:
        """Wait until the last line is a prompt without a command, and return the screen."""
        return self._wait_until(lambda screen: f"\n{screen}".rstrip("\n").endswith("\n$"), "a prompt", seconds)

    def _wait_until(self, is_there: Callable[[str], bool], expected: str, seconds: float) -> str:
        end = time.monotonic() + seconds
        while not is_there(screen := self.screen()):
            if time.monotonic() > end:
                raise TimeoutError(f"{expected} did not appear in {seconds} s:\n{screen}")
            time.sleep(_STEP)
        return screen

    def _tmux(self, *arguments: str) -> str:
        command = ["tmux", "-S", str(self._socket), "-f", os.devnull, *arguments]
        done = subprocess.run(
            command, cwd=self._folder, env=dict(self._environment), check=True, capture_output=True, text=True
        )
        return done.stdout


def page_of(screen: str) -> str:
    """Return a screen with its colours as a page of HTML; its element ``main`` is the picture of the terminal."""
    from rich.console import Console
    from rich.terminal_theme import SVG_EXPORT_THEME
    from rich.text import Text

    console = Console(record=True, width=200, file=StringIO(), force_terminal=True)
    console.print(Text.from_ansi(screen.rstrip("\n")), soft_wrap=True)
    return console.export_html(theme=SVG_EXPORT_THEME, inline_styles=True, code_format=_PAGE)


_PAGE = (
    "<style>body {{ margin: 0; }} main {{ display: inline-block; background: #292929; padding: 14px 18px; }}"
    " pre {{ margin: 0; color: #c5c8c6; font: 13px/1.35 'DejaVu Sans Mono', monospace; }}</style>"
    "<main><pre>{code}</pre></main>"
)
