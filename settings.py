"""Django settings; every value comes from the environment (README, "The environment").

`realtime.config` names, checks and explains the variables. The producing commands need
no database, so a missing `DATABASE_URL` is an error of the commands that do, not here.
"""

import os

import environ

from realtime import config
from realtime.database import databases

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

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "%(asctime)s %(levelname)s %(name)s: %(message)s"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["stderr"], "level": "WARNING"},
    "loggers": {
        "realtime": {"level": env.str("REALTIME_LOG_LEVEL", default="INFO")},
        # Core logs each name it cannot resolve as an error; a run's report counts what matters.
        "openstates": {"level": env.str("OPENSTATES_LOG_LEVEL", default="CRITICAL")},
    },
}
