"""Template filters and tags of the operators' page: times, durations, numbers, addresses."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from django import template
from django.utils.html import format_html
from django.utils.safestring import SafeString

from realtime.models import File
from realtime.page import access, links, names, words

register = template.Library()


@register.filter
def duration(seconds: Any) -> str:
    """A duration, as `words.duration` writes it."""
    return words.duration(seconds)


@register.filter
def may_look(user: Any) -> bool:
    """Whether this user may see the page."""
    return access.may_look(user)


@register.filter
def may_act(user: Any) -> bool:
    """Whether this user may do something, and not only look."""
    return access.may_act(user)


@register.filter
def thousands(number: int) -> str:
    """With thousands separators: `12,345`."""
    return f"{number:,}"


@register.filter
def name_of(jurisdiction_id: str) -> str:
    """The jurisdiction's name, as `names.name_of` gives it."""
    return names.name_of(jurisdiction_id)


@register.filter
def instant(when: datetime | None) -> SafeString | str:
    """Date and time in UTC, to the second; a dash for None."""
    if when is None:
        return words.NOTHING
    return format_html(
        '<time datetime="{}">{}</time>', when.isoformat(), f"{when:%Y-%m-%d %H:%M:%S}"
    )


@register.filter
def weekday(when: datetime) -> str:
    """Day of the week and time of day in UTC, whatever a site's own time zone is: `Fri 06:40`."""
    return f"{when.astimezone(UTC):%a %H:%M}"


@register.simple_tag
def ago(when: datetime | None, now: datetime) -> SafeString | str:
    """How long ago, with date and time as tooltip; `never` for None."""
    if when is None:
        return "never"
    return format_html(
        '<time datetime="{}" title="{} UTC">{} ago</time>',
        when.isoformat(),
        f"{when:%Y-%m-%d %H:%M:%S}",
        words.duration(max(now - when, timedelta())),
    )


@register.simple_tag
def clock(when: datetime | None, now: datetime) -> SafeString | str:
    """Time of day in UTC, with the date when 12 hours or more from `now`; a dash for None."""
    if when is None:
        return words.NOTHING
    form = "%H:%M:%S" if abs(now - when) < timedelta(hours=12) else "%Y-%m-%d %H:%M:%S"
    return format_html(
        '<time datetime="{}" title="{} UTC">{}</time>',
        when.isoformat(),
        f"{when:%Y-%m-%d %H:%M:%S}",
        f"{when:{form}}",
    )


@register.filter
def since(later: datetime | None, earlier: datetime) -> str:
    """The duration from `earlier` to `later`; a dash when `later` is None."""
    return words.duration(None if later is None else later - earlier)


@register.filter
def label(file: File, labels: Mapping[int, str]) -> str:
    """What to call a file, of those that `monitoring.labels.labels` was asked about."""
    return labels[file.pk]


@register.filter
def named(core_id: str, labels: Mapping[str, str]) -> str:
    """What to call a row of core's, of those that `row_labels` was asked about; else its id."""
    return labels.get(core_id, core_id)


register.filter("bill_of", links.bill_of)
register.filter("page_of", links.page_of)
register.filter("place_of", links.place_of)
register.filter("s3_console", links.s3_console)
