"""Scrapes committee meetings from the sample site."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from openstates.scrape import Event, Scraper

from .web import read, site_url, text


class WYEventScraper(Scraper):  # type: ignore[misc]
    """Reads the calendar, and the page of each meeting."""

    def scrape(self, session: str) -> Iterator[Any]:
        calendar = read(self, f"{site_url()}/{session}/events")
        for url in calendar.xpath("//*[@id='events']//a/@href"):
            yield self.scrape_event(url)

    def scrape_event(self, url: str) -> Any:
        """One meeting; its agenda names bills."""
        page = read(self, url)
        event = Event(
            name=text(page, "committee"),
            start_date=datetime.fromisoformat(page.xpath("//*[@id='starts']/@datetime")[0]),
            location_name=text(page, "place"),
            classification="committee-meeting",
        )
        event.dedupe_key = url.rpartition("/")[2]
        event.add_source(url)
        event.add_committee(text(page, "committee"), note="host")
        for row in page.xpath("//*[@id='agenda']//tr"):
            identifier, title = (str(cell.text_content()) for cell in row)
            event.add_agenda_item(title).add_bill(identifier)
        return event
