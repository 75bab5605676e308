"""How the operators' page writes times and figures."""

from datetime import datetime, timedelta
from typing import Any

from django import template
from django.utils.html import format_html
from django.utils.safestring import SafeString

from realtime.page import names, words

register = template.Library()


@register.filter
def duration(seconds: Any) -> str:
    """As `words.duration`."""
    return words.duration(seconds)


@register.filter
def thousands(number: int) -> str:
    """`12,345`."""
    return f"{number:,}"


@register.filter
def name_of(jurisdiction_id: str) -> str:
    """As `names.name_of`."""
    return names.name_of(jurisdiction_id)


@register.filter
def instant(when: datetime | None) -> SafeString | str:
    """A moment in UTC, to the second."""
    if when is None:
        return words.NOTHING
    return format_html(
        '<time datetime="{}">{}</time>', when.isoformat(), f"{when:%Y-%m-%d %H:%M:%S}"
    )


@register.simple_tag
def ago(when: datetime | None, now: datetime) -> SafeString | str:
    """How long ago a moment was; the moment itself is in its title."""
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
    """A moment of the last twelve hours by the clock, in UTC; an earlier one with its date."""
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
    """How long it took from one moment to another."""
    return words.duration(None if later is None else later - earlier)
