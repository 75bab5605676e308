"""URLs of the stand-alone site: the page, its login, and Django's admin."""

from django.contrib import admin
from django.contrib.auth.views import LoginView, LogoutView
from django.urls import include, path
from django.views.decorators.http import require_POST

handler400 = "realtime.page.errors.bad_request"
handler403 = "realtime.page.errors.forbidden"
handler404 = "realtime.page.errors.not_found"
handler500 = "realtime.page.errors.failed"

urlpatterns = [
    path("login/", LoginView.as_view(template_name="realtime/login.html"), name="login"),
    path("logout/", require_POST(LogoutView.as_view()), name="logout"),
    path("admin/", admin.site.urls),
    path("", include("realtime.urls")),
]
