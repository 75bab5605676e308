"""The site for a WSGI server, as in `gunicorn realtime.page.wsgi`."""

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "site_settings")

application = get_wsgi_application()
