"""The ledger in Django's admin: search and view, no changes.

Loaded only where the admin is installed. No query counts or sorts a whole table.
"""

from typing import Any, cast
from uuid import UUID

from django.contrib import admin
from django.core.paginator import Paginator
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.urls import NoReverseMatch, reverse
from django.utils.functional import cached_property
from django.utils.html import format_html
from openstates import metadata

from realtime.models import (
    File,
    LoggedChange,
    OperatorAction,
    Pause,
    RaisedFlag,
    ScrapeRun,
    Suspect,
)
from realtime.page.services import config

_MAX_COUNT = 1_000


class BoundedPaginator(Paginator):  # type: ignore[type-arg]
    """Counts at most 1,000 rows, ten pages; find older rows by searching."""

    @cached_property
    def count(self) -> int:
        """The number of rows, at most the limit."""
        return cast("QuerySet[Any]", self.object_list)[:_MAX_COUNT].count()


class ReadOnly(admin.ModelAdmin):  # type: ignore[type-arg]
    """Read-only: users with the view permission may look, no user may change anything.

    `search_fields` only makes Django show the search box; `search_filter` does the search. Without
    them nothing is searched.
    """

    paginator = BoundedPaginator
    show_full_result_count = False
    actions = None

    def get_search_results(
        self, request: HttpRequest, queryset: "QuerySet[Any]", search_term: str
    ) -> tuple["QuerySet[Any]", bool]:
        """Search by `search_filter` alone, which uses indexes only."""
        # PostgreSQL text cannot hold NUL.
        term = search_term.strip().replace("\0", "") if self.search_fields else ""
        return (queryset.filter(self.search_filter(term)) if term else queryset), False

    def search_filter(self, term: str) -> Q:
        """The rows that a search for `term` finds, by index."""
        raise NotImplementedError

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(File)
class FileAdmin(ReadOnly):
    """Files, newest first. Search by full key, file name or run id."""

    list_display = ("key", "outcome", "reason", "jurisdiction_id", "received_at", "imported_at")
    list_filter = ("outcome",)
    ordering = ("-id",)
    search_fields = ("key",)
    search_help_text = "Full key, file name, or id of a scrape run"

    def get_queryset(self, request: HttpRequest) -> "QuerySet[File]":
        return super().get_queryset(request).defer("traceback", "detail", "message")

    def search_filter(self, term: str) -> Q:
        return _of_run(term) or Q(bucket=config().bucket.name, key__in=_keys(term))

    def view_on_site(self, obj: File) -> str | None:
        """The file's page, where the page is served; else None."""
        try:
            return reverse("realtime:failure", args=[obj.pk])
        except NoReverseMatch:
            return None


def _of_run(term: str) -> Q | None:
    try:
        return Q(run_id=UUID(term))
    except ValueError:
        return None


def _keys(term: str) -> list[str]:
    """The full keys that `term` may stand for: a key with or without prefix, or a file name."""
    if "/" in term:
        return [term, f"{config().bucket.prefix}{term}"]
    folders = {"us", "usa", *(abbr.lower() for abbr in metadata.STATES_BY_ABBR)}
    return [f"{config().bucket.prefix}{folder}/{term}" for folder in sorted(folders)]


@admin.register(ScrapeRun)
class ScrapeRunAdmin(ReadOnly):
    """Scrape runs, newest first. Search by run id or jurisdiction id."""

    list_display = ("run_id", "jurisdiction_name", "started_at", "finished_at", "finalized_at",
                    "closed")  # fmt: skip
    list_filter = ("closed",)
    ordering = ("-started_at",)
    search_fields = ("=run_id", "=jurisdiction_id")

    def search_filter(self, term: str) -> Q:
        return _of_run(term) or Q(jurisdiction_id=term)

    @admin.display(description="files of the run")
    def files(self, run: ScrapeRun) -> str:
        """A link to the run's files."""
        place = reverse("admin:realtime_file_changelist")
        return format_html('<a href="{}?q={}">files of this run</a>', place, run.run_id)

    readonly_fields = ("files",)


@admin.register(Suspect)
class SuspectAdmin(ReadOnly):
    """Messages that may have crashed an import: received often, without an outcome."""

    list_display = ("message_id", "attempts", "attempted_at")
    ordering = ("-attempted_at",)
    search_fields = ("=message_id",)

    def search_filter(self, term: str) -> Q:
        return Q(message_id=term)


@admin.register(RaisedFlag)
class RaisedFlagAdmin(ReadOnly):
    """Flags, newest first, resolved ones too."""

    list_display = ("subject", "kind", "jurisdiction_id", "last_seen", "resolved_at", "resolved_by")
    list_filter = ("kind",)
    ordering = ("-id",)


@admin.register(LoggedChange)
class LoggedChangeAdmin(ReadOnly):
    """The change log, newest first. Search by core's id of a row."""

    list_display = ("core_id", "change", "object_type", "bill_identifier", "session", "at")
    ordering = ("-id",)
    search_fields = ("=core_id",)

    def search_filter(self, term: str) -> Q:
        return Q(core_id=term)


@admin.register(Pause)
class PauseAdmin(ReadOnly):
    """Pauses, newest first, those that have ended too."""

    list_display = ("jurisdiction_id", "since", "by", "reason", "resumed_at", "resumed_by")
    ordering = ("-id",)


@admin.register(OperatorAction)
class OperatorActionAdmin(ReadOnly):
    """Actions taken on the page, newest first."""

    list_display = ("what", "verb", "by", "confirmed_at", "is_done", "error")
    list_filter = ("verb",)
    ordering = ("-id",)
