"""A file as numbered lines, with the field at fault marked."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

# Longer files are cut, but the lines around the marked field are always shown.
_MAX_LINES = 4_000
_MAX_LINE_LENGTH = 1_000
_CONTEXT_LINES = 8
# Deeper JSON is shown as it is: its indentation would push the text off the screen.
_MAX_DEPTH = 50

Path = tuple[str | int, ...]


@dataclass(frozen=True)
class Line:
    """One line. `number` counts from 1; `first` is true for the first marked line only."""

    number: int
    text: str
    marked: bool = False
    first: bool = False

    @property
    def indent(self) -> str:
        """The leading white space of the text."""
        return self.text[: len(self.text) - len(self.text.lstrip())]


@dataclass(frozen=True)
class Document:
    """A file as the page shows it.

    `lines` holds at most the first 4,000 lines; `left_out` counts the rest. `excerpt` holds the
    first marked line and the eight before and after it; it is empty when nothing is marked. `found`
    is false when the field is missing: then the first line of the object that should hold it is
    marked, or nothing when that is the whole file.
    """

    lines: Sequence[Line]
    excerpt: Sequence[Line]
    left_out: int
    found: bool


def document(body: bytes, field: str) -> Document:
    """Format `body`: JSON with one value a line, anything else as it is.

    `field` is a path like `votes.1.voter_name`, or empty. Unprintable characters, those that
    reverse text included, are shown as escapes.
    """
    try:
        data = json.loads(body)
        path, found = _resolve(data, field)
        spread = list(_spread(data, ()))
    # Not JSON, nested too deeply, or with a number too long for Python.
    except (ValueError, RecursionError):
        text = body.decode(errors="replace")
        return _document([(line, False) for line in text.splitlines()], found=False)
    marked = [bool(path) and at[: len(path)] == path for _, at in spread]
    if not found:
        # Mark only the first line of the object that should hold the field.
        marked = [now and not before for before, now in pairwise([False, *marked])]
    return _document([(text, mark) for (text, _), mark in zip(spread, marked, strict=True)], found)


def _resolve(data: Any, field: str) -> tuple[Path, bool]:
    """The path of the field and true; or the longest part of the path that exists, and false."""
    path: Path = ()
    for name in field.split(".") if field else []:
        if isinstance(data, dict) and name in data:
            path, data = (*path, name), data[name]
        elif isinstance(data, list) and name.isdecimal() and int(name) < len(data):
            path, data = (*path, int(name)), data[int(name)]
        else:
            return path, False
    return path, bool(path)


def _spread(
    value: Any, path: Path, before: str = "", after: str = ""
) -> Iterator[tuple[str, Path]]:
    """The lines of a value, each with the path of the value it shows."""
    if len(path) > _MAX_DEPTH:
        raise ValueError("nested too deeply to format")
    indent = "  " * len(path)
    if not isinstance(value, dict | list) or not value:
        yield f"{indent}{before}{json.dumps(value, ensure_ascii=False)}{after}", path
        return
    opening, closing = "{}" if isinstance(value, dict) else "[]"
    yield f"{indent}{before}{opening}", path
    items = list(value.items() if isinstance(value, dict) else enumerate(value))
    for at, (name, item) in enumerate(items, start=1):
        label = f"{json.dumps(name, ensure_ascii=False)}: " if isinstance(value, dict) else ""
        yield from _spread(item, (*path, name), label, "," if at < len(items) else "")
    yield f"{indent}{closing}{after}", path


def _document(lines: Sequence[tuple[str, bool]], found: bool) -> Document:
    first = next((at for at, (_, mark) in enumerate(lines) if mark), None)
    shown = [
        Line(at + 1, _visible(text), mark, at == first)
        for at, (text, mark) in enumerate(lines[:_MAX_LINES])
    ]
    excerpt: list[Line] = []
    if first is not None:
        around = range(max(first - _CONTEXT_LINES, 0), min(first + _CONTEXT_LINES + 1, len(lines)))
        excerpt = [Line(at + 1, _visible(lines[at][0]), lines[at][1], at == first) for at in around]
    return Document(shown, excerpt, max(len(lines) - _MAX_LINES, 0), found)


def _visible(text: str) -> str:
    if len(text) > _MAX_LINE_LENGTH:
        text = f"{text[:_MAX_LINE_LENGTH]} … {len(text) - _MAX_LINE_LENGTH} more characters"
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c == "\t" else f"\\u{ord(c):04x}" for c in text)
