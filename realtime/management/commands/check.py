"""Django's `check`, which here also knows the checks that ask AWS and the database."""

from typing import Any

from django.core.management.commands import check

from realtime.monitoring import checks


class Command(check.Command):
    """As Django's. With `--tag realtime` or `--deploy` ours run too; nothing else runs them, so
    that no command starts later for them."""

    def handle(self, *app_labels: Any, **options: Any) -> None:
        if options["deploy"] or options["list_tags"] or checks.TAG in (options["tags"] or ()):
            checks.register_all()
        super().handle(*app_labels, **options)
