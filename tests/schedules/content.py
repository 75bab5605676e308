"""Makes scraped objects with core's classes, from short descriptions.

Each object carries its version, which grows with the scrape order, in a field that ends up in the
database.
"""

import json
import re
import uuid
from collections.abc import Iterable
from typing import Any

from openstates.scrape import Bill, Event, State, VoteEvent
from openstates.utils import JSONEncoderPlus

from realtime.domain.scraped_object import time_of

# Congress is the neighbour in whose rows Wyoming's could be found by mistake.
WY, US = "wy", "us"
JURISDICTIONS = {
    WY: "ocd-jurisdiction/country:us/state:wy/government",
    US: "ocd-jurisdiction/country:us/government",
}
JURISDICTION = JURISDICTIONS[WY]
# Each state's, with the first and last day: the second begins on the last day of the first.
SESSIONS = (
    ("2031", "2031-01-10", "2031-03-10"),
    ("2031S1", "2031-03-10", "2031-06-10"),
    ("2033", "2033-01-10", "2033-03-10"),
)
# The day of an event: within the first session, or on a day on which a session begins or ends, or
# the day before or after that.
DAY = "2031-01-12"
DAYS = (DAY, "2031-01-09", "2031-01-10", "2031-03-10", "2031-06-10", "2031-06-11")
LAST_DAYS = tuple(last for _, _, last in SESSIONS[:2])
# Of votes and the actions they name.
ACTED = "2031-01-11"
_NODE = 0x0242AC110002
_CLOCK = 0x8001

# Two have the same name, one in each chamber. Two more, one of whom follows the other in their
# chamber on the day on which the second session begins. One is in office today.
PEOPLE = (
    ("ocd-person/00000000-0000-4000-8000-000000000000", "Ada Plainsman", "lower", "3"),
    ("ocd-person/00000000-0000-4000-8000-000000000001", "Ada Plainsman", "upper", "3"),
    ("ocd-person/00000000-0000-4000-8000-000000000002", "Bo Ridge", "lower", "4"),
    ("ocd-person/00000000-0000-4000-8000-000000000003", "Cy Creek", "upper", "5"),
    ("ocd-person/00000000-0000-4000-8000-000000000004", "Di Fork", "lower", "6"),
    ("ocd-person/00000000-0000-4000-8000-000000000005", "Di Fork", "lower", "7"),
)
_TERMS = {
    0: {"start_date": "2025-01-01"},
    4: {"start_date": "2029-01-01", "end_date": SESSIONS[1][1]},
    5: {"start_date": SESSIONS[0][2]},
}
_TERM = {"start_date": "2031-01-01"}
# Its namesake in the other chamber makes the name of this committee ambiguous.
COMMITTEE = "Committee on Roads"
COMMITTEES = (
    ("ocd-organization/00000000-0000-4000-8000-00000000000a", "lower"),
    ("ocd-organization/00000000-0000-4000-8000-00000000000b", "upper"),
)
_BY_COMMITTEE = '~{"classification": "committee", "name": "Committee on Roads"}'


class Wyoming(State):  # type: ignore[misc]
    legislative_sessions: list[dict[str, Any]] = []


class UnitedStates(State):  # type: ignore[misc]
    legislative_sessions: list[dict[str, Any]] = []


_STATES: dict[str, Any] = {WY: Wyoming, US: UnitedStates}


def state_of(what: dict[str, Any]) -> str:
    """The state of a described object."""
    return str(what.get("state", WY))


def session_of(what: dict[str, Any]) -> str:
    """The identifier of the legislative session of a described bill or vote event."""
    return SESSIONS[what.get("session", 0)][0]


def uuid1_at(ticks: int) -> str:
    """A UUIDv1 with this time; the rest is constant."""
    low, middle, high = ticks & 0xFFFFFFFF, ticks >> 32 & 0xFFFF, ticks >> 48 & 0x0FFF
    fields = (low, middle, high | 0x1000, _CLOCK >> 8, _CLOCK & 0xFF, _NODE)
    return str(uuid.UUID(fields=fields))


def make(what: dict[str, Any], ticks: int) -> dict[str, Any]:
    """The content of a file; `what` gives its type and properties."""
    made: dict[str, Any] = _MAKERS[what["type"]](what)
    if what["type"] in ("bill", "vote_event", "event"):
        made["_id"] = uuid1_at(ticks)
    if "scraped_at" in made:
        # Truncated to seconds, so that repeats tie.
        made["scraped_at"] = time_of(ticks).strftime("%Y-%m-%dT%H:%M:%S")
    return made


def identifier(bill: int) -> str:
    return f"HB {bill}"


def version_of(text: str) -> int:
    """The version in a text that contains `v` and a number; 0 without one."""
    found = re.search(r"v(\d+)", text)
    return int(found[1]) if found else 0


def _content(scraped: Any, what: dict[str, Any]) -> dict[str, Any]:
    scraped.pre_save(_STATES[state_of(what)]())
    data: dict[str, Any] = json.loads(json.dumps(scraped.as_dict(), cls=JSONEncoderPlus))
    return data


def _person(what: dict[str, Any]) -> dict[str, Any]:
    person_id, name, chamber, district = PEOPLE[what["who"]]
    role: dict[str, str] = {"type": chamber, "district": district, "jurisdiction": JURISDICTION}
    return {
        "id": person_id,
        "name": name,
        "email": f"v{what['version']}@example.com",
        "party": [{"name": "Republican"}],
        "roles": [{**role, **_TERMS.get(what["who"], _TERM)}],
        # The ids that the person had before.
        "other_identifiers": [
            {"scheme": "openstates", "identifier": PEOPLE[who][0]} for who in what.get("lists", ())
        ],
    }


