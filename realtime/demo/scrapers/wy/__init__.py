"""A sample scraper in the style of openstates-scrapers. It reads an invented site."""

from typing import Any

from openstates.scrape import State

from .bills import WYBillScraper
from .events import WYEventScraper
from .web import front_page


class Wyoming(State):  # type: ignore[misc]
    """Wyoming, with the one session of the sample site."""

    scrapers = {"bills": WYBillScraper, "events": WYEventScraper}
    legislative_sessions: list[dict[str, Any]] = [
        {
            "_scraped_name": "2025",
            "identifier": "2025",
            "name": "2025 Sample Session",
            "classification": "primary",
            "start_date": "2025-01-14",
            "end_date": "2025-03-07",
            "active": True,
        }
    ]

    def get_session_list(self) -> list[str]:
        sessions: list[str] = front_page().xpath("//ul[@id='sessions']/li/text()")
        return sessions
