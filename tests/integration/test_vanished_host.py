"""What the server does about a session whose host has vanished, or whose statement takes too long:
it frees what that held."""

import pytest
from django.core.management import call_command
from django.db import InternalError, OperationalError, connection

from realtime.ledger import files as ledger_files
from realtime.ledger import retention
from realtime.models import File
from tests.ledger_rows import ago, file

pytestmark = pytest.mark.usefixtures("database")


def settings_of(*names: str) -> list[int]:
    values = []
    with connection.cursor() as cursor:
        for name in names:
            cursor.execute("SELECT setting::int FROM pg_settings WHERE name = %s", [name])
            values.append(cursor.fetchone()[0])
    return values


def test_connection__host_vanished__dropped_by_the_server_within_minutes() -> None:
    names = ["tcp_keepalives_idle", "tcp_keepalives_interval", "tcp_keepalives_count"]
    idle, interval, count, unanswered, in_transaction = settings_of(
        *names, "tcp_user_timeout", "idle_in_transaction_session_timeout"
    )
    assert 0 < idle + interval * count <= 90, "seconds that a silent host keeps its worker slot"
    assert 0 < unanswered <= 90_000, "milliseconds, where an answer was on its way to it"
    assert 0 < in_transaction <= 3_600_000, "milliseconds of a process that was stopped"


def test_connection__statement_runs__bounded_and_its_process_looked_after() -> None:
    timeout, interval = settings_of("statement_timeout", "client_connection_check_interval")
    assert timeout == 60_000
    assert 0 < interval <= 5_000


def test_prune__takes_longer_than_a_statement_may__done_all_the_same() -> None:
    old = file(ago(days=40), imported_at=ago(days=40), archived_at=ago(days=40))
    with connection.cursor() as cursor:
        cursor.execute(
            "CREATE FUNCTION dawdle() RETURNS trigger LANGUAGE plpgsql AS"
            " $$ BEGIN PERFORM pg_sleep(0.3); RETURN OLD; END $$;"
            "CREATE TRIGGER dawdle BEFORE DELETE ON realtime_file FOR EACH ROW"
            " EXECUTE FUNCTION dawdle();"
            "SET statement_timeout = '200ms'"
        )
    with pytest.raises(OperationalError, match="statement timeout"):
        File.objects.filter(id=old.id).delete()
    assert retention.prune(ledger_files.database_now())["files"] == 1
    assert settings_of("statement_timeout") == [200]


@pytest.mark.parametrize(
    ("what", "error", "limit"),
    [
        ("RAISE 'no'", InternalError, 200),
        ("PERFORM pg_terminate_backend(pg_backend_pid())", OperationalError, 60_000),
    ],
    ids=["statement refused", "connection lost"],
)
def test_prune__breaks_off__says_why_and_statements_are_limited_again(
    what: str, error: type[Exception], limit: int
) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS"
            f" $$ BEGIN {what}; RETURN NULL; END $$;"
            "CREATE TRIGGER refuse BEFORE DELETE ON realtime_suspect"
            " EXECUTE FUNCTION refuse();"
            "SET statement_timeout = '200ms'"
        )
    with pytest.raises(error):
        retention.prune(ledger_files.database_now())
    connection.close_if_unusable_or_obsolete()
    assert settings_of("statement_timeout") == [limit]


def test_migrate__any_time__its_statements_may_take_long() -> None:
    call_command("migrate", "realtime", verbosity=0)
    assert settings_of("statement_timeout") == [0]
