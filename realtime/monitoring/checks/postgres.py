"""Checks of the database: direct connection, encryption, migrations, privileges."""

from collections.abc import Iterator
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Warning
from django.db import DatabaseError, ProgrammingError, connection
from django.db.migrations.executor import MigrationExecutor

from realtime.backends.postgres import pooler_check, rights
from realtime.backends.postgres.interruptions import lacks_privilege
from realtime.backends.postgres.url import is_local
from realtime.domain.config import Config
from realtime.domain.errors import ConfigurationError, RealtimeError

SETTING = "DATABASE_URL"
_SHOWN = 5


def check_database(**arguments: Any) -> list[CheckMessage]:
    """Check that imports can use the database."""
    config: Config = settings.REALTIME
    try:
        config.require_database()
        connection.ensure_connection()
    except ConfigurationError as exc:
        return [Error(str(exc), id="realtime.E001")]
    except (RealtimeError, DatabaseError) as exc:
        reason = " ".join(str(exc).split())
        return [Error(f"{SETTING}: the database cannot be reached: {reason}", id="realtime.E021")]
    try:
        return [*_pooler(), *_encryption(), *_migrations(), *_privileges()]
    except DatabaseError as exc:
        reason = " ".join(str(exc).split())
        return [Error(f"{SETTING}: the database refused: {reason}", id="realtime.E022")]
    finally:
        connection.close()


def _pooler() -> Iterator[CheckMessage]:
    if pooler_check.is_pooled():
        yield Error(
            f"{SETTING} goes through a transaction pooler",
            hint="Worker slots are session locks. Connect to the database itself, or to a port of"
            " the pooler in session mode.",
            id="realtime.E023",
        )


def _encryption() -> Iterator[CheckMessage]:
    assert connection.connection is not None
    info = connection.connection.info
    if not info.ssl_in_use and not is_local(info.host or ""):
        yield Warning(
            f"{SETTING}: the connection to {info.host} is not encrypted",
            hint="Keep the default here (sslmode=require), or set sslmode=verify-full.",
            id="realtime.W024",
        )


def _migrations() -> Iterator[CheckMessage]:
    try:
        executor = MigrationExecutor(connection)
    except ProgrammingError as exc:
        if not lacks_privilege(exc):
            raise
        # `_privileges` says that the list of migrations cannot be read.
        return
    nodes = executor.loader.graph.leaf_nodes()
    behind = {
        migration.app_label: migration.name for migration, _ in executor.migration_plan(nodes)
    }
    if "realtime" in behind:
        yield Error(
            f"the ledger's tables are not up to {behind['realtime']}",
            hint="Run `manage.py migrate realtime`.",
            id="realtime.E025",
        )
    if "data" in behind:
        yield Warning(
            f"core's tables are not up to {behind['data']}, as the core installed here expects",
            hint="Install the version of core that this database has, or migrate the database.",
            id="realtime.W026",
        )


def _privileges() -> Iterator[CheckMessage]:
    wanted = {**rights.of_imports(), **rights.of_the_page()}
    for lack in rights.lacking(connection, wanted):
        shown = ", ".join(lack.names[:_SHOWN])
        more = f" and {len(lack.names) - _SHOWN} more" if len(lack.names) > _SHOWN else ""
        yield Error(
            f"the database's user lacks {lack.what} {shown}{more}",
            hint=rights.told([lack]),
            id="realtime.E027",
        )
