"""Next and previous in lists of pages."""

from django.http import QueryDict

from realtime.page.pages import Pager


def test_pager__in_the_middle__leads_both_ways_and_keeps_the_rest() -> None:
    pager = Pager(QueryDict("kind=a%26b&start=50"), 101)
    assert (pager.start, pager.first, pager.last) == (50, 51, 100)
    assert (pager.previous, pager.next) == ("?kind=a%26b&start=0", "?kind=a%26b&start=100")


def test_pager__nonsense_or_beyond_the_end__ends_at_the_last_page() -> None:
    assert Pager(QueryDict("start=x"), 0).last == 0
    assert Pager(QueryDict("start=7"), 10).start == 0
    last = Pager(QueryDict("start=999999999"), 100)
    assert (last.start, last.next) == (50, "")
    assert Pager(QueryDict("start=99999"), 1_000_000).start == 9_950
