"""`manage.py migrate`: Django's, which first looks whether the database's user may do it."""

from typing import Any

from django.apps import apps
from django.core.management.base import CommandError
from django.core.management.commands import migrate
from django.db import DatabaseError, ProgrammingError, connections
from django.db.backends.base.base import BaseDatabaseWrapper

from realtime.backends.postgres import rights
from realtime.backends.postgres.interruptions import lacks_privilege
from realtime.backends.postgres.rights import Lack

# The ledger's, and those whose tables the page needs.
_OURS = ("realtime", "auth", "admin", "sessions")
# Django records what it has applied, and the models of each app, in tables that core has made.
_RECORDS = {"django_migrations": "SELECT, INSERT, DELETE", "django_content_type": "SELECT, INSERT"}
# It makes permissions, and we make the roles, in tables that may be those of a site.
_USERS = {
    "auth_permission": "SELECT, INSERT",
    "auth_group": "SELECT, INSERT",
    "auth_group_permissions": "SELECT, INSERT",
    "auth_user": "SELECT",
    "auth_user_groups": "SELECT, INSERT",
}

_SCHEMA = """
    SELECT pg_get_userbyid(CASE pg_get_userbyid(nspowner)
            WHEN 'pg_database_owner' THEN datdba ELSE nspowner END),
        'CREATE ON SCHEMA', quote_ident(current_user), quote_ident(nspname)
    FROM pg_namespace JOIN pg_database ON datname = current_database()
    WHERE nspname = current_schema() AND NOT has_schema_privilege(nspname, 'CREATE')
"""
_OWNERS = r"""
    SELECT DISTINCT tableowner
    FROM pg_tables
    WHERE schemaname = current_schema() AND tablename LIKE 'realtime\_%'
      AND NOT pg_has_role(tableowner, 'USAGE')
"""


class Command(migrate.Command):
    """Django's `migrate`. Where the database's user may not migrate the ledger's or the page's
    tables, applies nothing and names the GRANTs that are missing: Django would apply a migration
    and fail to record it. Raises CommandError, with one line, for any other right that is
    missing."""

    def handle(self, *args: Any, **options: Any) -> None:
        connection = connections[options["database"]]
        # A site that this project is part of may have other databases, and migrates other apps.
        label = options["app_label"]
        is_ours = label in (None, *_OURS) and connection.vendor == "postgresql"
        if is_ours and not options["plan"]:
            _require_rights(connection, _OURS if label is None else (label,))
        try:
            super().handle(*args, **options)
        except ProgrammingError as exc:
            if not lacks_privilege(exc):
                raise
            raise CommandError(
                f"the database's user may not migrate: {_line(exc)}; migrate as its owner"
            ) from exc


def _require_rights(connection: BaseDatabaseWrapper, labels: tuple[str, ...]) -> None:
    try:
        with connection.cursor() as cursor:
            cursor.execute(_OWNERS)
            owners = sorted(owner for (owner,) in cursor.fetchall())
        lacks = _lacking(connection, labels)
    except DatabaseError as exc:
        raise CommandError(f"the database cannot be reached: {_line(exc)}") from exc
    if owners and "realtime" in labels:
        raise CommandError(
            "the database's user may not migrate: the ledger's tables belong to"
            f" {' and '.join(owners)}; migrate as that role"
        )
    if lacks:
        raise CommandError(
            f"the database's user may not migrate: {rights.told(lacks)} or migrate as another role"
        )


def _lacking(connection: BaseDatabaseWrapper, labels: tuple[str, ...]) -> list[Lack]:
    wanted = dict(_RECORDS)
    if apps.is_installed("django.contrib.auth"):
        wanted |= _USERS
    with connection.cursor() as cursor:
        there = set(connection.introspection.table_names(cursor))
        cursor.execute(_SCHEMA)
        schemas = [Lack(owner, what, user, (name,)) for owner, what, user, name in cursor]
    # A new table that refers to one which is there.
    for table, model in rights.tables(*labels).items():
        for field in model._meta.local_fields if table not in there else ():
            if field.remote_field and field.db_constraint:
                referred = field.related_model._meta.db_table
                given = wanted.get(referred, "")
                if referred in there and "REFERENCES" not in given:
                    wanted[referred] = f"{given}, REFERENCES".removeprefix(", ")
    return [*schemas, *rights.lacking(connection, wanted)]


def _line(exc: Exception) -> str:
    return " ".join(str(exc).split())
