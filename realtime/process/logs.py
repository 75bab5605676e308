"""How log lines look, and what every one of them says about where it comes from.

A line is constant text, and fields (`extra=`) for all that varies. A formatter of our own: a
library would save half of this page, and be loaded by every run and packed into Lambda's zip.
"""

import json
import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any

JSON, TEXT = "json", "text"

# What logging itself knows of a line; the rest are fields.
_LOGGINGS_OWN = frozenset({*vars(logging.makeLogRecord({})), "message", "asctime", "taskName"})
# One line for each request, and what it holds: credentials among it.
_TALKATIVE = ("boto3", "botocore", "s3transfer", "urllib3")
_context: ContextVar[Mapping[str, str]] = ContextVar("log_context", default=MappingProxyType({}))


@contextmanager
def said_of_all(**fields: str) -> Iterator[None]:
    """Add `fields` to every line logged in the block, and by `threads.Threads` used there."""
    token = _context.set({**_context.get(), **fields})
    try:
        yield
    finally:
        _context.reset(token)


class JsonLines(logging.Formatter):
    """A JSON object a line: `timestamp` (UTC), `level`, `logger`, `message`, the fields, and
    `traceback` of an exception. The names are those that Lambda reads."""

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
    """The same for people: the fields as `name=value` after the message, a traceback below."""

    def format(self, record: logging.LogRecord) -> str:
        said = [_time(record).replace("T", " "), record.levelname, f"{record.name}:"]
        said += [record.getMessage(), *(f"{n}={_plain(v)}" for n, v in _fields(record).items())]
        text = " ".join(said)
        return f"{text}\n{self.formatException(record.exc_info)}" if record.exc_info else text


def configuration(form: str, level: str, core_level: str) -> dict[str, Any]:
    """Django's `LOGGING`: one handler, standard error, with lines in the `form` JSON or TEXT.

    What AWS's libraries say below a warning is never shown, whatever the levels.
    """
    formatter = f"{__name__}.{(JsonLines if form == JSON else TextLines).__name__}"
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"lines": {"()": formatter}},
        "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "lines"}},
        # Lambda's runtime has put a handler of its own here, which this replaces.
        "root": {"handlers": ["stderr"], "level": "WARNING"},
        "loggers": {
            "realtime": {"level": level},
            # Core logs each name it cannot resolve as an error; a run's report counts what matters.
            "openstates": {"level": core_level},
            # Only core knows why it could not send metrics.
            "openstates.stats": {"level": "WARNING"},
            **{name: {"level": "WARNING"} for name in _TALKATIVE},
        },
    }


def _fields(record: logging.LogRecord) -> dict[str, Any]:
    own = {n: v for n, v in vars(record).items() if n not in _LOGGINGS_OWN}
    return {n: v for n, v in {**_context.get(), **own}.items() if v is not None and v != ""}


def _time(record: logging.LogRecord) -> str:
    return datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")


def _plain(value: Any) -> str:
    if isinstance(value, bool | int | float | list | dict):
        return json.dumps(value, default=str)
    text = str(value)
    unclear = not text.isprintable() or " " in text or '"' in text
    return json.dumps(text, ensure_ascii=False) if unclear else text
