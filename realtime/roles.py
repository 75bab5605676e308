"""Who may look at the operators' page and who may act: Django permissions, and a group for each.

They are made where Django's users are: imports run without these.
"""

from typing import Any

from django.apps import AppConfig, apps
from django.db import connections, transaction

LOOK, ACT = "realtime.look", "realtime.act"
# The groups, each with its permissions.
GROUPS = {"Realtime: look": (LOOK,), "Realtime: act": (LOOK, ACT)}


def exist(using: str = "default") -> bool:
    """Whether the roles have been made."""
    if not can_be_made(using):
        return False
    return bool(_permissions(using).filter(codename="act").exists())


def can_be_made(using: str) -> bool:
    """Whether Django's auth app is installed, and its tables and ours are there."""
    if not apps.is_installed("django.contrib.auth"):
        return False
    from django.contrib.auth import get_user_model
    from django.contrib.auth.models import Group, Permission

    models: list[Any] = [Group, Permission, get_user_model()]
    wanted = {model._meta.db_table for model in models}
    return wanted <= set(connections[using].introspection.table_names())


def make(app: AppConfig, using: str) -> None:
    """Make the permissions and the groups. Staff who are there now could do everything before there
    were roles: they become members of the second group."""
    from django.contrib.auth import get_user_model
    from django.contrib.auth.management import create_permissions
    from django.contrib.auth.models import Group

    with transaction.atomic(using):
        create_permissions(app, verbosity=0, using=using)
        for name, permissions in GROUPS.items():
            group, _ = Group.objects.using(using).get_or_create(name=name)
            words = [permission.partition(".")[2] for permission in permissions]
            group.permissions.add(*_permissions(using).filter(codename__in=words))
        users: Any = get_user_model()
        # A site's own kind of user need not know of staff or groups.
        if {"is_staff", "is_superuser", "groups"} <= {f.name for f in users._meta.get_fields()}:
            staff = users._default_manager.using(using).filter(is_staff=True, is_superuser=False)
            for user in staff:
                user.groups.add(group)


def _permissions(using: str) -> Any:
    from django.contrib.auth.models import Permission

    return Permission.objects.using(using).filter(content_type__app_label="realtime")
