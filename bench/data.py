"""What is imported: a folder that core scraped, or one like it made here."""

import copy
import json
from pathlib import Path
from typing import Any

from tests import oracle, scrapes

TYPES = ("jurisdiction", "bill", "vote_event", "event")
Scrape = dict[str, list[dict[str, Any]]]


def generate(files: int, first: int = 1) -> Scrape:
    """Bills with two votes each, and the jurisdiction; about as large as Wyoming's."""
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
    # Core changes what it is given: no two objects may share a part.
    alone: Scrape = json.loads(json.dumps(made))
    return alone


def read(folder: Path, files: int) -> Scrape:
    """The jurisdiction, and the first bills in the order of their scrape with their votes."""
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
    """The same with one action added to every bill, and one vote changed."""
    later = copy.deepcopy(scrape)
    for bill in later["bill"]:
        if bill["actions"]:
            bill["actions"].append({**bill["actions"][-1], "description": "one more"})
    for vote in later["vote_event"][:1]:
        vote["result"] = "fail" if vote["result"] == "pass" else "pass"
    return later


def size(scrape: Scrape) -> int:
    return sum(map(len, scrape.values()))


def write(scrape: Scrape, folder: Path) -> list[Path]:
    """As files, as core would write them."""
    paths = []
    for name, objects in scrape.items():
        for data in objects:
            paths.append(folder / f"{name}_{data['_id'].replace('/', '-')}.json")
            paths[-1].write_text(json.dumps(data))
    return paths
