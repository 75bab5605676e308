"""The operators' page in a real browser: what is seen, clicked, typed, and read aloud."""

import shutil
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest

from tests import scrapes
from tests.page_site import JURISDICTION_PATH, OPERATOR, PASSWORD, WYOMING, Site
from tests.support import not_installed

if TYPE_CHECKING:
    from playwright.sync_api import Browser, ConsoleMessage, Page

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
PHONE: Any = {"width": 390, "height": 844}
DESK: Any = {"width": 1280, "height": 900}
# The desk at 200 %: every pixel is two of the screen's.
ZOOMED: Any = {"width": 640, "height": 450}
OF_WYOMING = f"jurisdiction={quote(WYOMING, safe='')}"
# An import run and a refresh of the page, on a machine that has much to do.
SECONDS = 60_000

pytestmark = pytest.mark.skipif(
    not CHROMIUM, reason=not_installed("Chromium", "apt-get install chromium")
)


@pytest.fixture(scope="module")
def browser() -> Iterator["Browser"]:
    # Here: it is slow to import, and where there is no Chromium nobody needs it.
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        # Chromium's own sandbox refuses to run as root, as CI does; it sees our page only.
        running = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield running
        running.close()


class Visit:
    """Opens pages as an operator, and remembers what the console said."""

    def __init__(self, browser: "Browser", site: Site) -> None:
        self._browser, self._site = browser, site
        self.complaints: list[str] = []
        # What the console may say all the same.
        self.excused = "\0"

    def open(self, path: str, size: Any = DESK, **media: Any) -> "Page":
        """Log in, and go there; `media` as Playwright names what a screen is like."""
        context = self._browser.new_context(base_url=self._site.url, viewport=size, **media)
        page = context.new_page()
        page.set_default_timeout(SECONDS)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("console", self._hear)
        page.goto(path)
        page.get_by_label("Name").fill(OPERATOR)
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("button", name="Log in").click()
        page.wait_for_url(f"**{path}")
        return page

    def _hear(self, said: "ConsoleMessage") -> None:
        if said.type in ("error", "warning") and self.excused not in said.text:
            self.complaints.append(said.text)


@pytest.fixture
def visit(browser: "Browser", site: Site) -> Iterator[Visit]:
    visit = Visit(browser, site)
    yield visit
    for context in browser.contexts:
        context.close()
    assert visit.complaints == []


def broken(identifier: str) -> dict[str, Any]:
    """A bill that core's tables cannot hold."""
    bill = scrapes.bill(identifier)
    bill["sponsorships"][0]["name"] = None
    return bill


@pytest.fixture(scope="module")
def failure(site: Site) -> str:
    """The page of a failed bill; another is in, and a vote event waits for a third."""
    site.publish(scrapes.bill("HB 1"))
    site.publish(scrapes.vote_event(scrapes.bill("HB 2")))
    return site.fail(broken("HB 3"))


def test_overview__drilled_down__ends_at_the_field_at_fault(
    visit: Visit, site: Site, failure: str
) -> None:
    page = visit.open("/")
    row = page.get_by_role("row").filter(has_text="Wyoming")
    assert "Failed files" in row.inner_text()
    row.get_by_role("link", name="invalid").click()
    page.wait_for_url("**/files/**reason=invalid")
    assert "Wyoming" in page.title()
    page.locator("tbody").get_by_role("link", name="HB 3").first.click()
    page.wait_for_url(f"**{failure}")
    assert page.locator("mark").first.inner_text() == '"name": null,'
    assert "sponsorships.0.name" in page.locator("main").inner_text()
    page.get_by_text("The whole file").click()
    assert '"identifier": "HB 3"' in page.get_by_role("region", name="The whole file").inner_text()


def test_retry__file_fixed__page_shows_it_imported(visit: Visit, site: Site) -> None:
    bill = broken("HB 4")
    page = visit.open(site.fail(bill))
    bill["sponsorships"][0]["name"] = "Ada Plainsman"
    site.put(f"failed/wy/bill_{bill['_id']}.json", bill)
    page.get_by_role("button", name="Retry", exact=True).click()
    assert "1 sent again" in page.get_by_role("status").inner_text()
    assert "Waiting for the next import run" in page.locator("main").inner_text()
    site.run()
    page.reload()
    assert "inserted" in page.get_by_role("region", name="Outcome").inner_text()
    assert page.get_by_role("button", name="Retry").count() == 0
    assert f"{OPERATOR} retry" in page.get_by_role("region", name="History").inner_text()
    assert site.rows("SELECT count(*) FROM opencivicdata_bill WHERE identifier = 'HB 4'") == [(1,)]


