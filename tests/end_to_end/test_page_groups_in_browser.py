"""Groups, actions and controls in a real browser: clicked, typed, by keyboard, on a phone."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests import scrapes
from tests.end_to_end.test_page_in_browser import (
    PHONE,
    Visit,
    broken,
    browser,
    pytestmark,
    visit,
)
from tests.page_site import Site

__all__ = ["browser", "pytestmark", "visit"]


@pytest.fixture(scope="module")
def failed(site: Site) -> Iterator[Site]:
    """Three bills that failed alike, a flag, and a pause by the breaker of a jurisdiction."""
    for n in range(3):
        site.publish(broken(f"HB {n}"))
    site.publish(scrapes.bill("HB 9`"))
    assert site.run()["failed"] == 3
    site.rows(
        "INSERT INTO realtime_pause"
        " (jurisdiction_id, since, by, reason, resumed_by, resumed_reason)"
        " VALUES ('ocd-jurisdiction/country:us/state:ut/government', now(), 'breaker',"
        " '60 of 60 files failed as invalid', '', '')"
    )
    yield site


def test_group__three_clicks_from_the_overview__retried_with_its_number(
    visit: Visit, failed: Site
) -> None:
    page = visit.open("/")
    page.locator(".tile.bad").get_by_role("link").click()
    page.get_by_role("link", name="invalid at sponsorships").click()
    page.get_by_role("button", name="Retry all 3").click()
    assert page.locator("h1").inner_text().startswith("Retry 3 files that failed as invalid at")
    page.get_by_text("Which 3").click()
    assert page.get_by_role("row").count() == 4
    page.get_by_role("button", name="Retry 3").press("Enter")
    result = page.get_by_label("Result")
    assert "waiting for the next import run\n3" in result.inner_text()
    failed.run()
    # The page refreshes by itself.
    result.get_by_text("failed again").wait_for()


def test_chosen_one__discarded_and_brought_back__each_with_its_number(
    visit: Visit, failed: Site
) -> None:
    page = visit.open("/failures/", size=PHONE)
    page.get_by_role("link", name="invalid at sponsorships").click()
    page.get_by_role("checkbox").first.check()
    page.get_by_role("button", name="Discard chosen").click()
    page.get_by_label("Why").fill("a test")
    page.get_by_role("button", name="Discard 1").click()
    page.get_by_label("Result").wait_for()
    page.get_by_role("button", name="Undo discard").click()
    page.get_by_role("button", name="Undo discard 1").click()
    page.get_by_label("Result").get_by_text("brought back").wait_for()


@pytest.fixture
def asked(visit: Visit, failed: Site) -> Any:
    """The page that asks whether 250 failures are to be discarded."""
    [(columns,)] = failed.rows(
        "SELECT string_agg(quote_ident(column_name), ', ') FROM information_schema.columns"
        " WHERE table_name = 'realtime_file' AND column_name NOT IN ('id', 'version')"
    )
    failed.rows("UPDATE realtime_file SET discarded_at = NULL WHERE outcome = 'failed'")
    failed.rows(
        f"INSERT INTO realtime_file (version, {columns}) SELECT 'copy ' || n, {columns}"
        " FROM (SELECT * FROM realtime_file WHERE outcome = 'failed' LIMIT 1) AS one,"
        " generate_series(1, 250 - (SELECT count(*)::int FROM realtime_file"
        "  WHERE outcome = 'failed')) AS n ON CONFLICT DO NOTHING"
    )
    page = visit.open("/failures/")
    page.get_by_role("link", name="invalid at sponsorships").click()
    page.get_by_role("button", name="Discard all 250").click()
    page.get_by_label("Why").fill("a test")
    return page


def test_action__more_than_a_request_does__goes_on_by_itself_and_says_how_far(asked: Any) -> None:
    posts: list[str] = []
    asked.on(
        "request", lambda request: posts.append(request.url) if request.method == "POST" else 0
    )
    asked.get_by_role("button", name="Discard 250").click()
    asked.wait_for_url("**/action/*/")
    result = asked.get_by_label("Result")
    result.get_by_text("not discarded yet").wait_for(state="detached")
    assert asked.locator("h1 + .tag").inner_text() == "done"
    assert "discarded\n250" in result.inner_text()
    asked.locator("#goes-on").wait_for(state="hidden")
    assert len(posts) == 2, "one was pressed for, the other was not"


def test_action__server_lost_while_it_goes_on__says_so_and_can_be_gone_on_with(
    visit: Visit, asked: Any
) -> None:
    visit.excused = "net::ERR_FAILED"
    first: list[Any] = []

    def lost_after_the_first(route: Any) -> None:
        if first:
            route.abort()
        else:
            first.append(route)
            route.continue_()

    asked.route("**/go/", lost_after_the_first)
    asked.get_by_role("button", name="Discard 250").click()
    asked.get_by_text("Stopped: the server does not answer").wait_for()
    asked.unroute("**/go/")
    assert "100 of 250 gone through" in asked.get_by_label("Result").inner_text()
    asked.get_by_role("button", name="Go on").click()
    asked.locator(".tag.done").wait_for()
