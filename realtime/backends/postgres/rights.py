"""Which rights on tables the database's user lacks, and the statements that give them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from django.apps import apps
from django.db.backends.base.base import BaseDatabaseWrapper

_CHANGE = "SELECT, INSERT, UPDATE, DELETE"
# Reference data of core's, and what only migrations write.
_READ_ONLY = {"Division", "Post", "Permission"}
# Beside core's tables and the ledger's. Those of openstates.org refer to people, who are merged.
_OTHERS = {
    "django_migrations": "SELECT",
    "people_admin_unmatchedname": "SELECT, UPDATE",
    "people_admin_persondelta": "SELECT, DELETE",
    "people_admin_personretirement": "SELECT, DELETE",
}

# PostgreSQL refuses a GRANT as a whole when one of its tables is another role's: each owner has its
# own.
_LACKING = """
    WITH asked AS (
        SELECT pg_class.oid AS its_oid, relowner, rights
        FROM unnest(%(names)s, %(rights)s) AS given (name, rights)
        JOIN pg_class ON pg_class.oid = to_regclass(quote_ident(name))
    ), lacking AS (
        SELECT its_oid, relowner, string_agg(one, ', ' ORDER BY place) || ' ON' AS what
        FROM asked, unnest(string_to_array(rights, ', ')) WITH ORDINALITY AS wanted (one, place)
        WHERE NOT has_table_privilege(its_oid, one)
        GROUP BY its_oid, relowner
        UNION ALL
        SELECT sequence.oid, sequence.relowner, 'USAGE ON SEQUENCE'
        FROM asked
        JOIN pg_depend ON refclassid = 'pg_class'::regclass AND refobjid = its_oid
            AND classid = 'pg_class'::regclass
        JOIN pg_class AS sequence ON sequence.oid = objid
        WHERE rights LIKE '%%INSERT%%'
            -- The function refuses what is no sequence, and conditions have no order.
            AND CASE sequence.relkind WHEN 'S' THEN NOT has_sequence_privilege(objid, 'USAGE') END
    )
    SELECT pg_get_userbyid(relowner), what, quote_ident(current_user),
        array_agg(its_oid::regclass::text ORDER BY its_oid::regclass::text)
    FROM lacking
    GROUP BY relowner, what
    ORDER BY min(its_oid), what
"""


@dataclass(frozen=True)
class Lack:
    """What the database's user may not do with some objects of one owner. `what` reads as in a
    GRANT (`INSERT, UPDATE ON`), the names and the user are quoted where SQL wants it."""

    owner: str
    what: str
    user: str
    names: tuple[str, ...]

    @property
    def grant(self) -> str:
        """The statement with which the owner gives the rights."""
        return f"GRANT {self.what} {', '.join(self.names)} TO {self.user}"


def of_imports() -> dict[str, str]:
    """The rights that imports need on core's tables and the ledger's, by table."""
    return {**_changed("data", "realtime"), **_OTHERS}


def of_the_page() -> dict[str, str]:
    """The rights that the page needs beside those of imports, by table; none where Django's users
    are not installed."""
    if not apps.is_installed("django.contrib.auth"):
        return {}
    return {**_changed("auth", "admin", "sessions"), "django_content_type": "SELECT"}


def lacking(connection: BaseDatabaseWrapper, wanted: Mapping[str, str]) -> list[Lack]:
    """What the connection's user lacks of `wanted`, which has the rights by table (`SELECT,
    INSERT`); with INSERT goes the use of the table's sequences. Tables that are not there are left
    out. One statement. Raises Django's database errors."""
    with connection.cursor() as cursor:
        cursor.execute(_LACKING, {"names": list(wanted), "rights": list(wanted.values())})
        return [Lack(owner, what, user, tuple(names)) for owner, what, user, names in cursor]


def told(lacks: Iterable[Lack]) -> str:
    """The statements on one line, those of each owner behind its name."""
    by_owner: dict[str, list[str]] = {}
    for lack in lacks:
        by_owner.setdefault(lack.owner, []).append(lack.grant)
    return " ".join(f"as {owner}: {'; '.join(grants)};" for owner, grants in by_owner.items())


def tables(*app_labels: str) -> dict[str, Any]:
    """The models of the apps that are installed, by table."""
    return {
        model._meta.db_table: model
        for label in app_labels
        if label in apps.app_configs
        for model in apps.get_app_config(label).get_models(include_auto_created=True)
        if model._meta.managed and not model._meta.proxy
    }


def _changed(*app_labels: str) -> dict[str, str]:
    return {
        table: "SELECT" if model.__name__ in _READ_ONLY else _CHANGE
        for table, model in tables(*app_labels).items()
    }
