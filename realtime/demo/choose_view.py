"""Picks the view that suits where the demo's output goes."""

from typing import TextIO

from realtime.demo.view import PlainView, View


def choose(stream: TextIO) -> View:
    """The view that suits `stream`: live on a terminal, else plain lines."""
    if not stream.isatty():
        return PlainView(stream)
    from realtime.demo.terminal import TerminalView

    return TerminalView(stream)
