"""Django settings; every value comes from the environment (README, "The environment").

`realtime.domain.config` names, checks and explains the variables. The producing commands need
no database, so a missing `DATABASE_URL` is an error of the commands that do, not here.
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

# Core's own models carry an index name that is longer than Django allows (E034) and tables
# without an explicit key type (W042). Both are core's to change, and either would stop every
# management command of a project that installs openstates.data.
# The security checks are about sites; nothing here is served, and SECRET_KEY signs nothing.
SILENCED_SYSTEM_CHECKS = [
    *("models.E034", "models.W042"),
    *("security.W001", "security.W002", "security.W003", "security.W009", "security.W020"),
]

# Programs read what is not shown on a terminal: journald, CloudWatch, whoever collects logs.
LOGGING = logs.configuration(
    REALTIME.log_format or (logs.TEXT if sys.stderr and sys.stderr.isatty() else logs.JSON),
    REALTIME.log_level,
    REALTIME.core_log_level,
)
