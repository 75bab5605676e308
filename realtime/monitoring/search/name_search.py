"""Names of voters, sponsors and committees that match nobody, by their words."""

from django.contrib.postgres.search import SearchQuery, SearchVector

from realtime.models import RaisedFlag, WithoutAccents
from realtime.monitoring.search.terms import Terms

# As the index realtime_flag_words has it.
_NAMES = SearchVector(WithoutAccents("subject"), config="simple")


def unmatched(terms: Terms, limit: int) -> list[RaisedFlag]:
    """The open flags of names that have all of the words, those seen last first."""
    found: dict[int, RaisedFlag] = {}
    for jurisdiction_id, words in sorted(terms.words, key=lambda one: not one[0]):
        flags = RaisedFlag.objects.annotate(words=_NAMES).filter(
            kind="unmatched",
            resolved_at=None,
            words=SearchQuery(words, config="simple", search_type="raw"),
        )
        if jurisdiction_id:
            flags = flags.filter(jurisdiction_id=jurisdiction_id)
        found |= {flag.pk: flag for flag in flags.order_by("-last_seen", "-id")[:limit]}
    return list(found.values())[:limit]
