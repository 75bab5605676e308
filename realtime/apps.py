"""The Django app, and the settings of every database connection."""

from typing import Any

from django.apps import AppConfig
from django.db.backends.signals import connection_created

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


class RealtimeConfig(AppConfig):
    """The app. The server ends its connections about a minute after their host has vanished."""

    name = "realtime"

    def ready(self) -> None:
        connection_created.connect(_set_timeouts, dispatch_uid="realtime")


def _set_timeouts(connection: Any, **arguments: Any) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT {', '.join(['set_config(%s, %s, false)'] * len(_SETTINGS))}",
            [word for setting in _SETTINGS.items() for word in setting],
        )
