"""The Django app, and the settings of every database connection."""

from contextlib import suppress
from typing import Any

from django.apps import AppConfig
from django.conf import settings
from django.db import DatabaseError, connections
from django.db.backends.signals import connection_created
from django.db.models.signals import post_migrate, pre_migrate

from realtime import roles

# PostgreSQL holds a session's locks and worker slot until it notices that the client's host is
# gone: after hours by its defaults, after about a minute with these settings. The client's own
# `keepalives` only detect a lost server. The last setting ends a transaction left idle for 15
# minutes, as by a process that was suspended on a host that lives on.
_SETTINGS = {
    "tcp_keepalives_idle": "30",
    "tcp_keepalives_interval": "10",
    "tcp_keepalives_count": "3",
    "tcp_user_timeout": "60000",
    "idle_in_transaction_session_timeout": "900000",
}
# While a statement runs, a server of this version on asks the client's host whether it still wants
# the answer: a process that was killed keeps its locks for as long as this, not as its statement.
_ASKS_THE_CLIENT = 140_000
_ASK = "SET client_connection_check_interval = '2s'"


class RealtimeConfig(AppConfig):
    """The app. The server ends its connections about a minute after their host has vanished, and
    cancels their statements after REALTIME_STATEMENT_TIMEOUT, but those of migrations. Each
    `migrate` that finds Django's users makes the roles, once."""

    name = "realtime"
    # Whether there are roles, as of the beginning of this migration.
    _had_roles = True

    def ready(self) -> None:
        connection_created.connect(_set_timeouts, dispatch_uid="realtime")
        pre_migrate.connect(_take_your_time, sender=self, dispatch_uid="realtime")
        pre_migrate.connect(self._before, sender=self, dispatch_uid="realtime-roles")
        post_migrate.connect(self._after, sender=self, dispatch_uid="realtime-roles")

    def _before(self, using: str, **arguments: Any) -> None:
        self._had_roles = roles.exist(using)

    def _after(self, using: str, **arguments: Any) -> None:
        if not self._had_roles and roles.can_be_made(using):
            roles.make(self, using)


def _set_timeouts(connection: Any, **arguments: Any) -> None:
    values = {**_SETTINGS, "statement_timeout": f"{settings.REALTIME.statement_timeout}s"}
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT {', '.join(['set_config(%s, %s, false)'] * len(values))}",
            [word for setting in values.items() for word in setting],
        )
        if connection.pg_version >= _ASKS_THE_CLIENT:
            # On some systems the server cannot ask: then the statement's timeout has to do.
            with suppress(DatabaseError):
                cursor.execute(_ASK)


def _take_your_time(using: str, **arguments: Any) -> None:
    """A migration of a large ledger may take long."""
    with connections[using].cursor() as cursor:
        cursor.execute("SET statement_timeout = 0")
