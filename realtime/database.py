"""How this project connects to PostgreSQL."""

from typing import Any

import environ

from realtime.config import APPLICATION_NAME


def settings_for(url: str) -> dict[str, Any]:
    """Django's settings of the database at `url`; options in the url win over ours."""
    parsed: dict[str, Any] = environ.Env.db_url_config(url)
    options = {
        "application_name": APPLICATION_NAME,
        "connect_timeout": 10,
        # A host that vanishes must not hold its locks until TCP's own two hours are over.
        "keepalives": 1,
        "keepalives_idle": 30,
        "keepalives_interval": 10,
        "keepalives_count": 3,
        **parsed.get("OPTIONS", {}),
    }
    # A run is one process with one connection for as long as it works.
    return {**parsed, "CONN_MAX_AGE": None, "OPTIONS": options}
