"""Dotted paths into a file, what stands at them, and sentences that begin with one."""

import math
from collections.abc import Iterator, Mapping
from typing import Any

from realtime.domain.errors import PoisonMessage
from realtime.domain.text import is_storable

DETAIL_LENGTH = 1000


def misfit(path: str, problem: str, reason: str = "invalid") -> PoisonMessage:
    """What is wrong at `path`; `problem` goes on with the sentence that the path begins."""
    return PoisonMessage(reason, f"{path} {problem}"[:DETAIL_LENGTH], path)


def join(path: str, *parts: Any) -> str:
    """The path of what is below `path`, which is empty for the whole file."""
    # A name in a hostile file may be anything, and of any length.
    return ".".join([*filter(None, [path]), *(str(part)[:100] for part in parts)])


def shown(value: Any) -> str:
    """The beginning of any value, in printable ASCII."""
    return ascii(value)[:100]


def leaves(value: Any, path: str = "", *, names: bool = False) -> Iterator[tuple[str, Any]]:
    """(path, value) of all that is neither object nor list; with `names`, the names in objects
    too, at the path of their object."""
    if isinstance(value, Mapping):
        for name, item in value.items():
            if names:
                yield path, name
            yield from leaves(item, join(path, name), names=names)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from leaves(item, join(path, index), names=names)
    else:
        yield path, value


def unstorable(value: Any, path: str = "") -> Iterator[str]:
    """The paths of all text, names included, that PostgreSQL cannot hold."""
    for below, leaf in leaves(value, path, names=True):
        if isinstance(leaf, str) and not is_storable(leaf):
            yield below


def not_finite(value: Any, path: str = "") -> Iterator[str]:
    """The paths of the numbers that Python reads and JSON lacks."""
    for below, leaf in leaves(value, path):
        if isinstance(leaf, float) and not math.isfinite(leaf):
            yield below


def quoted(text: str, data: Any) -> str:
    """The path of the first text of a file that an error quotes; empty if it quotes none."""
    texts = ((path, leaf) for path, leaf in leaves(data) if isinstance(leaf, str))
    return next((path for path, leaf in texts if repr(leaf) in text), "")
