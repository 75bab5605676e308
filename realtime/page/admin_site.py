"""Django's admin in the stand-alone site: the ledger, users and groups, and nothing else."""

from typing import Any

from django.contrib.admin import AdminSite

# Users and groups are where the roles are given.
APPS = {"realtime", "auth"}


class LedgerSite(AdminSite):
    """An admin without core's tables: core registers all of them, to be changed, wherever an admin
    is installed beside it. What a person changes there, the next import undoes or trips over."""

    site_header = site_title = "Realtime imports"

    def register(self, model_or_iterable: Any, admin_class: Any = None, **options: Any) -> None:
        """Register what is of APPS; leave out the rest in silence, since others ask for it."""
        several = isinstance(model_or_iterable, list | tuple | set)
        models = model_or_iterable if several else [model_or_iterable]
        ours = [model for model in models if model._meta.app_label in APPS]
        if ours:
            super().register(ours, admin_class, **options)
