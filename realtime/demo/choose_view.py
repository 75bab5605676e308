"""Chooses between the demo's terminal and plain views."""

from typing import TextIO

from realtime.demo.view import PlainView, View


def choose(stream: TextIO) -> View:
    """The live view when `stream` is a terminal, else plain lines."""
    if not stream.isatty():
        return PlainView(stream)
    from realtime.demo.terminal import TerminalView

    return TerminalView(stream)
