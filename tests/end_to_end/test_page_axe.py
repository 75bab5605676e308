"""Every page, as everybody may have it on the screen: by axe, and by what the console says."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests import scrapes
from tests.end_to_end.test_page_find import publish_run
from tests.end_to_end.test_page_in_browser import (
    DESK,
    OF_WYOMING,
    PHONE,
    ZOOMED,
    Visit,
    broken,
    browser,
    pytestmark,
)
from tests.end_to_end.test_page_live import LOOK
from tests.page_site import JURISDICTION_PATH, WYOMING, Site, in_process

__all__ = ["browser", "pytestmark"]

UTAH = WYOMING.replace("wy", "ut")
# By the name of the view: what is looked at of it. Braces hold what `filled` finds.
PAGES = {
    "overview": ["/"],
    "charts": ["/charts/?window=1h", "/charts/?window=7d"],
    "unnamed": ["/jurisdiction/"],
    "jurisdiction": [JURISDICTION_PATH],
    "files": [
        f"/files/?{OF_WYOMING}",
        f"/files/?{OF_WYOMING}&run={{open}}",
        "/files/?outcome=failed",
        "/files/?outcome=superseded",
    ],
    "runs": [f"/runs/?{OF_WYOMING}"],
    "parked": ["/parked/"],
    "failure": ["/file/{failed}/", "/file/{discarded}/", "/file/{inserted}/"],
    "imports": ["/imports/"],
    "import": ["/import/1/"],
    "find": ["/find/", "/find/?q=of", "/find/?q=nothing+like+it"],
    "bill": ["/bill/{bill}/"],
    "bill-named": [f"/bill/?{OF_WYOMING}&session=2031&identifier=HB+199"],
    "run": ["/run/{final}/", "/run/{open}/"],
    "finalize": ["/run/{open}/finalize/", "/run/{open}/finalize/?force=1"],
    "failures": ["/failures/"],
    "failure-group": ["/failures/{alike}/"],
    "flags": ["/flags/", "/flags/?kind=odd-identifier"],
    "flag": ["/flag/{flag}/"],
    "actions": ["/actions/"],
    "action": ["/action/{proposed}/", "/action/{done}/"],
    "controls": ["/controls/"],
    "pause": [f"/controls/pause/?{OF_WYOMING}"],
    "resume": [f"/controls/resume/?jurisdiction={UTAH}"],
    "receivers": ["/receivers/"],
}
NO_PAGE = ["/nowhere/", "/file/999999/", "/files/?jurisdiction=Wyoming"]
# What only acts, or is not read by people.
NO_PAGES = {
    "raw", "retry", "discard", "undiscard", "resolve", "reopen", "propose", "go",
    "healthz", "status", "metrics",
}  # fmt: skip
SCREENS = {
    "desk": (DESK, {}),
    "desk, dark": (DESK, {"color_scheme": "dark"}),
    "phone": (PHONE, {}),
    "phone, dark": (PHONE, {"color_scheme": "dark"}),
    "200 %": (ZOOMED, {}),
    "200 %, dark": (ZOOMED, {"color_scheme": "dark"}),
    "more contrast": (DESK, {"contrast": "more"}),
    "colours of the system": (DESK, {"forced_colors": "active"}),
}
# Pixels of a page on a phone, where each list has a few rows, and of two rows on top of it.
SHORT, ROWS = 3_500, 100


@pytest.fixture(scope="module")
def filled(site: Site) -> dict[str, str]:
    """Something of everything there is to show, and where it is."""
    bill = scrapes.bill("HB 101", "Of bridges", actions=3)
    votes = scrapes.vote_event(bill, "passage", "reading 1"), scrapes.vote_event(bill, "amendment")
    publish_run(site, bill, *votes, scrapes.event("Roads"))
    bill = scrapes.bill("HB 101", "Of bridges", actions=4)
    final = publish_run(site, bill, scrapes.vote_event(bill, "passage", "reading 1"))
    opened = publish_run(
        site,
        broken("HB 1"),
        broken("HB 2"),
        scrapes.bill("HB 9`"),
        scrapes.vote_event("HB 199"),
        ended=False,
    )
    failed, discarded = site.rows("SELECT id FROM realtime_file WHERE outcome = 'failed'")
    site.rows(
        "UPDATE realtime_file SET discarded_at = now(), discarded_by = 'bo', discard_note = 'old'"
        " WHERE id = %s",
        *discarded,
    )
    site.rows(
        "INSERT INTO realtime_pause"
        " (jurisdiction_id, since, by, reason, resumed_by, resumed_reason)"
        " VALUES (%s, now(), 'breaker', '60 of 60 files failed as invalid', '', '')",
        UTAH,
    )
    site.rows(
        "INSERT INTO realtime_receiver"
        " (name, address, since, xid, change_id, delivered, failures, last_error, paused_by,"
        "  pause_reason)"
        " VALUES ('search', 'https://search.example.org', now(), 0, 0, 0, 0, '', '', '')"
    )
    wanted = {
        "inserted": "SELECT id FROM realtime_file WHERE outcome = 'inserted' ORDER BY id LIMIT 1",
        "bill": "SELECT id FROM opencivicdata_bill WHERE identifier = 'HB 101'",
        "alike": "SELECT alike FROM realtime_file WHERE field LIKE 'sponsorships%%' LIMIT 1",
        "flag": "SELECT id FROM realtime_flag WHERE kind = 'odd-identifier'",
    }
    found = {name: str(site.rows(sql)[0][0]) for name, sql in wanted.items()}
    numbers = {"failed": str(failed[0]), "discarded": str(discarded[0])}
    return {**found, **numbers, "final": final, "open": opened}


@pytest.fixture(scope="module")
def visit(browser: Any, site: Site, filled: dict[str, str]) -> Iterator[Visit]:
    """A visit of an operator who has discarded a group's files, and asked to retry them."""
    visit = Visit(browser, site)
    page = visit.open(f"/failures/{filled['alike']}/")
    page.get_by_role("button", name="Retry all 1").click()
    page.wait_for_url("**/action/*/")
    filled["proposed"] = page.url.split("/")[-2]
    page.goto(f"/flag/{filled['flag']}/")
    page.get_by_label("Why").fill("as the site has it")
    page.get_by_role("button", name="Resolve").click()
    page.get_by_role("status").wait_for()
    page.goto("/actions/")
    page.locator("tbody").get_by_role("link").first.click()
    page.wait_for_url("**/action/*/")
    filled["done"] = page.url.split("/")[-2]
    page.context.close()
    yield visit


