"""Found in one box: a bill, why a vote of it is missing, who deleted another, its scrape run."""

import json
import uuid
from datetime import UTC, datetime
from typing import Any

import pytest

from tests import scrapes
from tests.end_to_end.test_page_in_browser import Visit, browser, pytestmark, visit
from tests.page_site import OPERATOR, WYOMING, Site

__all__ = ["browser", "pytestmark", "visit"]

TITLE = "An Act relating to bridges over rivers and to what may be carried across them"


def send_run(site: Site, *files: dict[str, Any], ended: bool = True) -> str:
    """Publish the files of one scrape run; returns its id."""
    run_id, began = str(uuid.uuid4()), datetime.now(UTC).isoformat()
    counts: dict[str, int] = {}
    for file in files:
        site.publish(file, run_id=run_id)
        counts[scrapes.type_of(file)] = counts.get(scrapes.type_of(file), 0) + 1
    if ended:
        times = {"started_at": began, "finished_at": datetime.now(UTC).isoformat()}
        body = {
            "run_id": run_id,
            "bucket": site.aws.bucket,
            "jurisdiction_id": WYOMING,
            "jurisdiction_name": "Wyoming",
            "run_finished": {**times, "objects": counts, "scrapers": {
                "bills": {"args": "session=2031", **times, "objects": counts}}},
        }  # fmt: skip
        site.aws.sqs.send_message(QueueUrl=site.aws.queue_url, MessageBody=json.dumps(body))
    return run_id


def publish_run(site: Site, *files: dict[str, Any], ended: bool = True) -> str:
    """Publish the files of one scrape run and import them; returns its id."""
    run_id = send_run(site, *files, ended=ended)
    site.run()
    site.run()
    return run_id


@pytest.fixture(scope="module")
def runs(site: Site) -> tuple[str, str, str]:
    """Three runs: of HB 101 with two votes, of it with one of them, and one that a failed vote and
    a missing one keep from being final."""
    bill = scrapes.bill("HB 101", TITLE, actions=3)
    both = scrapes.vote_event(bill, "passage", "reading 1"), scrapes.vote_event(bill, "amendment")
    first = publish_run(site, bill, *both, scrapes.event("Roads"), scrapes.event("Rivers"))
    bill = scrapes.bill("HB 101", TITLE, actions=4)
    second = publish_run(site, bill, scrapes.vote_event(bill, "passage", "reading 1"))
    bill = scrapes.bill("HB 102", "Of ferries")
    broken = {**scrapes.vote_event(bill, "broken"), "motion_text": None}
    missing = scrapes.vote_event("HB 199")
    third = publish_run(site, bill, broken, missing, scrapes.event("Roads"), ended=False)
    return first, second, third


def test_find__why_is_a_vote_missing__answered_on_the_bills_page(
    visit: Visit, runs: tuple[str, str, str]
) -> None:
    page = visit.open("/")
    page.keyboard.press("/")
    page.keyboard.type("wy hb102")
    page.keyboard.press("Enter")
    page.wait_for_url("**/bill/ocd-bill/**")
    assert page.locator("h1").inner_text().startswith("HB 102")
    stuck = page.get_by_role("region", name="Not in").inner_text()
    assert "failed" in stuck and "motion_text" in stuck
    page.get_by_role("region", name="Not in").get_by_role("link", name="Vote on HB 102").click()
    page.wait_for_url("**/file/*/")
    page.get_by_label("Find a bill").fill("hb 199")
    page.keyboard.press("Enter")
    page.wait_for_url("**/bill/?**")
    assert "waits for bill HB 199" in page.get_by_role("region", name="Not in").inner_text()


def test_find__who_deleted_a_vote__bill_page_names_the_run_and_links_it(
    visit: Visit, runs: tuple[str, str, str]
) -> None:
    page = visit.open("/")
    page.get_by_label("Find a bill").fill("bridges rivers")
    page.keyboard.press("Enter")
    page.get_by_role("link", name=f"HB 101 · {TITLE}").click()
    deleted = page.get_by_role("region", name="Deleted votes")
    assert "which did not bring it" in deleted.inner_text()
    assert "reading 1" in page.get_by_role("region", name="Votes", exact=True).inner_text()
    deleted.get_by_role("link", name=f"run {runs[1][:8]}").click()
    page.wait_for_url(f"**/run/{runs[1]}/")
    lost = page.get_by_role("region", name="What finalizing it took away").inner_text()
    assert "1 vote_event deleted" in lost and "HB 101" in lost


def test_run_page__forced__says_before_and_after_what_it_takes_away(
    visit: Visit, site: Site, runs: tuple[str, str, str]
) -> None:
    page = visit.open(f"/run/{runs[2]}/")
    assert "has not said that it ended" in page.get_by_role("region", name="State").inner_text()
    page.get_by_role("button", name="Finalize by force…").click()
    told = page.get_by_role("region", name="What it does").inner_text()
    assert "0 vote events would be deleted, and 1 event marked as deleted" in told
    assert "Rivers" in page.get_by_role("region", name="Which").inner_text()
    where = "SELECT count(*) FROM opencivicdata_event WHERE deleted"
    assert site.rows(where) == [(0,)]
    page.get_by_role("button", name="Finalize by force").click()
    page.wait_for_url(f"**/run/{runs[2]}/")
    assert "1 marked" in page.get_by_role("status").inner_text()
    assert site.rows(where) == [(1,)]
    history = page.get_by_role("region", name="History").inner_text()
    assert f"{OPERATOR} finalize by force: Run {runs[2][:8]} is final" in history
