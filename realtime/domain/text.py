"""Which text PostgreSQL and S3 can hold: none with a NUL, none with half of a surrogate pair."""

import json
from typing import Any


def is_storable(value: Any) -> bool:
    """Whether `value` is a text that PostgreSQL can hold, so that a query may ask for it too."""
    if not isinstance(value, str) or "\0" in value:
        return False
    if value.isascii():
        return True
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def all_storable(value: Any) -> bool:
    """Whether PostgreSQL and S3 can hold every text in what json.loads gave."""
    try:
        return b"\\u0000" not in json.dumps(value, ensure_ascii=False).encode()
    except (ValueError, RecursionError):
        return False


def sanitized(text: str) -> str:
    """What PostgreSQL can hold of hostile text: no NUL, no lone surrogates."""
    return text.replace("\0", "\\0").encode("utf-8", "backslashreplace").decode()
