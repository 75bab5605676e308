"""URLs of the operators' page: `include("realtime.urls")` in a site."""

from django.urls import path

from realtime.page import failure, flags, jurisdiction, operator_actions, overview

app_name = "realtime"

urlpatterns = [
    path("", overview.show, name="overview"),
    path("jurisdiction/", jurisdiction.show, {"jurisdiction_id": ""}, name="unnamed"),
    path("jurisdiction/<path:jurisdiction_id>/", jurisdiction.show, name="jurisdiction"),
    path("file/<int:file_id>/", failure.show, name="failure"),
    path("file/<int:file_id>/retry/", operator_actions.retry, name="retry"),
    path("file/<int:file_id>/retry-alike/", operator_actions.retry_alike, name="retry-alike"),
    path("file/<int:file_id>/discard/", operator_actions.discard, name="discard"),
    path("flags/", flags.listed, name="flags"),
    path("flag/<int:flag_id>/", flags.show, name="flag"),
    path("flag/<int:flag_id>/resolve/", flags.resolve, name="resolve"),
]
