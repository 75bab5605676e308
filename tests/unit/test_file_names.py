"""What the names of files in sources say."""

import json

import pytest

from realtime.sources import file_names
from realtime.sources.file_names import LINES, OBJECT, PERSON, TAR, ZIP, Named, describe, leading
from realtime.sources.manifest import parse_manifest

UUID = "224d845c-cb24-11f0-9f0a-f2248b1564a2"
TICKS = 139834944503252060
LAKE = "legislation/realtime/bill/country:us/state:wy/government/2025-12"


@pytest.mark.parametrize(
    ("path", "said"),
    [
        (f"bill_{UUID}.json", Named(OBJECT, "bill", "", TICKS)),
        (f"_data/wy/vote_event_{UUID}.json", Named(OBJECT, "vote_event", "wy", TICKS)),
        ("wy/jurisdiction_ocd-jurisdiction-x.json", Named(OBJECT, "jurisdiction", "wy")),
        ("data/wy/legislature/Ada.yml", Named(PERSON, "person", "wy")),
        ("people/wy/retired/Bo.yaml", Named(PERSON, "person", "wy")),
        ("usa/bill_1.json", Named(OBJECT, "bill", "usa")),
        (f"{LAKE}/bill_2025-12-18T09:15:00.1+00:00.jsonl", Named(LINES, "bill", "wy")),
        ("x/country:us/district:dc/government/event.jsonl", Named(LINES, "event", "dc")),
        ("x/country:us/government/bill.jsonl", Named(LINES, "bill", "us")),
        ("vote_event/wy/part-0001.jsonl", Named(LINES, "vote_event", "wy")),
        ("part-0001.jsonl", Named(LINES)),
        ("dc-2025-12-04.tar.gz", Named(TAR)),
        ("dc/2025.tgz", Named(TAR, abbr="dc")),
        ("_data.zip", Named(ZIP)),
        ("zz/bill_1.json", Named(OBJECT, "bill")),
        ("WY/bill_1.json", Named(OBJECT, "bill")),
        ("wy/committees/Roads.yml", None),
        ("wy/municipalities.yml", None),
        ("_realtime_spool/run/wy/bill_1.json", None),
        ("wy/_manifest.json", None),
        ("wy/notes.json", None),
        ("wy/README", None),
        ("", None),
    ],
)
def test_describe__path__kind_type_jurisdiction_and_time(path: str, said: Named | None) -> None:
    assert describe(path) == said


def test_describe__jurisdiction_given__overrides_the_path() -> None:
    assert describe("dc/bill_1.json", "wy") == Named(OBJECT, "bill", "wy")


@pytest.mark.parametrize(
    ("folder", "own_name", "said"),
    [
        ("/home/me/_data/wy", True, "wy/"),
        ("/home/me/_data/wy", False, ""),
        ("/home/me", True, "me/"),
        (f"/lake/{LAKE}", False, "country:us/state:wy/government/2025-12/"),
        ("/", True, "/"),
    ],
)
def test_leading__folder__its_own_name_or_core_s_layout(
    folder: str, own_name: bool, said: str
) -> None:
    assert leading(folder, own_name=own_name) == said


def test_uuid_ticks__other_texts__none() -> None:
    assert file_names.uuid_ticks("x") is None
    assert file_names.uuid_ticks("01d5bf2e-3d0b-4b0c-9f4f-1f4f2ac6a111") is None


@pytest.mark.parametrize(
    ("folder", "keys", "names"),
    [
        ("scrapes/wy", "scrapes/wy/a.json scrapes/wy/x/b.json", "a.json x/b.json"),
        ("scrapes/wy", "a.json", "a.json"),
        ("", "wy/a.json", "wy/a.json"),
        ("scrapes/wy", "wy/a.json", "a.json"),
        # Of another folder of the bucket: it is not below the manifest's.
        ("scrapes/wy", "dc/a.json", "dc/a.json"),
        ("/mirror/scrapes/wy", "scrapes/wy/a.json", "a.json"),
        ("/mirror/scrapes/wy", "wy/a.json", "a.json"),
        ("/mirror/scrapes/wy", "wy/a.json dc/a.json", "wy/a.json dc/a.json"),
        # What leads out says nothing of the others.
        ("/mirror/scrapes/wy", "wy/a.json ../../b.json /c.json", "a.json ../../b.json /c.json"),
        ("/", "wy/a.json", "wy/a.json"),
    ],
)
def test_manifest__whole_or_relative_keys__names_in_its_folder(
    folder: str, keys: str, names: str
) -> None:
    body = json.dumps({"objects": keys.split(), "source": "wy"}).encode()
    found = parse_manifest(body, "x", folder)
    assert (list(found.names), found.abbr) == (names.split(), "wy")
