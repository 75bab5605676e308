"""Scraped objects in which every field of core is set, made with core's own classes."""

import uuid
from typing import Any

from openstates.scrape import Bill, Event, VoteEvent

from tests.scrapes import SESSION, WYOMING, content, jurisdiction

JOURNAL = "https://example.com/journal.pdf"


def full_jurisdiction() -> dict[str, Any]:
    data = jurisdiction()
    data["legislative_sessions"] = [
        {**data["legislative_sessions"][0], "active": True, "_scraped_name": "2031 GS"}
    ]
    return data


def full_bill(identifier: str = "HB 1") -> dict[str, Any]:
    bill = Bill(identifier, SESSION, "Of bridges", chamber="lower", classification="bill")
    action = bill.add_action("reading", "2031-01-11", chamber="lower", classification="reading-1")
    action.add_related_entity("Ada Plainsman", "person", '~{"name": "Ada Plainsman"}')
    action.add_related_entity("House", "organization", '~{"classification": "lower"}')
    bill.add_action("passed", "2031-01-12T10:00:00+00:00", chamber="upper")
    bill.add_sponsorship("Ada Plainsman", "primary", "person", True)
    bill.add_sponsorship("Roads", "cosponsor", "organization", False)
    bill.add_subject("roads")
    bill.add_abstract("All bridges.", "summary")
    bill.add_title("An act", "short title")
    bill.add_identifier("LSO 12")
    bill.add_related_bill("SF 2", SESSION, "companion")
    bill.add_citation("Statutes", "§ 1", "chapter", effective="2031-07-01", url=JOURNAL)
    for add in (bill.add_document_link, bill.add_version_link):
        add("introduced", JOURNAL, date="2031-01-10", media_type="application/pdf")
    bill.add_source("https://example.com/bills", note="list")
    bill.extras = {"impact": [1, 2.5, None, {"deep": "er"}]}
    return content(bill)


def full_vote_event(of: dict[str, Any], identifier: str = "vote 1") -> dict[str, Any]:
    vote = VoteEvent(
        motion_text="Shall it pass?",
        start_date="2031-01-12T10:00:00+00:00",
        classification="passage",
        result="pass",
        legislative_session=SESSION,
        identifier=identifier,
        bill_action="passed",
        chamber="upper",
    )
    vote.bill, vote.bill_identifier = of["_id"], of["identifier"]
    vote.yes("Ada Plainsman", note="proxy")
    vote.no("Bo Ridge")
    vote.set_count("yes", 1)
    vote.set_count("no", 1)
    vote.add_source("https://example.com/votes", note="roll call")
    vote.dedupe_key = f"key of {identifier}"
    vote.extras = {"page": 7}
    return content(vote)


def full_event(name: str = "Hearing") -> dict[str, Any]:
    event = Event(
        name,
        "2031-01-12T09:00:00+00:00",
        "Room 1",
        description="On bridges",
        end_date="2031-01-12T10:00:00+00:00",
        upstream_id="e1",
    )
    event.set_location("Room 1", url="https://example.com/room", note="2nd floor")
    event.add_participant("Ada Plainsman", "person")
    event.add_committee("Roads", note="host")
    event.add_document("agenda", JOURNAL, media_type="application/pdf", date="2031-01-11")
    event.add_media_link("stream", "https://example.com/live", "video/mp4")
    event.add_source("https://example.com/events", note="calendar")
    event.add_link("https://example.com/more", note="more")
    item = event.add_agenda_item("HB 1")
    item.add_bill("HB 1")
    item.add_person("Ada Plainsman")
    item.add_committee("Roads")
    item.add_vote_event("vote 1")
    item.add_subject("roads")
    item.add_classification("hearing")
    item["notes"].append("bring maps")
    item.add_media_link("slides", "https://example.com/slides", "application/pdf")
    event.dedupe_key = f"key of {name}"
    event.extras = {"room": {"floor": 2}}
    return content(event)


def full_person(name: str = "Ada Plainsman") -> dict[str, Any]:
    return {
        "id": f"ocd-person/{uuid.uuid4()}",
        "name": name,
        "given_name": "Ada",
        "family_name": "Plainsman",
        "middle_name": "B",
        "suffix": "Jr",
        "gender": "Female",
        "email": "ada@example.com",
        "biography": "Born.\nLives.",
        "birth_date": "1990-01-01",
        "death_date": "",
        "image": "https://example.com/ada.png",
        "party": [{"name": "Republican", "start_date": "2020-01-01", "end_date": ""}],
        "roles": [
            {
                "type": "lower",
                "district": "3",
                "jurisdiction": WYOMING.jurisdiction_id,
                "start_date": "2031-01-01",
                "end_date": "",
            }
        ],
        "offices": [{"classification": "capitol", "voice": "307-555-0100", "address": "1 Way"}],
        "links": [{"url": "https://example.com/ada", "note": "home"}],
        "sources": [{"url": "https://example.com/members", "note": ""}],
        "other_names": [{"name": "A. Plainsman", "start_date": "", "end_date": ""}],
        "ids": {"twitter": "ada"},
        "other_identifiers": [{"scheme": "legacy", "identifier": "WYL1", "start_date": ""}],
        "extras": {"since": 2031},
    }
