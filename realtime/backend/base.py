"""Django looks for the DatabaseWrapper of a backend here."""

from typing import Any

import psycopg2
from django.conf import settings
from django.db.backends.postgresql import base

from realtime import database_secret
from realtime.database import settings_for


class DatabaseWrapper(base.DatabaseWrapper):
    """Opens connections to where `database_secret` says.

    The password is in no setting, so that nothing which prints settings can print it. Whatever
    `database_secret` raises is raised when a connection is opened.
    """

    def get_connection_params(self) -> dict[str, Any]:
        given = self.settings_dict
        found = settings_for(database_secret.database_url(settings.REALTIME))
        options = {**found["OPTIONS"], **given["OPTIONS"]}
        self.settings_dict = {**given, **found, "OPTIONS": options}
        try:
            params: dict[str, Any] = super().get_connection_params()
        finally:
            self.settings_dict = given
        return params

    def get_new_connection(self, conn_params: dict[str, Any]) -> Any:
        try:
            return super().get_new_connection(conn_params)
        except psycopg2.OperationalError:
            # It may be the password, which may have been changed since it was read.
            database_secret.forget()
            raise
