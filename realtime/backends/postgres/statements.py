"""The statement that a connection runs: how it is cancelled, and which may take long."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import psycopg2
from django.db import DEFAULT_DB_ALIAS, connection, connections

logger = logging.getLogger(__name__)


def canceller() -> Callable[[], None]:
    """A function that cancels what the connection of this thread runs when it is called, from any
    thread. It never raises; where nothing runs it does nothing."""
    wrapper = connections[DEFAULT_DB_ALIAS]

    def cancel() -> None:
        raw = wrapper.connection
        try:
            if raw is not None:
                raw.cancel()
        except psycopg2.Error as exc:
            # The connection has just ended, or the server does not answer.
            logger.debug("statement not cancelled", extra={"action": "cancel", "cause": exc})

    return cancel


@contextmanager
def unlimited_statements() -> Iterator[None]:
    """Lift the statement timeout for the block, for housekeeping; after it, and after an error in
    it, statements are limited as before."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_setting('statement_timeout')")
        [before] = cursor.fetchone()
        cursor.execute("SELECT set_config('statement_timeout', '0', false)")
    try:
        yield
    finally:
        # A lost connection takes the setting with it, and so does a transaction that broke.
        if connection.connection is not None and connection.is_usable():
            with connection.cursor() as cursor:
                cursor.execute("SELECT set_config('statement_timeout', %s, false)", [before])
