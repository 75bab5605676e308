"""Which failures are alike: the same reason, field and explanation but for what varies."""

import hashlib
import json
import re

# Characters of an explanation that are compared, and that a pattern has at most. The rest is a
# traceback or a value of the file.
_READ, _KEPT = 600, 300

# In this order: a text in quotes may hold all of the others.
_VARYING = (
    (re.compile(r"~?\{[^{}]*\}"), "<text>"),
    # An apostrophe inside a word neither begins nor ends a quotation.
    (re.compile(r"(?<!\w)'(?:[^'\n]|'(?=\w))*'(?!\w)"), "<text>"),
    (re.compile(r'"[^"\n]*"|“[^”\n]*”'), "<text>"),
    (re.compile(r"\b(?:https?|s3|gs|file)://\S+"), "<url>"),
    (re.compile(r"(?<![^\s<>,;:()])[^\s<>,;:()]+\.(?:json|jsonl|yml|yaml|zip|gz|tgz)\b"), "<key>"),
    (re.compile(r"\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b", re.IGNORECASE), "<id>"),
    (re.compile(r"\b(?=[a-f]*\d)[0-9a-f]{12,}\b", re.IGNORECASE), "<id>"),
    # A bill's identifier, like any number: HB 12, SJR 3, H.R. 7.
    (re.compile(r"\b(?:[A-Z]\.?){1,5} ?\d[\w.:-]*"), "#"),
    (re.compile(r"(?<![A-Za-z])\d+(?:[.,:T-]?\d+)*Z?"), "#"),
)
_SEVERAL = re.compile(r"(<\w+>|#)(?:(?:, | and | or | / )\1)+")
_NUMBER_OF_A_LIST = re.compile(r"(?<![^.])\d+(?![^.])")


def pattern(detail: str) -> str:
    """The explanation of a failure, on one line, without what varies from file to file.

    Quoted texts become `<text>`, keys of files `<key>`, addresses `<url>`, UUIDs and digests
    `<id>`, numbers and the identifiers of bills `#`; several of a kind in a row become one. At
    most 300 characters.
    """
    told = " ".join(detail[:_READ].split())
    for varying, placeholder in _VARYING:
        told = varying.sub(placeholder, told)
    return _SEVERAL.sub(r"\1, …", told)[:_KEPT]


def field_pattern(field: str) -> str:
    """The path of a field with `#` for each place in a list: `votes.#.voter_name`."""
    return _NUMBER_OF_A_LIST.sub("#", field)[:_KEPT]


def likeness(reason: str, field: str, detail: str) -> str:
    """Sixteen hexadecimal digits, the same for failures that are alike."""
    same = json.dumps([reason, field_pattern(field), pattern(detail)])
    return hashlib.sha256(same.encode()).hexdigest()[:16]
