#!/usr/bin/env python
"""Django's command line for the realtime imports."""

import atexit
import gc
import os
import sys

# What serves the operators' page, or looks after those who may see it, has settings of its own.
SITE_COMMANDS = {"runserver", "createsuperuser", "changepassword"}


def main() -> None:
    # What is loaded stays: to look through it for garbage, while it loads and again at the exit,
    # takes a fifth of a run that finds nothing to do.
    gc.set_threshold(50_000)
    atexit.register(gc.freeze)
    settings = "site_settings" if SITE_COMMANDS & set(sys.argv[1:2]) else "settings"
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", settings)
    from django.core.management import execute_from_command_line
    from django.db import OperationalError

    from realtime.domain.errors import ConfigurationError, Unavailable

    # Our commands say so themselves; Django's own, migrate and dbshell, would print a traceback.
    try:
        execute_from_command_line(sys.argv)
    except (ConfigurationError, Unavailable) as exc:
        sys.exit(f"{sys.argv[0]}: {exc}")
    except OperationalError as exc:
        line = " ".join(str(exc).split())
        sys.exit(f"{sys.argv[0]}: the database cannot be used: {line}")


if __name__ == "__main__":
    main()
