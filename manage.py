#!/usr/bin/env python
"""Django's command line for the realtime imports."""

import os
import sys


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "settings")
    from django.core.management import execute_from_command_line

    from realtime.errors import ConfigurationError

    try:
        execute_from_command_line(sys.argv)
    except ConfigurationError as exc:
        sys.exit(f"{sys.argv[0]}: {exc}")


if __name__ == "__main__":
    main()