def test_pages__of_the_site__are_all_looked_at(site: Site) -> None:
    program = "from realtime import urls\nprint(*(one.name for one in urls.urlpatterns))"
    assert {*in_process(site, program).split()} == PAGES.keys() | NO_PAGES


@pytest.mark.parametrize("screen", SCREENS)
def test_pages__on_a_screen__axe_and_the_console_find_nothing_and_nothing_is_sideways(
    visit: Visit, filled: dict[str, str], screen: str
) -> None:
    # Here: it is slow to import, and where there is no Chromium nobody needs it.
    from axe_playwright_python.sync_playwright import Axe

    size, more = SCREENS[screen]
    axe, page = Axe(), visit.open("/", size=size, **more)
    visit.excused = "404"
    pages = [path.format(**filled) for paths in PAGES.values() for path in paths]
    for path in (*pages, *NO_PAGE):
        answer = page.goto(path)
        assert answer and answer.status == (404 if path in NO_PAGE else 200), path
        found = axe.run(page).response["violations"]
        assert [(path, one["id"], [node["html"] for node in one["nodes"]]) for one in found] == []
        assert page.evaluate("document.documentElement.scrollWidth") == size["width"], path
        if size == PHONE:
            assert page.evaluate("document.documentElement.scrollHeight") < SHORT, path
        if size == PHONE:
            assert page.evaluate("document.querySelector('header').offsetHeight") < ROWS, path
    page.context.close()
    assert visit.complaints == []


def test_pages__each__have_the_verdict_and_the_time_refreshed(
    visit: Visit, filled: dict[str, str]
) -> None:
    page = visit.open("/")
    for path in (path.format(**filled) for paths in PAGES.values() for path in paths):
        page.goto(path)
        page.get_by_role("button", name="Live", exact=True).wait_for()
        page.evaluate("document.getElementById('verdict').className = 'old'")
        page.evaluate(LOOK)
        page.locator("#verdict:not(.old)").wait_for()
        assert page.get_by_role("status").get_by_text("since").count() == 0, path
    page.context.close()


def test_login__before_anything_else__axe_finds_nothing(browser: Any, site: Site) -> None:
    from axe_playwright_python.sync_playwright import Axe

    for scheme in ("light", "dark"):
        context = browser.new_context(base_url=site.url, color_scheme=scheme, viewport=PHONE)
        page = context.new_page()
        page.goto("/login/")
        found = Axe().run(page).response["violations"]
        assert [(scheme, one["id"]) for one in found] == []
        context.close()
