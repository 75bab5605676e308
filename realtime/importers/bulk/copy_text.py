"""Values in the text format of PostgreSQL's `COPY`, all of a column at once."""

from collections.abc import Sequence
from typing import Any

Values = Sequence[Any]


def encode_texts(values: Values) -> Sequence[str]:
    texts = [value for value in values if value is not None] if None in values else values
    together = "".join(texts)
    if any(special in together for special in "\\\t\n\r"):
        return list(map(_encode_text, values))
    return values if texts is values else [r"\N" if v is None else v for v in values]


def _encode_text(value: Any) -> str:
    if value is None:
        return r"\N"
    return str(
        value.replace("\\", r"\\").replace("\t", r"\t").replace("\n", r"\n").replace("\r", r"\r")
    )


def encode_array(value: Any) -> str:
    if not value:
        return r"\N" if value is None else "{}"
    elements = [
        "NULL" if e is None else '"' + e.replace("\\", r"\\").replace('"', r"\"") + '"'
        for e in value
    ]
    return _encode_text("{" + ",".join(elements) + "}")


def encode_time(value: Any) -> str:
    return r"\N" if value is None else str(value.isoformat())


def encode_other(value: Any) -> str:
    return r"\N" if value is None else str(value)
