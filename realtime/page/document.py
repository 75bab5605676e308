"""A file as lines of text, with the field at fault marked."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

# Enough for any file that a person reads; of longer ones the beginning, and what is marked.
_MOST_LINES = 4_000
_LONGEST_LINE = 1_000
_AROUND = 8
# Whoever nests deeper has no reader in mind; each line would begin with more blanks.
_DEEPEST = 50

Path = tuple[str | int, ...]


@dataclass(frozen=True)
class Line:
    """One line; `number` counts from one, `first` is true of the first that is marked."""

    number: int
    text: str
    marked: bool = False
    first: bool = False

    @property
    def indent(self) -> str:
        """The blanks that the text begins with."""
        return self.text[: len(self.text) - len(self.text.lstrip())]


@dataclass(frozen=True)
class Document:
    """A file to be looked at.

    `lines` are at most some thousand; `left_out` says how many more there are. `excerpt` are the
    marked lines with their surroundings, empty when nothing is marked. `found` is false when the
    field is missing, and what should hold it is marked instead.
    """

    lines: Sequence[Line]
    excerpt: Sequence[Line]
    left_out: int
    found: bool


def document(body: bytes, field: str) -> Document:
    """The document that `body` holds, JSON with one value a line, otherwise as it is.

    `field` is a path like `votes.1.voter_name`. What cannot be seen, or turns text around, is
    shown as an escape.
    """
    try:
        data = json.loads(body)
        path, found = _resolve(data, field)
        spread = list(_spread(data, ()))
    # Of a text too deep or a number too long, as of any other that is no JSON.
    except (ValueError, RecursionError):
        text = body.decode(errors="replace")
        return _document([(line, False) for line in text.splitlines()], found=False)
    marked = [bool(path) and at[: len(path)] == path for _, at in spread]
    if not found:
        # The first line of what lacks it says enough.
        marked = [now and not before for before, now in pairwise([False, *marked])]
    return _document([(text, mark) for (text, _), mark in zip(spread, marked, strict=True)], found)


def _resolve(data: Any, field: str) -> tuple[Path, bool]:
    """The path of the field, or of as much of it as there is."""
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
    """The lines of a value, each with the path of what it shows."""
    if len(path) > _DEEPEST:
        raise ValueError("nested too deeply to be spread out")
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
        for at, (text, mark) in enumerate(lines[:_MOST_LINES])
    ]
    excerpt: list[Line] = []
    if first is not None:
        around = range(max(first - _AROUND, 0), min(first + _AROUND + 1, len(lines)))
        excerpt = [Line(at + 1, _visible(lines[at][0]), lines[at][1], at == first) for at in around]
    return Document(shown, excerpt, max(len(lines) - _MOST_LINES, 0), found)


def _visible(text: str) -> str:
    if len(text) > _LONGEST_LINE:
        text = f"{text[:_LONGEST_LINE]} … {len(text) - _LONGEST_LINE} more characters"
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c == "\t" else f"\\u{ord(c):04x}" for c in text)
