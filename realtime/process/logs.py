"""Log formats, and the fields that every line of a run carries.

The message is constant text; everything that varies is a field (`extra=`). The formatters are our
own: a library would save half of this module, but every run would load it and Lambda's zip would
carry it.
"""

import json
import logging
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any

JSON, TEXT = "json", "text"

# Attributes that logging itself sets on a record. All others are fields.
_STANDARD_ATTRIBUTES = frozenset(
    {*vars(logging.makeLogRecord({})), "message", "asctime", "taskName"}
)
# Below warning these log every request with its contents, credentials included.
_AWS_LOGGERS = ("boto3", "botocore", "s3transfer", "urllib3")
_context: ContextVar[Mapping[str, str]] = ContextVar("log_context", default=MappingProxyType({}))
# How many lines of a kind are logged within a block.
FEW = 5
_seen: ContextVar[Counter[str] | None] = ContextVar("log_seen", default=None)


@contextmanager
def log_context(**fields: str) -> Iterator[None]:
    """Add `fields` to every line logged in the block, also by calls submitted to a
    `threads.Threads` pool there."""
    token = _context.set({**_context.get(), **fields})
    try:
        yield
    finally:
        _context.reset(token)


def context_field(name: str) -> str:
    """The value of this field of the block's `log_context`; empty without one."""
    return _context.get().get(name, "")


@contextmanager
def only_first_few() -> Iterator[None]:
    """Within the block `is_among_first` is true FEW times for each kind."""
    token = _seen.set(Counter())
    try:
        yield
    finally:
        _seen.reset(token)


def is_among_first(kind: str) -> bool:
    """Whether a line of this kind is one of the first few of the surrounding `only_first_few`;
    always outside of one."""
    seen = _seen.get()
    if seen is None:
        return True
    seen[kind] += 1
    return seen[kind] <= FEW


class JsonLines(logging.Formatter):
    """One JSON object a line: `timestamp` (UTC), `level`, `logger`, `message`, the fields, and
    `traceback` for an exception. Lambda reads these names."""

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "timestamp": _time(record).replace("+00:00", "Z"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        line |= {name: value for name, value in _fields(record).items() if name not in line}
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str)


class TextLines(logging.Formatter):
    """The same content for people: fields as `name=value` after the message, then any
    traceback."""

    def format(self, record: logging.LogRecord) -> str:
        parts = [_time(record).replace("T", " "), record.levelname, f"{record.name}:"]
        parts += [record.getMessage(), *(f"{n}={_plain(v)}" for n, v in _fields(record).items())]
        text = " ".join(parts)
        return f"{text}\n{self.formatException(record.exc_info)}" if record.exc_info else text


def configuration(form: str, level: str, core_level: str) -> dict[str, Any]:
    """Django's `LOGGING` setting: one handler on standard error, in the format JSON or TEXT.

    `level` is for the `realtime` loggers, `core_level` for core's. AWS's libraries log from
    WARNING up, whatever the levels.
    """
    formatter = f"{__name__}.{(JsonLines if form == JSON else TextLines).__name__}"
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"lines": {"()": formatter}},
        "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "lines"}},
        # Replaces the handler that Lambda's runtime installs on the root logger.
        "root": {"handlers": ["stderr"], "level": "WARNING"},
        "loggers": {
            "realtime": {"level": level},
            # Core logs every name that it cannot resolve as an error. A run's report counts the
            # files that fail or wait for it.
            "openstates": {"level": core_level},
            # The only place that says why metrics could not be sent.
            "openstates.stats": {"level": "WARNING"},
            **{name: {"level": "WARNING"} for name in _AWS_LOGGERS},
        },
    }


def _fields(record: logging.LogRecord) -> dict[str, Any]:
    extra = {n: v for n, v in vars(record).items() if n not in _STANDARD_ATTRIBUTES}
    return {n: v for n, v in {**_context.get(), **extra}.items() if v is not None and v != ""}


def _time(record: logging.LogRecord) -> str:
    return datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")


def _plain(value: Any) -> str:
    if isinstance(value, bool | int | float | list | dict):
        return json.dumps(value, default=str)
    text = str(value)
    needs_quotes = not text.isprintable() or " " in text or '"' in text
    return json.dumps(text, ensure_ascii=False) if needs_quotes else text
