"""Django's view of this project, and what every connection to the database is given."""

from typing import Any

from django.apps import AppConfig
from django.db.backends.signals import connection_created

# For the server, which holds a session's locks and worker slot until it knows that the host is
# gone: for hours by its own defaults, for about a minute by these. The connection's own
# `keepalives` tell us only of a server that is gone. The last is for a process that was stopped in
# the middle of a transaction while its host lives on.
_SETTINGS = {
    "tcp_keepalives_idle": "30",
    "tcp_keepalives_interval": "10",
    "tcp_keepalives_count": "3",
    "tcp_user_timeout": "60000",
    "idle_in_transaction_session_timeout": "900000",
}


class RealtimeConfig(AppConfig):
    """The app, whose connections the server gives up soon after their host has vanished."""

    name = "realtime"

    def ready(self) -> None:
        connection_created.connect(_guard, dispatch_uid="realtime")


def _guard(connection: Any, **arguments: Any) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT {', '.join(['set_config(%s, %s, false)'] * len(_SETTINGS))}",
            [word for setting in _SETTINGS.items() for word in setting],
        )
