"""What a person on call asks the page: each answer is at most three clicks from the overview."""

import json
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest
from pytest_django.plugin import _DatabaseBlocker

from realtime.devstack.database import using_database
from realtime.domain.flags import Flag
from realtime.ledger import pauses
from realtime.models import ChangeReceiver, Outcome
from tests import ledger_rows, scrapes
from tests.end_to_end.test_page_find import send_run
from tests.end_to_end.test_page_in_browser import (
    Visit,
    broken,
    browser,
    pytestmark,
)
from tests.end_to_end.test_page_live import LOOK
from tests.flags import raise_flag
from tests.ledger_rows import before_now
from tests.page_site import OPERATOR, Site
from tests.support import run_manage

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Locator, Page

__all__ = ["browser", "pytestmark"]

CLICKS = 3
STATE = "ocd-jurisdiction/country:us/state:{}/government"
TEXAS, UTAH, GEORGIA, OHIO = map(STATE.format, ("tx", "ut", "ga", "oh"))
MOTION = "passage on third reading"
# Remembers what the keyboard reaches, and what of it does not show that it has the focus.
WATCH_FOCUS = """() => {
    window.told = one => one.outerHTML.slice(0, 120);
    window.seen = new Set();
    window.unseen = new Set();
    const kinds = "a[href], button, input, select, summary, [tabindex='0']";
    const all = document.querySelectorAll(kinds);
    window.clickable = [...all].filter(one => one.checkVisibility() && one.type !== "hidden");
    const shows = (one, part) => getComputedStyle(one, part).outlineStyle !== "none";
    document.addEventListener("focusin", ({target}) => {
        seen.add(target);
        if (!shows(target) && !shows(target, "::after")) unseen.add(target);
    });
    return clickable.length;
}"""


class Person:
    """Somebody at a page, who counts what it takes: a click, or a search with Enter, is one."""

    def __init__(self, page: "Page") -> None:
        self.page, self.clicks = page, 0

    def click(self, what: "Locator") -> None:
        self.clicks += 1
        what.click()

    def follow(self, name: "str | re.Pattern[str]", within: "Locator | None" = None) -> None:
        where = within or self.page.locator("body")
        self.click(where.get_by_role("link", name=name, exact=True).first)

    def press(self, name: str) -> None:
        self.click(self.page.get_by_role("button", name=name, exact=True))

    def search(self, text: str) -> None:
        self.clicks += 1
        self.page.get_by_label("Find a bill").fill(text)
        with self.page.expect_navigation():
            self.page.keyboard.press("Enter")

    def row(self, text: str) -> "Locator":
        return self.page.get_by_role("row").filter(has_text=text).first

    def told(self, region: str) -> str:
        """What a region says, once it is there."""
        return self.page.get_by_role("region", name=region, exact=True).inner_text()


@pytest.fixture(scope="module")
def night(site: Site, django_db_blocker: _DatabaseBlocker) -> str:
    """One ledger with all that the tasks ask for; returns the run that deleted a vote event."""
    bill, files = scrapes.bill("HB 101"), [scrapes.event("Roads"), scrapes.event("Rivers")]
    votes = scrapes.vote_event(bill, MOTION), scrapes.vote_event(bill, "amendment")
    send_run(site, bill, *votes, *files)
    bill = scrapes.bill("HB 101")
    deleter = send_run(site, bill, scrapes.vote_event(bill, "amendment"))
    bill = scrapes.bill("HB 123")
    missing = {**scrapes.vote_event(bill), "motion_text": None}
    send_run(site, bill, missing, scrapes.event("Roads"), ended=False)
    for file in (*map(broken, ("HB 1", "HB 2", "HB 3")), scrapes.vote_event("HB 199")):
        site.publish(file)
    discarded = site.publish({**scrapes.bill("HB 7"), "title": None})
    run_manage("import_realtime", env=site.environment)
    site.rows(
        "UPDATE realtime_file SET discarded_at = now(), discarded_by = 'bo',"
        " discard_note = 'a test' WHERE key = %s",
        discarded,
    )
    with django_db_blocker.unblock(), using_database(site.environment["DATABASE_URL"]):
        _others()
    return deleter


