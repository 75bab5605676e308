"""The page that stays open: what a refresh keeps, and what it says when it cannot refresh."""

from typing import TYPE_CHECKING, Any

from tests.end_to_end.test_page_in_browser import (
    Visit,
    broken,
    browser,
    failure,
    pytestmark,
    visit,
)
from tests.page_site import Site

if TYPE_CHECKING:
    from playwright.sync_api import Page

__all__ = ["browser", "failure", "pytestmark", "visit"]

# The tab is looked at again: what is shown is refreshed at once.
LOOK = "document.dispatchEvent(new Event('visibilitychange'))"
CHOOSE = """element => {
    const range = document.createRange();
    range.selectNodeContents(element);
    getSelection().removeAllRanges();
    getSelection().addRange(range);
}"""


def alike(site: Site, failure: str) -> str:
    """The group of a failed file."""
    [(group,)] = site.rows("SELECT alike FROM realtime_file WHERE id = %s", failure.split("/")[2])
    return str(group)


def state(page: "Page") -> list[Any]:
    """What the reader has done to the page."""
    found: list[Any] = page.evaluate(
        "[document.activeElement.id, document.getElementById('note').value,"
        " document.querySelector('[data-live] details').open, getSelection().toString(),"
        " document.querySelectorAll('pre')[1].scrollTop,"
        " document.querySelector('mark').getBoundingClientRect().top]"
    )
    return found


def test_refresh__reader_at_work__selection_focus_scroll_details_and_text_stay(
    visit: Visit, site: Site, failure: str
) -> None:
    page = visit.open(failure)
    page.get_by_text("The whole file").click()
    page.get_by_label("Why it needs no attention").fill("half a note")
    page.locator("mark").first.evaluate(CHOOSE)
    page.locator("pre").nth(1).evaluate("pre => { pre.scrollTop = 70; }")
    page.evaluate("scrollTo(0, 90)")
    before = state(page)
    assert before[:-1] == ["note", "half a note", True, '"name": null,', 70]
    site.fail(broken("HB 91"))
    page.evaluate(LOOK)
    page.get_by_role("link", name="Newer failure").wait_for()
    assert state(page) == before


def test_refresh__nothing_new__touches_nothing_and_nothing_is_announced(
    visit: Visit, failure: str
) -> None:
    page = visit.open("/")
    page.evaluate(
        "window.changed = []; new MutationObserver(found => changed.push(...found.map("
        "one => one.target.parentElement.closest('time, footer, svg') ? 'time' : one.target"
        ".parentElement.outerHTML))).observe(document.body,"
        " {subtree: true, childList: true, characterData: true, attributes: true})"
    )
    with page.expect_response("**/"):
        page.evaluate(LOOK)
    page.wait_for_function("changed.length > 0")
    assert set(page.evaluate("changed")) == {"time"}
    assert page.get_by_role("status").count() == 0


def test_refresh__rows_are_chosen__they_stay_as_they_are_and_the_page_says_so(
    visit: Visit, site: Site, failure: str
) -> None:
    page = visit.open(f"/failures/{alike(site, failure)}/")
    rows = page.locator("tbody tr")
    before = rows.all_inner_texts()
    chosen = rows.first.get_by_role("checkbox")
    chosen.check()
    value = chosen.get_attribute("value")
    site.fail(broken("HB 92"))
    page.evaluate(LOOK)
    page.get_by_text("Something is chosen").wait_for()
    assert [text.split()[0] for text in rows.all_inner_texts()] == [
        text.split()[0] for text in before
    ]
    chosen.uncheck()
    page.evaluate(LOOK)
    page.get_by_text("Something is chosen").wait_for(state="hidden")
    assert rows.count() == len(before) + 1
    values = [box.get_attribute("value") for box in page.locator("tbody [type=checkbox]").all()]
    assert values.index(value) == 1, "the newest comes first"


