"""Environment variables for the demo: the embedded stack's, and none of the user's settings."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from unittest.mock import patch

from django.test import override_settings

from realtime.devstack import database
from realtime.domain import config

# What programs need in order to run. Other variables could name a real database, queue, credentials
# or proxy.
_KEPT = (
    "PATH",
    "HOME",
    "USER",
    "LANG",
    "TERM",
    "COLORTERM",
    "NO_COLOR",
    "TMPDIR",
    "VIRTUAL_ENV",
    "LD_LIBRARY_PATH",
    "DYLD_LIBRARY_PATH",
)
_KEPT_PREFIXES = ("LC_", "PYTHON")
_OURS = {
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    # Against proxies from the system's settings.
    "NO_PROXY": "127.0.0.1",
}


@contextmanager
def without_settings() -> Iterator[None]:
    """Hide the user's settings from this process and its children within the block."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if name in _KEPT or name.startswith(_KEPT_PREFIXES)
    }
    with patch.dict(os.environ, {**kept, **_OURS}, clear=True):
        yield


@contextmanager
def using_stack(variables: Mapping[str, str]) -> Iterator[None]:
    """Make this process, its threads and its children use the stack within the block.

    `variables` are the stack's environment variables. Django's settings and default database are
    set from them.
    """
    with (
        patch.dict(os.environ, variables),
        override_settings(REALTIME=config.load(os.environ)),
        database.using_database(variables["DATABASE_URL"]),
    ):
        yield
