"""`python -m tests.pictures`: takes the screenshots of docs/ anew, of a site with a day of history.

Wyoming's files are published and imported; what the other states did in the last 24 hours is
written into the ledger.
"""

import math
import os
import random
import sys
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "settings")

import django

django.setup()

from PIL import Image  # noqa: E402
from playwright.sync_api import Page, sync_playwright  # noqa: E402

from realtime.devstack import DevStack  # noqa: E402
from realtime.devstack.database import (  # noqa: E402
    load_jurisdiction,
    migrate,
    using_database,
)
from tests import page_site, scrapes  # noqa: E402
from tests.conftest import fresh_aws  # noqa: E402
from tests.end_to_end.test_page_find import publish_run  # noqa: E402
from tests.end_to_end.test_page_in_browser import CHROMIUM, DESK, PHONE, Visit  # noqa: E402
from tests.page_site import WYOMING, Site  # noqa: E402

DOCS = Path(__file__).parent.parent / "docs"
TITLE = "An Act relating to bridges over rivers"
COLOURS = 128
# Files an hour and the median lag in seconds of each, by its abbreviation.
STATES = {"ga": (13, 16), "nm": (6, 15), "oh": (6, 17), "tx": (6, 14), "ut": (6, 14),
          "vt": (6, 13), "wy": (5, 4)}  # fmt: skip
SLOW, PAUSED = "tx", "oh"

_FILE = """
    INSERT INTO realtime_file (bucket, key, version, etag, version_id, size, jurisdiction_id,
      object_type, scrape_id, run_id, order_ticks, order_stamp, session, bill_scrape_id,
      bill_identifier, bill_action, bill_id, outcome, row_id, reason, field, detail, traceback,
      scraped_at, queued_at, received_at, imported_at, acknowledged_at, file_archiving,
      settled_at, settled_key, message)
    VALUES (%s, %s, %s, '', '', 2000, %s, %s, %s, %s, 0, 0, '2026', '', '', '', '', %s, '', '',
      '', '', '', %s, %s, %s, %s, %s, false, %s, '', '')
"""
_RUN = """
    INSERT INTO realtime_run (run_id, bucket, jurisdiction_id, jurisdiction_name, started_at,
      finished_at, objects_sent, scrapers, received_at, step, attempts, finalized_at, closed)
    VALUES (%s, %s, %s, %s, %s, %s, '{}', '{}', %s, '', 0, %s, '')
"""
_PAUSE = """
    INSERT INTO realtime_pause (jurisdiction_id, since, by, reason, resumed_by, resumed_reason)
    VALUES (%s, %s, 'breaker', '60 of 60 files failed as invalid', '', '')
"""


def _jurisdiction(abbr: str) -> str:
    return WYOMING.replace("wy", abbr)


def _history(abbr: str, now: datetime, run_id: str, bucket: str) -> Iterator[tuple[Any, ...]]:
    """The rows of the files of the last day."""
    chance, (files, lag) = random.Random(abbr), STATES[abbr]
    for number in range(24 * files * 2):
        hours = chance.uniform(0.05, 24)
        # More by day than by night.
        if chance.random() > 0.5 + 0.4 * math.cos((hours - 4) / 24 * 2 * math.pi):
            continue
        if abbr == PAUSED and hours < 3:
            continue
        seconds = lag * chance.lognormvariate(0, 0.4) * (3 if 9.5 < hours < 11.5 else 1)
        if abbr == SLOW and hours < 2:
            seconds = chance.uniform(6_500, 7_300)
        imported = now - timedelta(hours=hours)
        scraped = imported - timedelta(seconds=seconds)
        kind = chance.choice(("bill", "vote_event", "vote_event", "event"))
        received = imported - timedelta(seconds=min(2, seconds / 2))
        yield (bucket, f"{abbr}/{kind}_{number}.json", f"{abbr}-{number}", _jurisdiction(abbr),
               kind, f"{abbr}-{number}", run_id, chance.choice(("inserted", "updated")), scraped,
               scraped + timedelta(seconds=1), received, imported, imported, imported)  # fmt: skip


def fill(site: Site) -> dict[str, str]:
    """Fill the site; returns the paths of the pages by the names of their pictures."""
    now, bucket = datetime.now(UTC), site.aws.bucket
    for abbr in STATES:
        run_id, ended = str(uuid.uuid4()), now - timedelta(minutes=10)
        began = now - timedelta(hours=3)
        whose, name = _jurisdiction(abbr), abbr.upper()
        site.rows(_RUN, run_id, bucket, whose, name, began, ended, ended, ended)
        for row in _history(abbr, now, run_id, bucket):
            site.rows(_FILE, *row)
    site.rows(_PAUSE, _jurisdiction(PAUSED), now - timedelta(hours=3))
    bill = scrapes.bill("HB 101", TITLE, actions=3)
    votes = [scrapes.vote_event(bill, one) for one in ("passage", "amendment")]
    publish_run(site, bill, *votes, scrapes.event("Roads"))
    bill = scrapes.bill("HB 101", TITLE, actions=4)
    publish_run(site, bill, scrapes.vote_event(bill, "amendment"), scrapes.event("Roads"))
    ferries = scrapes.bill("HB 123", "An Act relating to ferries")
    broken = {**scrapes.vote_event(ferries, "passage"), "motion_text": None}
    missing = scrapes.vote_event("HB 199")
    publish_run(site, ferries, broken, missing, ended=False)
    [(number,)] = site.rows("SELECT id FROM realtime_file WHERE outcome = 'failed'")
    [(row,)] = site.rows("SELECT id FROM opencivicdata_bill WHERE identifier = 'HB 101'")
    return {
        "page-overview": "/",
        "page-jurisdiction": f"/jurisdiction/{_jurisdiction('ga')}/",
        "page-bill": f"/bill/{row}/",
        "page-failure": f"/file/{number}/",
    }


def take(page: Page, path: Path) -> None:
    """Save the whole page in few colours: a picture of a tenth of the bytes."""
    page.screenshot(path=path, full_page=True, animations="disabled")
    picture = Image.open(path).convert("RGB")
    picture.quantize(COLOURS, dither=Image.Dither.NONE).save(path, optimize=True)


def main() -> int:
    with DevStack() as stack:
        url = stack.postgres.create_database("pictures")
        with using_database(url):
            migrate()
            load_jurisdiction("wy")
        aws = fresh_aws(stack)
        environment = page_site.prepare({**os.environ, **aws.environment, "DATABASE_URL": url})
        with page_site.serving(environment, aws) as site, sync_playwright() as playwright:
            site.publish(scrapes.jurisdiction(), "wy/jurisdiction_wy.json")
            site.run()
            args = ["--no-sandbox"]
            browser = playwright.chromium.launch(executable_path=CHROMIUM, args=args)
            visit = Visit(browser, site)
            for name, path in fill(site).items():
                size = PHONE if name == "page-failure" else DESK
                take(visit.open(path, size), DOCS / f"{name}.png")
            browser.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