def _jurisdiction(what: dict[str, Any]) -> dict[str, Any]:
    state: Any = _STATES[state_of(what)]()
    state.legislative_sessions = [
        {
            "identifier": identifier,
            "name": f"General Session, v{what['version']}",
            "classification": "primary",
            "start_date": first,
            "end_date": last,
        }
        for identifier, first, last in SESSIONS[: what["sessions"]]
    ]
    return _content(state, what)


def _bill(what: dict[str, Any]) -> dict[str, Any]:
    # Another page is another bill, even if it has the same identifier.
    page = what.get("page", 0)
    title = f"Of {'canals' if page else 'bridges'}, v{what['version']}"
    session = session_of(what)
    bill = Bill(identifier(what["n"]), session, title, chamber="lower", classification="bill")
    days = what.get("days", ())
    for number in range(what.get("actions", 0)):
        day = days[number] if number < len(days) else ACTED
        passage = ["passage"] if days else []
        bill.add_action(f"reading {number + 1}", day, chamber="lower", classification=passage)
    if what.get("committee"):
        # No committee has this name, so core skips the bill.
        bill.actions[-1]["organization_id"] = '~{"name": "Committee on Nothing"}'
    if what.get("companion"):
        other = SESSIONS[what["elsewhere"]][0] if "elsewhere" in what else session
        bill.add_related_bill(identifier(what["companion"]), other, "companion")
    if what.get("acting"):
        entity = {"name": COMMITTEE, "entity_type": "organization"}
        bill.actions[0]["related_entities"] = [{**entity, "organization_id": _BY_COMMITTEE}]
    if what.get("sponsored"):
        bill.add_sponsorship(COMMITTEE, "cosponsor", "organization", False)
    for sponsor in what.get("sponsors", ()):
        bill.add_sponsorship(PEOPLE[sponsor][1], "primary", "person", True)
    for number in range(what.get("versions", 0)):
        bill.add_version_link(
            f"version {number}", f"https://example.com/{number}.pdf", media_type="application/pdf"
        )
    bill.add_source(f"https://example.com/bills/{page}")
    bill.extras["version"] = what["version"]
    return _content(bill, what)


def _vote(what: dict[str, Any]) -> dict[str, Any]:
    chamber = what.get("chamber", "lower")
    # One motion may be voted on more than once in a day.
    motion = what.get("like", what["n"])
    vote = VoteEvent(
        motion_text=f"motion {motion}",
        start_date=ACTED,
        classification="passage",
        result="pass" if what["version"] % 2 else "fail",
        # A scraper may take the session of the vote for another than its bill's.
        legislative_session=SESSIONS[what.get("said", what.get("session", 0))][0],
        identifier=vote_identifier(motion) if what.get("identifier") else "",
        bill=identifier(what["bill"]),
        bill_chamber="lower",
        bill_action=f"reading {what['action']}" if what.get("action") else None,
        chamber=chamber,
    )
    if what.get("of"):
        vote.bill = what["of"]
    elif what.get("stray"):
        # The `_id` of a bill that was never published.
        vote.bill = uuid1_at(what["stray"])
    if what.get("alone"):
        vote.bill = f'~{{"identifier": "{identifier(what["bill"])}"}}'
    elif what.get("nobody"):
        vote.bill, vote.bill_identifier = None, ""
    if what.get("held"):
        vote.organization = _BY_COMMITTEE
    if what.get("dedupe"):
        vote.dedupe_key = "D" if what.get("shared") else f"D{motion}"
    elif what.get("says_none"):
        # Core takes the key that the row has away then.
        vote.dedupe_key = None
    if not what.get("bare"):
        for voter in what.get("voters", ()):
            vote.yes(PEOPLE[voter][1])
        vote.set_count("yes", len(what.get("voters", ())))
    vote.add_source(f"https://example.com/votes/{what.get('page', 0)}")
    vote.extras["version"] = what["version"]
    return _content(vote, what)


def vote_identifier(number: int) -> str:
    return f"X{number}"


def _event(what: dict[str, Any]) -> dict[str, Any]:
    event = Event(
        f"Hearing {what['n']}",
        f"{what.get('day', DAY)}T09:00:00+00:00",
        f"Room {what.get('room', 1)}",
        upstream_id=f"v{what['version']}",
    )
    if what.get("dedupe"):
        event.dedupe_key = f"E{what['n']}"
    item = event.add_agenda_item("Business")
    if what.get("bill"):
        item.add_bill(identifier(what["bill"]))
    if what.get("vote") is not None:
        item.add_vote_event(vote_identifier(what["vote"]))
    for person in what.get("people", ()):
        event.add_person(PEOPLE[person][1])
        item.add_person(PEOPLE[person][1])
    if what.get("papers"):
        event.add_document("agenda", "https://example.com/agenda.pdf", media_type="application/pdf")
        event.add_media_link("video", "https://example.com/video.mp4", media_type="video/mp4")
        item.add_media_link("audio", "https://example.com/audio.mp3", media_type="audio/mpeg")
    event.add_source("https://example.com/events")
    return _content(event, what)


_MAKERS = {
    "person": _person,
    "jurisdiction": _jurisdiction,
    "bill": _bill,
    "vote_event": _vote,
    "event": _event,
}


def people(numbers: Iterable[int]) -> list[str]:
    """The files of these people in version 0."""
    return [json.dumps(_person({"who": number, "version": 0})) for number in numbers]


def first_sessions(state: str, count: int) -> str:
    """The file of the jurisdiction in version 0, with its first sessions."""
    what = {"state": state, "sessions": count, "version": 0}
    return json.dumps(_jurisdiction(what))
