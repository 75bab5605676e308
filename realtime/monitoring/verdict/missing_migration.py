"""Whether the ledger's tables are as this release needs them."""

import pkgutil
from functools import cache

from django.db import ProgrammingError, connection

from realtime import migrations
from realtime.backends.postgres.interruptions import error_code

_UNDEFINED_TABLE = "42P01"
_APPLIED = "SELECT name FROM django_migrations WHERE app = 'realtime'"


def first_missing() -> str:
    """The name of the first of our migrations that is missing; empty when none is.

    One statement, outside of a transaction. Raises Django's database errors.
    """
    try:
        with connection.cursor() as cursor:
            cursor.execute(_APPLIED)
            applied = {name for (name,) in cursor.fetchall()}
    except ProgrammingError as exc:
        # A database in which nothing was ever migrated.
        if error_code(exc) != _UNDEFINED_TABLE:
            raise
        applied = set()
    return next((name for name in _names() if name not in applied), "")


@cache
def _names() -> list[str]:
    return sorted(module.name for module in pkgutil.iter_modules(migrations.__path__))
