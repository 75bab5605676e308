"""`manage.py check`: Django's, with our checks of AWS and the database."""

from typing import Any

from django.core.management.commands import check

from realtime.monitoring import checks


class Command(check.Command):
    """Django's `check`; `--tag realtime` and `--deploy` also run our checks.

    Nothing else runs ours, so that they delay no other command.
    """

    def handle(self, *app_labels: Any, **options: Any) -> None:
        if options["deploy"] or options["list_tags"] or checks.TAG in (options["tags"] or ()):
            checks.register_all()
        super().handle(*app_labels, **options)