def test_refresh__somebody_else_resolves_it__what_is_typed_stays(
    visit: Visit, site: Site, failure: str
) -> None:
    page = visit.open(failure)
    page.get_by_label("Why it needs no attention").fill("half a note")
    number = failure.split("/")[2]
    discarded = "UPDATE realtime_file SET discarded_at = {}, discarded_by = 'bo' WHERE id = %s"
    site.rows(discarded.format("now()"), number)
    page.evaluate(LOOK)
    page.get_by_text("discarded by bo").wait_for()
    assert page.get_by_label("Why it needs no attention").input_value() == "half a note"
    site.rows(discarded.format("NULL"), number)


def test_refresh__database_away__verdict_and_words_say_so_and_recover(
    visit: Visit, site: Site, failure: str
) -> None:
    page = visit.open(failure)
    visit.excused = "503"
    with site.database_away():
        page.evaluate(LOOK)
        lost = page.get_by_text("The database has not answered since")
        lost.wait_for()
        assert "The database cannot be used" in page.locator("#verdict").inner_text()
        assert "sponsorships" in page.locator("main").inner_text(), "the rest stays to be read"
    page.evaluate(LOOK)
    lost.wait_for(state="hidden")
    assert "The database cannot be used" not in page.locator("#verdict").inner_text()


def test_refresh__what_it_shows_is_gone__says_so(visit: Visit, site: Site, failure: str) -> None:
    [(row,)] = site.rows("SELECT max(id) FROM realtime_import_run")
    page = visit.open(f"/import/{row}/")
    visit.excused = "404"
    site.rows("UPDATE realtime_import_run SET id = -id WHERE id = %s", row)
    page.evaluate(LOOK)
    page.get_by_text("Nothing is at this address any more").wait_for()
    site.rows("UPDATE realtime_import_run SET id = -id WHERE id = %s", -row)


def test_server_lost__page_says_since_when__and_recovers(visit: Visit, failure: str) -> None:
    page = visit.open(failure)
    visit.excused = "net::ERR_FAILED"
    page.route("**/*", lambda route: route.abort())
    page.evaluate(LOOK)
    lost = page.get_by_text("The server has not answered since")
    lost.wait_for()
    since = lost.inner_text()
    page.evaluate(LOOK)
    assert lost.inner_text() == since
    page.unroute("**/*")
    page.evaluate(LOOK)
    lost.wait_for(state="hidden")


def test_logged_out__page_says_so_and_keeps_the_text(visit: Visit, failure: str) -> None:
    page = visit.open(failure)
    page.get_by_label("Why it needs no attention").fill("half a note")
    page.context.clear_cookies()
    page.evaluate(LOOK)
    page.get_by_text("You are logged out").wait_for()
    assert page.get_by_label("Why it needs no attention").input_value() == "half a note"


def test_live__paused_or_hidden__asks_the_server_nothing(visit: Visit, failure: str) -> None:
    page = visit.open(failure)
    page.clock.install()
    page.reload()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.resource_type))
    live = page.get_by_role("button", name="Live")
    live.click()
    assert "Live updates are paused" in page.get_by_role("status").inner_text()
    page.clock.run_for(300_000)
    assert "fetch" not in asked
    page.evaluate("Object.defineProperty(document, 'hidden', {value: true, configurable: true})")
    live.click()
    page.clock.run_for(300_000)
    assert "fetch" not in asked
    page.evaluate("delete document.hidden")
    with page.expect_response(f"**{failure}"):
        page.evaluate(LOOK)
    assert page.get_by_role("status").count() == 0


def test_copy__key_and_command__are_in_the_clipboard(visit: Visit, failure: str) -> None:
    page = visit.open(failure)
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.get_by_role("button", name="Copy command").click()
    page.get_by_text("Copied").wait_for()
    copied = page.evaluate("navigator.clipboard.readText()")
    assert copied.startswith("python manage.py retry_realtime --key wy/bill_")
    # Once, also after a refresh.
    with page.expect_response(f"**{failure}"):
        page.evaluate(LOOK)
    assert page.get_by_role("button", name="Copy command").count() == 1
