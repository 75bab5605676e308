"""What is asked before a scrape run is finalized from the page, and that no more is done."""

import re

import pytest
import requests

from tests import scrapes
from tests.end_to_end.test_page_actions import Browser, operator, told
from tests.end_to_end.test_page_find import publish_run
from tests.page_site import Site

__all__ = ["operator"]

NO_EVENTS = "0 vote events would be deleted, and 1 event marked as deleted"


@pytest.fixture
def first(site: Site) -> str:
    """All that is there: two events, by a run that is final; returns its id."""
    site.rows("DELETE FROM realtime_run")
    site.rows("UPDATE opencivicdata_event SET deleted = true")
    return publish_run(site, scrapes.event("Roads"), scrapes.event("Rivers"))


def lacking(site: Site, *files: dict[str, object]) -> str:
    """A run of these files that has ended, and is not final because one more has not come."""
    run = publish_run(site, *files, ended=False)
    site.rows(
        "UPDATE realtime_run SET finished_at = now(), received_at = now(),"
        " objects_sent = '{\"event\": 2}' WHERE run_id = %s",
        run,
    )
    return run


def completed(site: Site, run: str) -> None:
    """Nothing more is to come of a run; no import has noticed yet."""
    site.rows("UPDATE realtime_run SET objects_sent = '{\"event\": 1}' WHERE run_id = %s", run)


def confirmed(browser: Browser, run: str, asked: requests.Response, **fields: str) -> str:
    """What the page says once that question has been answered with yes."""
    [seen] = re.findall(r'name="seen" value="(\w+)"', asked.text)
    return told(browser.post(f"/run/{run}/finalize/", seen=seen, **fields))


def is_final(site: Site, run: str) -> bool:
    found = site.rows("SELECT finalized_at, closed FROM realtime_run WHERE run_id = %s", run)
    return found[0][0] is not None and found[0][1] == ""


def marked(site: Site) -> list[str]:
    return [name for (name,) in site.rows("SELECT name FROM opencivicdata_event WHERE deleted")]


def test_force__older_runs_are_open_or_complete__asked_with_what_each_takes_and_no_more_done(
    site: Site, operator: Browser, first: str
) -> None:
    complete = lacking(site, scrapes.event("Roads"))
    opened = publish_run(site, scrapes.bill("HB 2"), ended=False)
    newest = publish_run(site, scrapes.bill("HB 3"), ended=False)
    completed(site, complete)
    asked = operator.get(f"/run/{newest}/finalize/?force=1")
    each = f"will be final, {NO_EVENTS} .*will be closed \\(unfinished\\), nothing deleted"
    assert re.search(f"{NO_EVENTS} : the runs below.*{each}.*this run: nothing", told(asked))
    assert "Rivers" in told(asked) and f"/run/{opened}/" in asked.text

    site.rows("UPDATE opencivicdata_event SET deleted = true WHERE name = 'Rivers'")
    answer = confirmed(operator, newest, asked, force="1")
    assert (
        "what it would do has changed meanwhile" in answer and "Nothing would be deleted" in answer
    )
    assert not is_final(site, complete) and not is_final(site, newest)
    site.rows("UPDATE opencivicdata_event SET deleted = false WHERE name = 'Rivers'")

    assert f"Run {complete[:8]} is final: 1 marked." in confirmed(
        operator, newest, asked, force="1"
    )
    assert marked(site) == ["Rivers"]
    assert is_final(site, complete) and is_final(site, newest)
    assert site.rows("SELECT closed FROM realtime_run WHERE run_id = %s", opened) == [
        ("unfinished",)
    ]


def test_finalize__an_older_run_comes_first__refused_as_the_command_does(
    site: Site, operator: Browser, first: str
) -> None:
    older, newer = lacking(site, scrapes.event("Roads")), lacking(site, scrapes.event("Roads"))
    completed(site, newer)
    for _ in range(2):
        asked = operator.get(f"/run/{newer}/finalize/")
        assert f"an older run must be finalized first: {older}" in told(asked)
        assert '<form class="confirm"' not in asked.text
        operator.post(f"/run/{newer}/finalize/", seen="")
        assert not is_final(site, newer)
        completed(site, older)
    for run in (older, newer):
        confirmed(operator, run, operator.get(f"/run/{run}/finalize/"))
        assert is_final(site, run)
    assert marked(site) == ["Rivers"]


def test_run_page__closed_because_it_broke__its_files_listed_and_opened_again_and_final(
    site: Site, operator: Browser, first: str
) -> None:
    site.rows(
        "UPDATE realtime_run SET closed = 'broken', closed_at = now(), attempts = 3"
        " WHERE run_id = %s",
        first,
    )
    page = operator.get(f"/run/{first}/")
    assert f'action="/run/{first}/finalize/"' in page.text
    [of_run] = re.findall(r'href="([^"]+)">All its files', page.text)
    files = operator.get(of_run.replace("&amp;", "&"))
    assert files.text.count('data-key="') == 2 and f'href="/run/{first}/"' in files.text
    assert "No such files" in told(operator.get(f"{of_run.replace('&amp;', '&')}&outcome=failed"))
    answer = confirmed(operator, first, operator.get(f"/run/{first}/finalize/"))
    assert f"Run {first[:8]} is final" in answer and is_final(site, first)
    assert "Nothing to finalize: it is final" in told(operator.get(f"/run/{first}/finalize/"))
