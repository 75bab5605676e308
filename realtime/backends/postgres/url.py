"""Django's database settings for PostgreSQL."""

import ipaddress
from typing import Any

import environ

from realtime.domain.config import APPLICATION_NAME, Config


def databases(config: Config) -> dict[str, dict[str, Any]]:
    """Django's `DATABASES`; empty when no database is configured.

    A secret is read when a connection is opened, so commands that need no database need no
    permission to read it.
    """
    if config.database_secret:
        return {"default": {"ENGINE": "realtime.backends.postgres", "CONN_MAX_AGE": None}}
    return {"default": settings_for(config.database_url)} if config.database_url else {}


def settings_for(url: str) -> dict[str, Any]:
    """Django's settings for the database at `url`; options in the URL override ours."""
    parsed: dict[str, Any] = environ.Env.db_url_config(url)
    given = parsed.get("OPTIONS", {})
    # libpq's `host` and `hostaddr` options override the URL's host.
    hosts = [given[name] for name in ("host", "hostaddr") if name in given] or [parsed["HOST"]]
    options = {
        "application_name": APPLICATION_NAME,
        "connect_timeout": 10,
        # Notice a vanished server in a minute, not after TCP's default of two hours.
        "keepalives": 1,
        "keepalives_idle": 30,
        "keepalives_interval": 10,
        "keepalives_count": 3,
        **({} if all(is_local(str(host)) for host in hosts) else {"sslmode": "require"}),
        **given,
    }
    # A run keeps one connection until it ends.
    return {**parsed, "CONN_MAX_AGE": None, "OPTIONS": options}


def is_local(host: str) -> bool:
    """Whether `host` is this machine: empty, a socket's folder, or a loopback name or address."""
    if not host or host.startswith("/") or host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
