"""The admin app of the stand-alone site, in place of `django.contrib.admin` in INSTALLED_APPS."""

from django.contrib.admin.apps import AdminConfig


class LedgerAdminConfig(AdminConfig):
    """Django's admin app, with the site of `admin_site.py`."""

    default_site = "realtime.page.admin_site.LedgerSite"
