"""What the server does about a session whose host has vanished: it frees what that held."""

from django.db import connection


def test_connection__host_vanished__dropped_by_the_server_within_minutes(
    database: str,
) -> None:
    names = ["tcp_keepalives_idle", "tcp_keepalives_interval", "tcp_keepalives_count"]
    with connection.cursor() as cursor:
        values = []
        for name in (*names, "tcp_user_timeout", "idle_in_transaction_session_timeout"):
            cursor.execute("SELECT setting::int FROM pg_settings WHERE name = %s", [name])
            values.append(cursor.fetchone()[0])
    idle, interval, count, unanswered, in_transaction = values
    assert 0 < idle + interval * count <= 90, "seconds that a silent host keeps its worker slot"
    assert 0 < unanswered <= 90_000, "milliseconds, where an answer was on its way to it"
    assert 0 < in_transaction <= 3_600_000, "milliseconds of a process that was stopped"
