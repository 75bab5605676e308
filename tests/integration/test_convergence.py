"""Whatever the order and the split, the database ends as core's own batch import leaves it."""

import json
import random
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.db import connection

from realtime.devstack import DevStack
from realtime.devstack.database import load_people, using_database
from realtime.domain.config import BULK, CORE
from realtime.models import File
from tests import oracle, rows, scrapes
from tests.scrapes import Mail
from tests.support import REAL_DATA, Aws, without_real_data


def a_scrape(rng: random.Random) -> Iterator[dict[str, Any]]:
    """Bills with companions, some scraped twice, and their votes, some scraped twice."""
    yield scrapes.jurisdiction()
    names = [f"HB {number}" for number in range(1, 16)]
    for name in names:
        versions = [
            scrapes.bill(name, rng.choice(["Of bridges", "Of roads"]), rng.randint(0, 3))
            for _ in range(rng.choice([1, 1, 1, 2]))
        ]
        for bill in versions:
            if rng.random() < 0.4:
                bill["related_bills"] = [
                    {
                        "identifier": rng.choice(names),
                        "legislative_session": scrapes.SESSION,
                        "relation_type": "companion",
                    }
                ]
            yield bill
        for number in range(rng.randint(0, 3)):
            action = rng.choice([None, "reading 1"]) if number == 0 else None
            for _ in range(rng.choice([1, 1, 2])):
                named: list[dict[str, Any] | str] = [*versions, name]
                yield scrapes.vote_event(rng.choice(named), f"motion {number}", action)
    for number in range(3):
        yield scrapes.event(f"Hearing {number}")


def deliver(mail: Mail, files: list[tuple[str, bytes]], rng: random.Random, run_of: int) -> None:
    """All files in a random order, in runs of at most `run_of`, a tenth of them twice."""
    files = files + rng.sample(files, len(files) // 10)
    rng.shuffle(files)
    for at in range(0, len(files), run_of):
        for key, body in files[at : at + run_of]:
            mail.send(mail.message(mail.put(body, key)))
        while mail.run().received:
            pass


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("importer", [BULK, pytest.param(CORE, marks=pytest.mark.long)])
def test_import__any_order_and_split__ends_as_cores_batch_import(
    importer: str,
    seed: int,
    stack: DevStack,
    seeded_template: str,
    aws: Aws,
    database: str,
    tmp_path: Path,
) -> None:
    rng = random.Random(seed)
    files = list(a_scrape(rng))
    mail = Mail(aws, database)
    mail.importer = importer
    bodies = []
    for data in files:
        key = mail.key(data)
        bodies.append((key, json.dumps(data).encode()))
        (tmp_path / key.split("/")[1]).write_bytes(bodies[-1][1])

    deliver(mail, bodies, rng, run_of=rng.choice([5, 17]))
    in_pieces = rows.dump()
    assert not File.objects.filter(outcome__in=["deferred", "failed"]).exists()

    truth = stack.postgres.create_database(f"truth_{seed}", template=seeded_template)
    with using_database(truth):
        oracle.import_scrape(tmp_path, scrapes.WYOMING.jurisdiction_id)
        expected = rows.dump()
    stack.postgres.drop_database(f"truth_{seed}")
    assert list(rows.differences(expected, in_pieces)) == []
    assert sum('"VoteEvent"' in line for line in expected) > 10


@pytest.mark.realdata
@pytest.mark.skipif(
    bool(without_real_data("wy", "people/wy")), reason=without_real_data("wy", "people/wy")
)
def test_import__real_scrape_shuffled__ends_as_cores_batch_import(
    stack: DevStack, seeded_template: str, aws: Aws, database: str
) -> None:
    """A part of Wyoming's scrape: its first bills with their votes, and its people."""
    rng = random.Random(11)
    mail = Mail(aws, database)
    paths = some_of(REAL_DATA / "wy", bills=40)
    load_people(REAL_DATA / "people" / "wy")
    deliver(mail, [(f"wy/{path.name}", path.read_bytes()) for path in paths], rng, run_of=60)
    in_pieces = rows.dump()
    name = "truth_real"
    truth = stack.postgres.create_database(name, template=seeded_template)
    with using_database(truth):
        load_people(REAL_DATA / "people" / "wy")
        oracle.import_files(paths, scrapes.WYOMING.jurisdiction_id)
        expected = rows.dump()
    connection.close()
    stack.postgres.drop_database(name)
    assert list(rows.differences(expected, in_pieces)) == []
    assert sum('"VoteEvent"' in line for line in expected) > 40


def some_of(folder: Path, bills: int) -> list[Path]:
    chosen = sorted(folder.glob("bill_*.json"))[:bills]
    ids = {re.sub(r"bill_|\.json", "", path.name) for path in chosen}
    votes = [
        path
        for path in folder.glob("vote_event_*.json")
        if json.loads(path.read_bytes())["bill"] in ids
    ]
    return [*folder.glob("jurisdiction_*.json"), *chosen, *votes]
