"""Which cores the set-based importers know.

They repeat in bulk what core's importers do one by one. In a core whose importers have changed
that may no longer be the same, so they refuse it; core's own importers then do the work.
`make core-check CORE=…` tests them on another release and prints its line of `KNOWN`.
"""

import hashlib
from contextlib import suppress
from functools import cache
from importlib import metadata
from pathlib import Path

import openstates

from realtime.domain.errors import ConfigurationError

_MODULES = (
    "base",
    "bills",
    "computed_fields",
    "events",
    "jurisdiction",
    "organizations",
    "vote_events",
)
# Digests of the sources of those modules, and the releases that carry them.
KNOWN = {
    "582eee06423dfc35": "6.25.3",
    "43762bc09336e829": "6.25.4, 6.25.5",
    "b07c76ef63a00631": "6.25.6, 6.26.0, 6.26.1, 6.26.2, 6.26.3, 6.26.4",
}


class UnknownCore(ConfigurationError):
    """The installed core's importers are not those that the set-based ones repeat."""


@cache
def core_digest() -> str:
    """The digest of the installed core's importers."""
    return digest_of(Path(openstates.__file__).parent / "importers")


def digest_of(importers: Path) -> str:
    """The digest of the importers in a folder; a module may be missing."""
    digest = hashlib.sha256()
    for name in _MODULES:
        with suppress(OSError):
            digest.update((importers / f"{name}.py").read_bytes())
    return digest.hexdigest()[:16]


def require_known_core() -> None:
    """Raise UnknownCore, with a sentence for the operator, on a core that is not known."""
    if core_digest() not in KNOWN:
        raise UnknownCore(
            f"the importers of openstates {metadata.version('openstates')} are not known to the"
            f" bulk importers (known: {'; '.join(KNOWN.values())}): use --importer core"
        )
