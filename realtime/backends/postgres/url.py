"""How this project connects to PostgreSQL."""

import ipaddress
from typing import Any

import environ

from realtime.domain.config import APPLICATION_NAME, Config


def databases(config: Config) -> dict[str, dict[str, Any]]:
    """Django's `DATABASES`; empty when no database is named.

    What a secret keeps is read when a connection is opened, not before: the commands that need
    no database need no permission to read it either.
    """
    if config.database_secret:
        return {"default": {"ENGINE": "realtime.backends.postgres", "CONN_MAX_AGE": None}}
    return {"default": settings_for(config.database_url)} if config.database_url else {}


def settings_for(url: str) -> dict[str, Any]:
    """Django's settings of the database at `url`; options in the url win over ours."""
    parsed: dict[str, Any] = environ.Env.db_url_config(url)
    given = parsed.get("OPTIONS", {})
    # libpq's own names for it win over the place in the url.
    hosts = [given[name] for name in ("host", "hostaddr") if name in given] or [parsed["HOST"]]
    options = {
        "application_name": APPLICATION_NAME,
        "connect_timeout": 10,
        # A host that vanishes must not hold its locks until TCP's own two hours are over.
        "keepalives": 1,
        "keepalives_idle": 30,
        "keepalives_interval": 10,
        "keepalives_count": 3,
        **({} if all(is_local(str(host)) for host in hosts) else {"sslmode": "require"}),
        **given,
    }
    # A run is one process with one connection for as long as it works.
    return {**parsed, "CONN_MAX_AGE": None, "OPTIONS": options}


def is_local(host: str) -> bool:
    """Whether what goes to `host` stays on this machine: a socket's folder, or a loopback name."""
    if not host or host.startswith("/") or host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
