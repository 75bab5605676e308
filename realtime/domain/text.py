"""Text that PostgreSQL and S3 can hold: no NUL, no half of a surrogate pair, and no end of it."""

import json
from typing import Any

# Characters that the ledger keeps of a traceback or an explanation.
MOST_KEPT = 20_000


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


def shortened(text: str) -> str:
    """The text, or the head and the tail of one that is longer than MOST_KEPT characters: a
    scraper's or a file's own text may be in it, and that has no end."""
    if len(text) <= MOST_KEPT:
        return text
    left_out = f"\n… {len(text) - MOST_KEPT} characters left out …\n"
    half = (MOST_KEPT - len(left_out)) // 2
    return text[:half] + left_out + text[-half:]
