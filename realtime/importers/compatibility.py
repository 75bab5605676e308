"""Which cores the set-based importers know.

They repeat in bulk what core's importers do one by one. In a core whose importers have changed
that may no longer be the same, so they refuse it; core's own importers then do the work.
"""

import hashlib
from contextlib import suppress
from functools import cache
from importlib import import_module, metadata
from pathlib import Path

from realtime.errors import ConfigurationError

_MODULES = (
    "base",
    "bills",
    "computed_fields",
    "events",
    "jurisdiction",
    "organizations",
    "vote_events",
)
# The sources of those modules, by the releases that carry them.
KNOWN = {
    "b07c76ef63a00631": "6.25.6, 6.26.0 to 6.26.4",
}


class UnknownCore(ConfigurationError):
    """The installed core's importers are not those that the set-based ones repeat."""


@cache
def core_digest() -> str:
    """What identifies the source of the installed core's importers; a module may be missing."""
    digest = hashlib.sha256()
    for name in _MODULES:
        with suppress(ImportError, OSError):
            path = import_module(f"openstates.importers.{name}").__file__
            digest.update(Path(path or "").read_bytes())
    return digest.hexdigest()[:16]


def require_known_core() -> None:
    """Raise UnknownCore, with a sentence for the operator, on a core that is not known."""
    if core_digest() not in KNOWN:
        raise UnknownCore(
            f"the importers of openstates {metadata.version('openstates')} are not known to the"
            f" bulk importers (known: {'; '.join(KNOWN.values())}): use --importer core"
        )
