"""Cases of bad input: a change to a good message or file, and the expected outcome.

Each file in `tests/data/bad_input` is a list of cases. A case has a `name` and the expected
`outcome` (default `failed`; for others `why` gives the reason), `reason` and `field`. The bad input
is made from a good one by these, in this order:

- `edit` maps JSON pointers to new values, `remove` lists pointers to delete;
- `splice` maps pointers to JSON text, for text that json.dumps does not write, such as `NaN`;
- `body` replaces the whole text, `base64` the bytes; `encode` names an encoding of the bytes.

Text may be a list of parts, in which `["x", 400]` stands for 400 times x.
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
    """One case of bad input; `spec` is its JSON object."""

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
        """Make the bad input from a good one, which is not changed."""
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
    """The cases in one file. Asserts that their names are unique."""
    specs = json.loads((FOLDER / f"{object_type}.json").read_text())
    found = [Case(object_type, spec) for spec in specs]
    assert len({case.name for case in found}) == len(found)
    return found


def edit(data: Any, pointer: str, value: Any) -> None:
    """Set the value at a JSON pointer. `-` appends to a list; an empty part is a key."""
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
