"""Scrapes bills and their votes from the sample site."""

import re
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from openstates.scrape import Bill, Scraper, VoteEvent

from .web import items, read, site_url, text

CHAMBERS = {"H": "lower", "S": "upper"}
VERSIONS = {"Introduced": "introduced", "Engrossed": "amendment"}
# The first matching pattern classifies an action.
ACTIONS = (
    ("Bill Number Assigned", ["filing"]),
    ("Introduced and Referred", ["introduction", "referral-committee"]),
    ("Do Pass", ["committee-passage"]),
    (r"3rd Reading:Passed", ["reading-3", "passage"]),
    (r"3rd Reading:Failed", ["reading-3", "failure"]),
    ("Governor Signed", ["executive-signature"]),
)


class WYBillScraper(Scraper):  # type: ignore[misc]
    """Reads the list of bills, each bill's page, and the page of each of its votes."""

    def scrape(self, session: str) -> Iterator[Any]:
        roster = self.scrape_roster(session)
        for url in read(self, f"{site_url()}/{session}/bills").xpath("//*[@id='bills']//a/@href"):
            yield from self.scrape_bill(session, url, roster)

    def scrape_roster(self, session: str) -> dict[str, str]:
        """Full names by family name: the pages of bills and votes give family names only."""
        page = read(self, f"{site_url()}/{session}/legislators")
        families = page.xpath("//td[@class='family']/text()")
        return dict(zip(families, page.xpath("//td[@class='name']/text()"), strict=True))

    def scrape_bill(self, session: str, url: str, roster: dict[str, str]) -> Iterator[Any]:
        """The votes of the bill at `url`, then the bill: many scrapers yield them in this order."""
        page = read(self, url)
        identifier = page.xpath("//h1/text()")[0]
        chamber = "lower" if identifier.startswith("HB") else "upper"
        bill = Bill(identifier, session, text(page, "title"), chamber=chamber)
        bill.add_source(url)
        bill.add_abstract(text(page, "abstract"), note="summary")
        for index, name in enumerate(items(page, "sponsors")):
            kind = "cosponsor" if index else "primary"
            bill.add_sponsorship(roster[name], kind, "person", index == 0, chamber=chamber)
        companion = text(page, "companion")
        if companion:
            bill.add_related_bill(companion, session, "companion")
        for row in page.xpath("//*[@id='actions']//tr"):
            day, where, what = (str(cell.text_content()) for cell in row)
            bill.add_action(
                what, _date(day), chamber=CHAMBERS[where], classification=_classification(what)
            )
        for link in page.xpath("//*[@id='versions']//a"):
            note = str(link.text)
            bill.add_version_link(
                note, link.get("href"), media_type="text/html", classification=VERSIONS[note]
            )
        for vote_url in page.xpath("//*[@id='votes']//a/@href"):
            yield self.scrape_vote(bill, vote_url, roster)
        yield bill

    def scrape_vote(self, bill: Any, url: str, roster: dict[str, str]) -> Any:
        """One roll call."""
        page = read(self, url)
        action = text(page, "action")
        vote = VoteEvent(
            identifier=url.rpartition("/")[2],
            motion_text=f"{action.partition(':')[0]} of {bill.identifier}",
            start_date=_date(text(page, "date")),
            classification="passage",
            result="pass" if "Passed" in action else "fail",
            chamber=CHAMBERS[text(page, "chamber")],
            bill=bill,
            bill_action=action,
        )
        vote.add_source(url)
        for option, element_id in (("yes", "ayes"), ("no", "nays"), ("excused", "excused")):
            voters = items(page, element_id)
            vote.set_count(option, len(voters))
            for voter in voters:
                vote.vote(option, roster[voter])
        return vote


def _date(text_of_site: str) -> str:
    return datetime.strptime(text_of_site, "%m/%d/%Y").date().isoformat()


def _classification(action: str) -> list[str]:
    return next((kinds for pattern, kinds in ACTIONS if re.search(pattern, action)), [])