def test_retry_all_like_this__cause_fixed__page_shows_all_imported(
    visit: Visit, site: Site
) -> None:
    bills = [scrapes.bill(identifier) for identifier in ("HB 5", "HB 6")]
    # Nothing is known of its session until the jurisdiction is scraped again.
    for bill in bills:
        bill["from_organization"] = '~{"classification": "committee", "name": "Roads"}'
    paths = [site.fail(bill) for bill in bills]
    [(reason,)] = site.rows(
        "SELECT reason FROM realtime_file WHERE id = %s", paths[0].split("/")[2]
    )
    for bill in bills:
        bill["from_organization"] = '~{"classification": "lower"}'
        site.put(f"failed/wy/bill_{bill['_id']}.json", bill)
    page = visit.open(paths[0])
    page.get_by_role("button", name="Retry all like this").click()
    assert "Retry 2 files of Wyoming that failed as" in page.locator("h1").inner_text()
    page.get_by_role("button", name="Retry 2").click()
    assert "waiting for the next import run\n2" in page.get_by_label("Result").inner_text()
    site.run()
    page.reload()
    assert "imported\n2" in page.get_by_label("Result").inner_text()
    for path in paths:
        page.goto(path)
        assert "inserted" in page.get_by_role("region", name="Outcome").inner_text()
    assert reason not in page.get_by_role("region", name="Outcome").inner_text()


def test_discard__with_a_note__leaves_the_lists_and_says_who(visit: Visit, site: Site) -> None:
    path = site.fail(broken("HB 7"))
    page = visit.open(path)
    page.get_by_role("button", name="Discard").click()
    assert page.evaluate("document.activeElement.id") == "note"
    page.get_by_label("Why it needs no attention").fill("a test of the clerk's")
    page.get_by_role("button", name="Discard").click()
    verdict = page.get_by_role("region", name="Outcome").inner_text()
    assert f"by {OPERATOR}" in verdict
    assert "a test of the clerk's" in verdict
    assert page.get_by_role("button", name="Retry").count() == 0
    page.goto(f"/files/?jurisdiction={WYOMING}&outcome=failed")
    assert page.get_by_role("table").locator("a").count() > 0
    assert page.locator(f'a[href="{path}"]').count() == 0


def test_overview__import_while_it_is_open__shows_it_by_itself(visit: Visit, site: Site) -> None:
    page = visit.open("/")
    row = page.get_by_role("row").filter(has_text="Wyoming")
    before = row.get_by_role("cell").nth(2).inner_text()
    site.publish(scrapes.bill("HB 8"))
    site.run()
    page.wait_for_function(
        "before => document.querySelector('tbody tr td:nth-of-type(3)').innerText !== before",
        arg=before,
    )
    live = page.get_by_role("button", name="Live")
    live.click()
    assert live.get_attribute("aria-pressed") == "false"


def test_keyboard__from_the_top__skips_to_the_content_and_shows_the_focus(
    visit: Visit, failure: str
) -> None:
    page = visit.open("/")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.innerText") == "Skip to the content"
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.closest('#verdict') !== null"), "it comes first"
    reached = []
    for _ in range(16):
        page.keyboard.press("Tab")
        reached.append(page.evaluate("document.activeElement.innerText"))
        if reached[-1] == "Wyoming":
            break
    assert reached[-1] == "Wyoming", reached
    assert {"Failed", "Parked", "Flags"} < set(reached), "tiles lead to what they count"
    page.keyboard.press("Enter")
    page.wait_for_url(f"**{JURISDICTION_PATH}")


def test_pages__without_scripts__say_the_same(browser: "Browser", site: Site, failure: str) -> None:
    context = browser.new_context(base_url=site.url, java_script_enabled=False)
    page = context.new_page()
    page.goto("/")
    page.get_by_label("Name").fill(OPERATOR)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Log in").click()
    assert "Wyoming" in page.locator("main").inner_text()
    assert page.get_by_role("button", name="Live").count() == 0
    context.close()
