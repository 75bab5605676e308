"""Runs the sample scrape, `scrape_realtime wy`, as a process of its own."""

import os
from pathlib import Path

from realtime.demo.process import Process
from realtime.demo.scrapers.wy.web import URL_VARIABLE

_SCRAPERS = Path(__file__).resolve().parent / "scrapers"


def scrape(site_url: str, folder: Path) -> Process:
    """Start a scrape of `site_url`. To stop it, kill it: it would wait to publish its files, while
    what takes them stops too."""
    paths = [str(_SCRAPERS), os.environ.get("PYTHONPATH", "")]
    environment = {URL_VARIABLE: site_url, "PYTHONPATH": os.pathsep.join(filter(None, paths))}
    return Process(folder, "scrape_realtime", "wy", "--fastmode", environment=environment)
