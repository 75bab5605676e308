"""The tag with which each page begins: whether imports go well, or what is wrong."""

from typing import Any

from django import template
from django.urls import reverse

from realtime.page import services
from realtime.page.access import may_look

register = template.Library()


@register.inclusion_tag("realtime/_verdict.html", takes_context=True)
def verdict(context: Any) -> dict[str, Any]:
    """The verdict, for who may look: others see nothing.

    On a page about a jurisdiction (its id is in the context as `jurisdiction_id`, or that of its
    `file` or `flag`) it is what concerns that one, and how many findings are about others.
    """
    user = context.get("user")
    if not (user and may_look(user)):
        return {}
    # A page that judges by it has asked already.
    found = context.get("verdict") or services.verdict()
    about = context.get("file") or context.get("flag")
    whose = context.get("jurisdiction_id") or getattr(about, "jurisdiction_id", "")
    here = found.of(whose) if whose else found
    return {
        "verdict": here,
        "elsewhere": len(found.findings) - len(here.findings),
        "whose": whose,
        "root": reverse("realtime:overview"),
    }