def _others() -> None:
    """What the ledger has of other jurisdictions."""
    late = before_now(hours=2, minutes=10)
    ledger_rows.file(late, jurisdiction_id=TEXAS, to_receive=7200)
    ledger_rows.file(before_now(minutes=9), jurisdiction_id=UTAH)
    run = ledger_rows.run(before_now(hours=3), before_now(hours=1), jurisdiction_id=GEORGIA)
    run.finalized_at = run.finished_at
    run.save()
    began = before_now(hours=2, minutes=30)
    ledger_rows.file(began, jurisdiction_id=GEORGIA, run_id=run.run_id)
    for name in ("Rep. Nobody", "Sen. Nowhere"):
        raise_flag(Flag("unmatched", "person", subject=name), GEORGIA)
    pauses.pause(OHIO, pauses.BREAKER, "60 of 60 files failed as invalid")
    paused = before_now(minutes=5)
    ledger_rows.file(paused, Outcome.DEFERRED, jurisdiction_id=OHIO, paused_at=paused)
    ChangeReceiver.objects.create(
        name="search", address="https://search.example.org", since=late, xid=0, change_id=0
    )


@pytest.fixture(scope="module")
def page(night: str, site: Site, browser: "Browser") -> Iterator["Page"]:
    # The ledger comes first: Django's queries refuse a thread in which Playwright runs.
    visit = Visit(browser, site)
    page = visit.open("/")
    yield page
    page.context.close()
    assert visit.complaints == []


@pytest.fixture
def person(page: "Page") -> Iterator[Person]:
    """At the overview."""
    page.goto("/")
    person = Person(page)
    yield person
    assert person.clicks <= CLICKS


def test_on_call__vote_of_a_bill_is_missing__its_file_failed_and_why(person: Person) -> None:
    person.search("wy hb123")
    assert person.page.locator("h1").inner_text().startswith("HB 123")
    assert "invalid at motion_text" in person.told("Not in")


def test_on_call__vote_event_was_deleted__by_which_run_and_what(person: Person, night: str) -> None:
    person.search("hb 101")
    deleted = person.page.get_by_role("region", name="Deleted votes")
    assert "which did not bring it" in deleted.inner_text()
    person.follow(f"run {night[:8]}", deleted)
    lost = person.told("What finalizing it took away")
    assert "1 vote_event deleted" in lost and "HB 101" in lost


def test_on_call__is_texas_behind__by_how_much_and_where_the_time_went(person: Person) -> None:
    assert "Behind" in person.row("Texas").inner_text()
    person.follow("Texas")
    assert "p95 lag 2.0 h" in person.page.locator(".now").inner_text()
    person.click(person.page.get_by_text("Where the time goes"))
    where = person.page.locator("#where").get_by_role("row").nth(1)
    assert where.get_by_role("cell").nth(2).inner_text() == "2.0 h"


def test_on_call__retry_all_of_one_reason__sent_again_with_their_number(person: Person) -> None:
    person.follow("Failed")
    person.click(person.row("sponsorships").get_by_role("button", name="Retry 3…"))
    assert "Retry 3 files that failed as invalid" in person.page.locator("h1").inner_text()
    person.press("Retry 3")
    assert "waiting for the next import run\n3" in person.told("Result")


def test_on_call__pause_utah__paused_by_whom_and_why(person: Person) -> None:
    person.follow("Utah")
    person.follow("Pause…")
    person.page.get_by_label("Why").fill("its site is down")
    person.press("Pause Utah")
    row = person.row("Utah").inner_text()
    assert OPERATOR in row and "its site is down" in row


def test_on_call__resume_what_the_breaker_paused__says_why_and_what_is_imported(
    person: Person,
) -> None:
    assert "Ohio is paused by the breaker: 60 of 60" in person.told("Verdict")
    person.follow("Controls")
    person.follow("Resume Ohio")
    assert "1 parked file" in person.told("To be confirmed")
    person.press("Resume Ohio")
    assert "1 parked file is imported next" in person.page.get_by_role("status").inner_text()


def test_on_call__when_did_it_last_run__at_once_and_where(person: Person, site: Site) -> None:
    assert "The last import run began" in person.told("Verdict")
    person.follow("import run")
    [(host,)] = site.rows("SELECT host FROM realtime_import_run ORDER BY id DESC LIMIT 1")
    newest = person.page.get_by_role("row").nth(1).inner_text()
    assert "done" in newest and host in newest and "failed" in newest


def test_on_call__voters_of_georgia_that_match_nobody__their_names(person: Person) -> None:
    person.follow("Georgia")
    person.follow("Flags", person.page.locator("main"))
    person.follow("unmatched · person")
    names = person.page.get_by_role("table").inner_text()
    assert "Rep. Nobody" in names and "Sen. Nowhere" in names


