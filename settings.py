"""Django settings of the commands; values come from the environment (README, "The environment").

`realtime.domain.config` defines and checks the variables. Commands of the scraper's side need no
database, so a missing `DATABASE_URL` is reported by the commands that need it, not here.
"""

import os
import sys

import environ

from realtime.backends.postgres.url import databases
from realtime.domain import config
from realtime.process import logs

env = environ.Env()

REALTIME = config.load(os.environ)

SECRET_KEY = env.str("SECRET_KEY", default="not-used: nothing here is signed")
DEBUG = False
USE_TZ = True
TIME_ZONE = "UTC"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

INSTALLED_APPS = ["django.contrib.contenttypes", "openstates.data", "realtime"]

DATABASES = databases(REALTIME)

# Core's models have an index name longer than Django allows (E034) and tables without an explicit
# primary key type (W042). Only core can change that, and Django stops every command for it.
# The security checks are for web sites: these settings serve no site, and SECRET_KEY signs nothing.
SILENCED_SYSTEM_CHECKS = [
    *("models.E034", "models.W042"),
    *("security.W001", "security.W002", "security.W003", "security.W009", "security.W020"),
]

# Text on a terminal; elsewhere JSON, for journald, CloudWatch and other log collectors.
LOGGING = logs.configuration(
    REALTIME.log_format or (logs.TEXT if sys.stderr and sys.stderr.isatty() else logs.JSON),
    REALTIME.log_level,
    REALTIME.core_log_level,
)
