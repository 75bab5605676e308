#!/usr/bin/env python
"""Django's command line for the realtime imports."""

import atexit
import gc
import os
import sys

# Commands that serve the operators' page or manage its users use site_settings.
SITE_COMMANDS = {"runserver", "createsuperuser", "changepassword"}


def main() -> None:
    # Modules stay loaded, so garbage collection while they load and at exit finds nothing. It would
    # take a fifth of a run on an empty queue.
    gc.set_threshold(50_000)
    atexit.register(gc.freeze)
    settings = "site_settings" if SITE_COMMANDS & set(sys.argv[1:2]) else "settings"
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", settings)
    from django.core.management import execute_from_command_line
    from django.db import OperationalError

    from realtime.domain.errors import ConfigurationError, Unavailable

    # Our commands catch these themselves. Django's, such as migrate, would print a traceback.
    try:
        execute_from_command_line(sys.argv)
    except (ConfigurationError, Unavailable) as exc:
        sys.exit(f"{sys.argv[0]}: {exc}")
    except OperationalError as exc:
        line = " ".join(str(exc).split())
        sys.exit(f"{sys.argv[0]}: the database cannot be used: {line}")


if __name__ == "__main__":
    main()
