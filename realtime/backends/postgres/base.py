"""The DatabaseWrapper of this backend, in the module where Django looks for it."""

from collections.abc import Mapping
from typing import Any

import psycopg2
from django.conf import settings
from django.db.backends.postgresql import base, client

from realtime.backends import database_secret
from realtime.backends.postgres.url import settings_for


class DatabaseClient(client.DatabaseClient):
    """`manage.py dbshell`; Django passes the password to psql in its environment."""

    @classmethod
    def settings_to_cmd_args_env(
        cls, settings_dict: dict[str, Any], parameters: Any
    ) -> tuple[list[str], dict[str, str] | None]:
        found: tuple[list[str], dict[str, str] | None] = super().settings_to_cmd_args_env(
            _completed(settings_dict), parameters
        )
        return found


class DatabaseWrapper(base.DatabaseWrapper):
    """Connects to the URL of `database_secret`.

    No Django setting holds the password, so printing the settings cannot reveal it. Opening a
    connection raises what `database_secret.database_url` raises.
    """

    client_class = DatabaseClient

    def get_connection_params(self) -> dict[str, Any]:
        given = self.settings_dict
        self.settings_dict = _completed(given)
        try:
            params: dict[str, Any] = super().get_connection_params()
        finally:
            self.settings_dict = given
        return params

    def get_new_connection(self, conn_params: dict[str, Any]) -> Any:
        try:
            return super().get_new_connection(conn_params)
        except psycopg2.OperationalError:
            # The password may have been rotated since it was read.
            database_secret.forget()
            raise


def _completed(given: Mapping[str, Any]) -> dict[str, Any]:
    found = settings_for(database_secret.database_url(settings.REALTIME))
    return {**given, **found, "OPTIONS": {**found["OPTIONS"], **given["OPTIONS"]}}
