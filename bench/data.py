"""Scrapes to import: read from a folder, or generated."""

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests import oracle, scrapes

TYPES = ("jurisdiction", "bill", "vote_event", "event")
Scrape = dict[str, list[dict[str, Any]]]


def generate(files: int, first: int = 1) -> Scrape:
    """A jurisdiction, and bills of about Wyoming's size with two vote events each."""
    made: Scrape = {name: [] for name in TYPES}
    made["jurisdiction"].append(scrapes.jurisdiction())
    for number in range(first, first + (files - 1) // 3):
        bill = scrapes.bill(f"HB {number}", actions=12)
        bill["sponsorships"] *= 6
        made["bill"].append(bill)
        for motion in ("passage", "reading"):
            vote = scrapes.vote_event(bill, motion, f"{motion} 1")
            vote["votes"] *= 16
            made["vote_event"].append(vote)
    # Copied so that no two objects share a part: core's importers modify their input.
    copied: Scrape = json.loads(json.dumps(made))
    return copied


def read(folder: Path, files: int) -> Scrape:
    """At most `files` objects of a folder: the jurisdiction, the first bills in scrape order with
    their vote events, then events."""
    everything = {
        name: oracle.contents(sorted(folder.glob(f"{name}_*.json")), name) for name in TYPES
    }
    chosen: Scrape = {name: [] for name in TYPES}
    chosen["jurisdiction"] = everything["jurisdiction"]
    of_bill: dict[Any, list[Any]] = {}
    for vote in everything["vote_event"]:
        of_bill.setdefault(vote["bill"], []).append(vote)
    room = files - len(chosen["jurisdiction"])
    for bill in everything["bill"]:
        votes = of_bill.get(bill["_id"], [])
        if room < 1 + len(votes):
            break
        room -= 1 + len(votes)
        chosen["bill"].append(bill)
        chosen["vote_event"] += votes
    chosen["event"] = everything["event"][:room]
    return chosen


def changed(scrape: Scrape) -> Scrape:
    """A copy with one more action in every bill that has any, and one vote event changed."""
    later = copy.deepcopy(scrape)
    for bill in later["bill"]:
        if bill["actions"]:
            bill["actions"].append({**bill["actions"][-1], "description": "one more"})
    for vote in later["vote_event"][:1]:
        vote["result"] = "fail" if vote["result"] == "pass" else "pass"
    return later


def size(scrape: Scrape) -> int:
    return sum(map(len, scrape.values()))


def files_of(scrape: Scrape) -> Iterator[tuple[str, bytes]]:
    """Name and content of each file, as core writes them."""
    for name, objects in scrape.items():
        for number, data in enumerate(objects):
            # A jurisdiction's id contains slashes.
            file_id = data["_id"] if name != "jurisdiction" else f"of-{number}"
            yield f"{name}_{file_id}.json", json.dumps(data).encode()


def moved(scrape: Scrape, abbr: str, name: str) -> Scrape:
    """A generated scrape of Wyoming, turned into one of another jurisdiction."""
    text = json.dumps(scrape).replace("state:wy", f"state:{abbr}").replace("Wyoming", name)
    elsewhere: Scrape = json.loads(text)
    return elsewhere