def test_on_call__undo_a_discard__is_among_the_failures_again(person: Person, site: Site) -> None:
    person.search("wy hb 7")
    assert "discarded" in person.told("Not in")
    person.follow("HB 7", person.page.get_by_role("region", name="Not in"))
    assert "by bo" in person.told("Outcome") and "a test" in person.told("Outcome")
    person.press("Undo discard")
    assert "among the failures again" in person.page.get_by_role("status").inner_text()


def test_on_call__file_at_fault__downloaded_as_it_is(person: Person) -> None:
    person.follow("Failed")
    person.follow(re.compile(r"^file \d+$"), person.row("motion_text"))
    with person.page.expect_download() as download:
        person.follow("Download it as it is")
    assert json.loads(download.value.path().read_bytes())["motion_text"] is None


def test_on_call__what_finalizing_a_run_deletes__counted_and_named(person: Person) -> None:
    person.follow("open", person.row("Wyoming"))
    person.press("Finalize by force…")
    assert "1 event marked as deleted" in person.told("What it does")
    assert "Rivers" in person.told("Which")


def test_on_call__how_much_sooner_than_batch__in_hours(person: Person) -> None:
    person.follow("Georgia")
    sooner = person.page.locator("#sooner").get_by_role("row").nth(1).inner_text()
    assert sooner.split("\t")[0] == "bill" and "1.5 h" in sooner


def test_on_call__is_a_receiver_behind__by_how_many_changes(person: Person, site: Site) -> None:
    person.follow("Receivers")
    [(changes,)] = site.rows("SELECT count(*) FROM realtime_change")
    assert changes
    assert f"{changes:,}" in person.row("search").inner_text()


def test_on_call__which_files_wait__for_what(person: Person) -> None:
    person.follow("Parked")
    assert "bill HB 199" in person.page.get_by_role("table").first.inner_text()


PATHS = ("/receivers/", "/imports/", "/import/1/", "/controls/", "/failures/", "/flags/",
         "/flags/?kind=unmatched", "/find/?q=of", "/parked/", "/bill/{bill}/", "/run/{run}/",
         "/failures/{alike}/")  # fmt: skip


@pytest.fixture
def paths(site: Site, night: str) -> list[str]:
    [(bill,)] = site.rows("SELECT id FROM opencivicdata_bill WHERE identifier = 'HB 101'")
    [(alike,)] = site.rows("SELECT alike FROM realtime_file WHERE field = 'motion_text'")
    return [path.format(bill=bill, run=night, alike=alike) for path in PATHS]


def test_pages__keyboard_only__tab_reaches_all_that_can_be_clicked_and_shows_where_it_is(
    page: "Page", paths: list[str]
) -> None:
    for path in ("/", *paths):
        page.goto(path)
        buttons = page.evaluate(WATCH_FOCUS)
        assert buttons > 8
        for _ in range(buttons + 2):
            page.keyboard.press("Tab")
        assert page.evaluate("[...clickable].filter(one => !seen.has(one)).map(told)") == [], path
        assert page.evaluate("[...unseen].map(told)") == [], path


def test_verdict__refreshed__speaks_only_when_it_changes(page: "Page", site: Site) -> None:
    page.goto("/imports/")
    spoken = page.locator("#verdict [aria-live=polite]")
    assert "failing in Wyoming" in spoken.inner_text()
    page.evaluate(
        "window.changes = 0; new MutationObserver(() => changes++).observe("
        "document.querySelector('#verdict [aria-live]'),"
        " {subtree: true, childList: true, characterData: true})"
    )
    began = page.locator("#verdict > p").last
    before = began.inner_text()
    page.wait_for_function(
        f"before => {{ {LOOK};"
        " return [...document.querySelectorAll('#verdict > p')].at(-1).innerText !== before; }",
        arg=before,
        polling=200,
    )
    assert page.evaluate("changes") == 0
    site.rows(
        "INSERT INTO realtime_pause"
        " (jurisdiction_id, since, by, reason, resumed_by, resumed_reason)"
        " VALUES (%s, now(), 'bo', '', '', '')",
        TEXAS,
    )
    page.wait_for_function(f"() => {{ {LOOK}; return changes > 0; }}", polling=200)
    assert "paused in Texas" in spoken.inner_text()
