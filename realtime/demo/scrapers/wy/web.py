"""Reads pages of the sample site."""

import os
from typing import Any

import lxml.html
import requests

URL_VARIABLE = "SAMPLE_SITE_URL"


def site_url() -> str:
    """The address of the sample site, without a trailing slash."""
    return os.environ[URL_VARIABLE]


def front_page() -> Any:
    """The root element of the site's front page."""
    return lxml.html.fromstring(requests.get(f"{site_url()}/", timeout=30).content)


def read(scraper: Any, url: str) -> Any:
    """Fetch the page at `url` with core's `scraper`; returns its root element, links absolute."""
    page = lxml.html.fromstring(scraper.get(url).content)
    page.make_links_absolute(url)
    return page


def text(page: Any, element_id: str) -> str:
    """The text of the element with that id."""
    (element,) = page.xpath(f"//*[@id='{element_id}']")
    return str(element.text_content()).strip()


def items(page: Any, element_id: str) -> list[str]:
    """The text of each item of the list with that id."""
    return [str(item) for item in page.xpath(f"//*[@id='{element_id}']/li/text()")]
