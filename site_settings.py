"""Django settings of the site that serves the operators' page (docs/operations.md, "The page").

Everything of `settings`, and Django's admin, auth, sessions and static files, which the importing
commands neither load nor have tables for. Raises ConfigurationError without SECRET_KEY.
"""

from realtime.backends.postgres.url import is_local
from realtime.domain.errors import ConfigurationError
from settings import *  # noqa: F403
from settings import DATABASES, INSTALLED_APPS, REALTIME, env

REALTIME.require_database()
SECRET_KEY = env.str("SECRET_KEY", default="")
if not SECRET_KEY:
    raise ConfigurationError(
        "SECRET_KEY is not set: it signs the sessions of the page; let it be long, random and kept"
    )

ALLOWED_HOSTS = env.list("REALTIME_PAGE_HOSTS", default=["localhost", "127.0.0.1", "[::1]"])

INSTALLED_APPS = [
    *INSTALLED_APPS,
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.messages",
    "django.contrib.sessions",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
]
MIDDLEWARE = [
    # First: nothing reads a body before it.
    "realtime.page.bodies.BoundedBodies",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]
ROOT_URLCONF = "realtime.page.site"
WSGI_APPLICATION = "realtime.page.wsgi.application"
LOGIN_URL = "login"
LOGIN_REDIRECT_URL = "realtime:overview"
LOGOUT_REDIRECT_URL = "login"
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in ("MinimumLengthValidator", "CommonPasswordValidator", "NumericPasswordValidator")
]

STATIC_URL = "/static/"
# Straight from the packages: there is no collectstatic to forget.
WHITENOISE_USE_FINDERS = True

# A page asks a few questions and goes, and begins anew when the database has.
if DATABASES:
    DATABASES["default"]["CONN_MAX_AGE"] = 0
    options = DATABASES["default"].setdefault("OPTIONS", {})
    options["application_name"] = "openstates-realtime-page"

SESSION_COOKIE_HTTPONLY = True
SECURE_REFERRER_POLICY = "same-origin"
# On this machine there is no one to listen in, and no certificate; everywhere else there is both.
if not all(is_local(host) for host in ALLOWED_HOSTS):
    SECURE_SSL_REDIRECT = True
    SESSION_COOKIE_SECURE = True
    CSRF_COOKIE_SECURE = True
    SECURE_HSTS_SECONDS = 31_536_000

# Here things are served, and signed: of what `settings` silences only core's models are left, and
# what would speak for the other names of the domain, which are not ours (W005, W021).
SILENCED_SYSTEM_CHECKS = ["models.E034", "models.W042", "security.W005", "security.W021"]
