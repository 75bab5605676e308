"""The operators' page in a real browser: what is seen, clicked, typed, and read aloud."""

import shutil
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

from tests import scrapes
from tests.page_site import JURISDICTION_PATH, OPERATOR, PASSWORD, Site
from tests.support import not_installed

if TYPE_CHECKING:
    from playwright.sync_api import Browser, ConsoleMessage, Page

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
PHONE, DESK = {"width": 390, "height": 844}, {"width": 1280, "height": 900}
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

    def open(self, path: str, scheme: Any = "light", size: Any = DESK) -> "Page":
        context = self._browser.new_context(
            base_url=self._site.url, color_scheme=scheme, viewport=size
        )
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
        if said.type in ("error", "warning"):
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
    assert "Fresh" in row.inner_text()
    row.get_by_role("link", name="invalid").click()
    page.wait_for_url("**/?reason=invalid#failures")
    assert "Wyoming" in page.title()
    page.get_by_role("region", name="Failures").get_by_role("link", name="wy/bill_").first.click()
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
    assert f"{OPERATOR} retry: 1 sent again" in page.locator(".history").inner_text()
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
    assert "2 sent again" in page.get_by_role("status").inner_text()
    site.run()
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
    page.goto(JURISDICTION_PATH)
    failed = page.get_by_role("region", name="Failures")
    assert failed.locator(f'a[href="{path}"]').count() == 0


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


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [DESK, PHONE], ids=["desk", "phone"])
def test_pages__axe__finds_nothing_serious(
    visit: Visit, failure: str, scheme: str, size: dict[str, int]
) -> None:
    from axe_playwright_python.sync_playwright import Axe

    axe = Axe()
    page = visit.open("/", scheme, size)
    for path in ("/", JURISDICTION_PATH, failure):
        page.goto(path)
        found = axe.run(page).response["violations"]
        assert [
            (path, one["id"], [node["html"] for node in one["nodes"]])
            for one in found
            if one["impact"] in ("serious", "critical")
        ] == []


def test_login__axe__finds_nothing_serious(browser: "Browser", site: Site) -> None:
    from axe_playwright_python.sync_playwright import Axe

    axe = Axe()
    page = browser.new_context(base_url=site.url).new_page()
    page.goto("/login/")
    found = axe.run(page).response["violations"]
    assert [one["id"] for one in found if one["impact"] in ("serious", "critical")] == []


def test_pages__width_of_a_phone__nothing_to_scroll_sideways(
    visit: Visit, site: Site, failure: str
) -> None:
    page = visit.open("/", size=PHONE)
    for path in ("/", JURISDICTION_PATH, failure):
        page.goto(path)
        assert page.evaluate("document.documentElement.scrollWidth") == PHONE["width"]


def test_keyboard__from_the_top__skips_to_the_content_and_shows_the_focus(
    visit: Visit, failure: str
) -> None:
    page = visit.open("/")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.innerText") == "Skip to the content"
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.pathname") == "/flags/"
    page.keyboard.press("Tab")
    focused = page.evaluate("document.activeElement.innerText")
    assert focused == "Wyoming"
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
