"""Who is told of changes, as the settings name them."""

import re
from base64 import b64decode
from binascii import Error
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import SplitResult, urlsplit

from realtime.domain.changes import EVERYTHING, ChangeFilter
from realtime.domain.errors import ConfigurationError

URL, SECRET, FILTER = "REALTIME_CHANGES_URL", "REALTIME_CHANGES_SECRET", "REALTIME_CHANGES_FILTER"
# The receiver of the variables without a name at their end.
DEFAULT = "default"
WEBHOOK, SNS, SQS = "webhook", "sns", "sqs"

_VERBS = {
    **dict.fromkeys(
        ("bill", "vote_event", "event", "person", "jurisdiction"),
        ("inserted", "updated", "deleted", "marked", "merged"),
    ),
    "run": ("finalized", "closed"),
}
_TYPES = {*_VERBS, *(f"{one}.{verb}" for one, verbs in _VERBS.items() for verb in verbs)}
_ARN = re.compile(r"arn:[\w-]+:sns:[\w-]+:\d+:[\w.-]+", re.ASCII)
_SECRET_PREFIX = "whsec_"


@dataclass(frozen=True)
class Receiver:
    """One receiver of changes.

    `kind` is WEBHOOK, SNS or SQS; `target` the webhook's URL, the topic's ARN or the queue's URL.
    `secrets` sign what a webhook gets, each of them; none: it is not signed. `wanted` is what it is
    told of. `allow_private`: a webhook may be an address of a private network, and plain HTTP.
    """

    name: str
    kind: str
    target: str = field(repr=False)
    secrets: tuple[bytes, ...] = field(default=(), repr=False)
    wanted: ChangeFilter = EVERYTHING
    allow_private: bool = False

    @property
    def address(self) -> str:
        """What may be shown and logged of the target: a URL may hold secrets in all but its
        host."""
        if self.kind == SNS:
            return self.target
        parts = urlsplit(self.target)
        shown = f"{parts.scheme}://{parts.hostname}" + (f":{parts.port}" if parts.port else "")
        return f"{shown}{parts.path}" if self.kind == SQS else shown


def receivers(environ: Mapping[str, str], allow_private: bool) -> tuple[Receiver, ...]:
    """The receivers that `environ` names: the one of REALTIME_CHANGES_URL, and one for each
    variable REALTIME_CHANGES_URL_NAME, with the secret and the filter of the same name.

    Raises ConfigurationError for what is malformed. It names the variable, but no URL and no
    secret.
    """
    given = {name: value for name, value in environ.items() if value.strip()}
    ends = {name.removeprefix(URL) for name in given if re.fullmatch(f"{URL}(_\\w+)?", name)}
    for name in given:
        found = re.fullmatch(f"(?:{SECRET}|{FILTER})(|_\\w+)", name)
        if found and found[1] not in ends:
            raise ConfigurationError(f"{name} is set, but {URL}{found[1]} is not")
    return tuple(
        _receiver(end, given[f"{URL}{end}"].strip(), given, allow_private) for end in sorted(ends)
    )


def _receiver(end: str, url: str, given: Mapping[str, str], allow_private: bool) -> Receiver:
    kind, target = _target(f"{URL}{end}", url, allow_private)
    secrets = given.get(f"{SECRET}{end}", "").split()
    return Receiver(
        name=end.strip("_").lower() or DEFAULT,
        kind=kind,
        target=target,
        secrets=tuple(_secret(f"{SECRET}{end}", one) for one in secrets),
        wanted=_filter(f"{FILTER}{end}", given.get(f"{FILTER}{end}", "")),
        allow_private=allow_private,
    )


def _target(variable: str, url: str, allow_private: bool) -> tuple[str, str]:
    if url.startswith("sns:"):
        if _ARN.fullmatch(arn := url.removeprefix("sns:")):
            return SNS, arn
    elif url.startswith("sqs:"):
        if _split(queue := url.removeprefix("sqs:")):
            return SQS, queue
    elif parts := _split(url):
        if parts.scheme == "http" and not allow_private:
            raise ConfigurationError(
                f"{variable} is plain HTTP: write https://, or set"
                " REALTIME_CHANGES_ALLOW_PRIVATE=true"
            )
        return WEBHOOK, url
    # Never quoted: it may hold a password.
    raise ConfigurationError(
        f"{variable} names no receiver: write https://host/path, sns:ARN of a topic, or sqs:URL of"
        " a queue"
    )


def _split(url: str) -> SplitResult | None:
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        return None
    return parts if usable and url.isascii() and url.isprintable() and " " not in url else None


def _secret(variable: str, text: str) -> bytes:
    try:
        secret = b64decode(text.removeprefix(_SECRET_PREFIX), validate=True)
    except Error:
        secret = b""
    if not secret:
        raise ConfigurationError(
            f"{variable} is no secret of Standard Webhooks: write whsec_ and 24 to 64 random bytes"
            " in base64"
        )
    return secret


def _filter(variable: str, text: str) -> ChangeFilter:
    words = text.replace(",", " ").split()
    types = tuple(word for word in words if word in _TYPES)
    whose = [word for word in words if word not in _TYPES]
    if not whose:
        return ChangeFilter(types=types)
    # Loaded where a filter names one only: core's metadata take a while.
    from realtime.domain.jurisdictions import jurisdiction_of

    found = {word: jurisdiction_of(word) for word in whose}
    for word, jurisdiction_id in found.items():
        if not jurisdiction_id:
            raise ConfigurationError(
                f"{variable}: {word!r} is neither an abbreviation core knows, such as wy, nor a"
                " type, such as bill or vote_event.deleted"
            )
    return ChangeFilter(tuple(found.values()), types)
