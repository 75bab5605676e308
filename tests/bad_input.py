"""Cases of bad input: what is done to a good message or file, and what must become of it.

`tests/data/bad_input/*.json` hold lists of cases. Each has a `name`, and an expected `outcome`
(`failed` unless it says otherwise; the comment then says `why`), `reason` and `field`. How the bad
thing is made of a good one, in this order:

- `edit` maps JSON pointers to new values, `remove` lists the pointers of what is left out;
- `splice` maps pointers to JSON text, for what JSON has no word for (`NaN`) or should not say;
- `body` is the whole text instead, `base64` the bytes; `encode` names what is done to the bytes.

Text may be a list of parts instead, a part `["x", 400]` being that many of them.
"""

import base64
import copy
import gzip
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent / "data" / "bad_input"
FILE_TYPES = ("bill", "vote_event", "event", "jurisdiction", "person")

_ENCODINGS: Mapping[str, Callable[[bytes], bytes]] = {
    "gzip": lambda body: gzip.compress(body, mtime=0),
    "bom": lambda body: b"\xef\xbb\xbf" + body,
    "utf-16": lambda body: body.decode().encode("utf-16"),
    "latin-1": lambda body: body.decode("unicode-escape").encode("latin-1"),
    "cut in half": lambda body: body[: len(body) // 2],
    "without its end": lambda body: body[:-1],
    "twice": lambda body: body + body,
    "as a JSON text": lambda body: json.dumps(body.decode()).encode(),
    "in a list": lambda body: b"[" + body + b"]",
    "one a line": lambda body: body + b"\n" + body,
    "NUL at the end": lambda body: body + b"\0",
    "trailing comma": lambda body: body[:-1] + b",}",
    "single quotes": lambda body: body.replace(b'"', b"'"),
    "comment before it": lambda body: b"// scraped\n" + body,
}


@dataclass(frozen=True)
class Case:
    """One bad thing; `spec` is what the file says of it."""

    object_type: str
    spec: Mapping[str, Any]

    @property
    def name(self) -> str:
        return f"{self.object_type}: {self.spec['name']}"

    @property
    def outcome(self) -> str:
        outcome: str = self.spec.get("outcome", "failed")
        return outcome

    def make(self, good: dict[str, Any]) -> bytes:
        """The bad thing made of a good one, which is left as it is."""
        spec = self.spec
        if "base64" in spec:
            return base64.b64decode(spec["base64"])
        if "body" in spec:
            body = _text(spec["body"])
        else:
            data = copy.deepcopy(good)
            splices = {pointer: f"\x1a{pointer}" for pointer in spec.get("splice", {})}
            for pointer, value in {**spec.get("edit", {}), **splices}.items():
                edit(data, pointer, _value(value))
            for pointer in spec.get("remove", []):
                remove(data, pointer)
            body = json.dumps(data)
            for pointer, mark in splices.items():
                body = body.replace(json.dumps(mark), _text(spec["splice"][pointer]))
        encoded = body.encode()
        return _ENCODINGS[spec["encode"]](encoded) if "encode" in spec else encoded


def cases(object_type: str) -> list[Case]:
    """The cases of one file; names are checked to be unique."""
    specs = json.loads((FOLDER / f"{object_type}.json").read_text())
    found = [Case(object_type, spec) for spec in specs]
    assert len({case.name for case in found}) == len(found)
    return found


def edit(data: Any, pointer: str, value: Any) -> None:
    """Put `value` where the JSON pointer says; `-` appends to a list, empty parts are names too."""
    *parents, last = pointer.removeprefix("/").split("/")
    for part in parents:
        data = data[int(part)] if isinstance(data, list) else data[part]
    if isinstance(data, list) and last == "-":
        data.append(value)
    else:
        data[int(last) if isinstance(data, list) else last] = value


def remove(data: Any, pointer: str) -> None:
    *parents, last = pointer.removeprefix("/").split("/")
    for part in parents:
        data = data[int(part)] if isinstance(data, list) else data[part]
    del data[int(last) if isinstance(data, list) else last]


def _value(value: Any) -> Any:
    if isinstance(value, dict) and set(value) == {"$text"}:
        return _text(value["$text"])
    return value


def _text(text: str | list[Any]) -> str:
    if isinstance(text, str):
        return text
    return "".join(part if isinstance(part, str) else part[0] * part[1] for part in text)
