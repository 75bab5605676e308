"""Django settings of the operators' page (docs/operations.md, "The page").

Adds Django's admin, auth, sessions and static files to `settings`. The other commands neither load
them nor need their tables. Raises ConfigurationError without SECRET_KEY or a database.
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
    "realtime.page.admin_config.LedgerAdminConfig",
    "django.contrib.auth",
    "django.contrib.messages",
    "django.contrib.sessions",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
]
MIDDLEWARE = [
    # First: nothing reads a body before it.
    "realtime.page.bodies.BoundedBodies",
    "realtime.page.machines.OwnHealth",
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
CSRF_FAILURE_VIEW = "realtime.page.errors.form_expired"
LOGIN_URL = "login"
LOGIN_REDIRECT_URL = "realtime:overview"
LOGOUT_REDIRECT_URL = "login"
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in ("MinimumLengthValidator", "CommonPasswordValidator", "NumericPasswordValidator")
]

STATIC_URL = "/static/"
# Serve static files straight from the packages, without collectstatic.
WHITENOISE_USE_FINDERS = True

# Close the connection after each request, so that the page survives a restart of the database.
if DATABASES:
    DATABASES["default"]["CONN_MAX_AGE"] = 0
    options = DATABASES["default"].setdefault("OPTIONS", {})
    options["application_name"] = "openstates-realtime-page"

SESSION_COOKIE_HTTPONLY = True
SECURE_REFERRER_POLICY = "same-origin"
# A loopback address needs no TLS; every other host does.
if not all(is_local(host) for host in ALLOWED_HOSTS):
    SECURE_SSL_REDIRECT = True
    # It tells one word, and a balancer or a monitor may ask for it without TLS.
    SECURE_REDIRECT_EXEMPT = [r"^healthz$"]
    SESSION_COOKIE_SECURE = True
    CSRF_COOKIE_SECURE = True
    SECURE_HSTS_SECONDS = 31_536_000

# A site is served here, so the security checks apply, except those that ask for HSTS on subdomains
# (W005) and for preloading (W021): other hosts of the domain are not ours to decide about.
SILENCED_SYSTEM_CHECKS = ["models.E034", "models.W042", "security.W005", "security.W021"]
