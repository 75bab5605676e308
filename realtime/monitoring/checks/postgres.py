"""Checks of the database: direct connection, encryption, migrations, privileges."""

from collections.abc import Iterator
from typing import Any

from django.apps import apps
from django.conf import settings
from django.core.checks import CheckMessage, Error, Warning
from django.db import DatabaseError, connection, models
from django.db.migrations.executor import MigrationExecutor

from realtime.backends.postgres import pooler_check
from realtime.backends.postgres.url import is_local
from realtime.domain.config import Config
from realtime.domain.errors import ConfigurationError, RealtimeError

SETTING = "DATABASE_URL"
_CHANGES = ("SELECT", "INSERT", "UPDATE", "DELETE")
# Core's reference data, which imports only read.
_READ_ONLY = {"Division"}
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
    executor = MigrationExecutor(connection)
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
    lacking: dict[str, list[str]] = {}
    existing = set(connection.introspection.table_names())
    tables = [model for label in ("data", "realtime") for model in _tables(label)]
    with connection.cursor() as cursor:
        for model in tables:
            table = model._meta.db_table
            if table not in existing:
                continue
            wanted = ("SELECT",) if model.__name__ in _READ_ONLY else _CHANGES
            cursor.execute(
                "SELECT p FROM unnest(%s) p WHERE NOT has_table_privilege(%s, p)",
                [list(wanted), connection.ops.quote_name(table)],
            )
            for (privilege,) in cursor.fetchall():
                lacking.setdefault(privilege, []).append(table)
            key = model._meta.pk
            assert key is not None
            cursor.execute(
                "SELECT s FROM pg_get_serial_sequence(%s, %s) s"
                " WHERE s IS NOT NULL AND NOT has_sequence_privilege(s, 'USAGE')",
                [connection.ops.quote_name(table), key.column],
            )
            for (sequence,) in cursor.fetchall():
                lacking.setdefault("USE", []).append(sequence.rpartition(".")[2])
    for privilege, names in lacking.items():
        shown = ", ".join(sorted(names)[:_SHOWN])
        more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
        yield Error(
            f"the database's user may not {privilege} {shown}{more}",
            hint=f"GRANT {', '.join(_CHANGES)} ON those tables, and USAGE ON their sequences.",
            id="realtime.E027",
        )


def _tables(app_label: str) -> Iterator[type[models.Model]]:
    for model in apps.get_app_config(app_label).get_models(include_auto_created=True):
        if model._meta.managed and not model._meta.proxy:
            yield model
