"""Scrapes that hypothesis makes: few names, so that much is the same, and all that core reads."""

import json
from typing import Any

from hypothesis import strategies as st

from tests import scrapes

PEOPLE = ("Ada Plainsman", "ada  plainsman", "Bo Ridge", "Ünal Groß", "Nobody", "Plainsman")
COMMITTEES = ("Rules & Roads", "Rules and Roads", "No Such Committee")
TEXTS = (
    "",
    "plain",
    "tab\there",
    "line\r\nbreak",
    "back\\slash",
    r"\N",
    'quote"d',
    "Ünïcode ☃",
    "'",
)
CHAMBERS = ("lower", "upper", "legislature")
DATES = ("2031-01-11", "2031-01-12", "2031-01-13")
BILLS = ("HB 1", "HB 2", "SB 1")
text = st.sampled_from(TEXTS)


def pseudo(**described: str) -> str:
    return "~" + json.dumps(described, sort_keys=True)


person = st.sampled_from(PEOPLE).map(lambda name: pseudo(name=name))
organization = st.sampled_from(CHAMBERS).map(lambda chamber: pseudo(classification=chamber))
json_values = st.sampled_from([{}, {"a": [1, None, "x\\y"]}, {"b": {"c": 1.5}}])


def lists(of: Any, at_most: int = 3) -> Any:
    return st.lists(of, max_size=at_most)


def objects(**fields: Any) -> Any:
    return st.fixed_dictionaries(fields)


entities = st.one_of(
    objects(name=text, entity_type=st.just("person"), person_id=person),
    objects(
        name=text,
        entity_type=st.just("organization"),
        organization_id=st.just(pseudo(name=COMMITTEES[0])),
    ),
)
actions = objects(
    description=st.sampled_from(["passage", "reading", "tab\there"]),
    date=st.sampled_from(DATES),
    organization_id=organization,
    classification=st.sampled_from([[], ["passage"], ["reading-1", 'a"b\\c,{}']]),
    related_entities=lists(entities, 2),
)
sponsorships = st.one_of(
    objects(
        name=text,
        classification=st.just("primary"),
        entity_type=st.just("person"),
        primary=st.booleans(),
        person_id=st.one_of(st.none(), person),
    ),
    objects(
        name=text,
        classification=st.just("primary"),
        entity_type=st.just("organization"),
        primary=st.booleans(),
        organization_id=st.sampled_from(COMMITTEES).map(lambda name: pseudo(name=name)),
    ),
)
links = objects(url=st.sampled_from(["https://a.test", "https://b.test"]), media_type=text)
documents = objects(
    note=text, date=st.sampled_from(["", "2031"]), links=lists(links, 2), extras=json_values
)


@st.composite
def bills(draw: Any) -> dict[str, Any]:
    bill = scrapes.bill(draw(st.sampled_from(BILLS)), draw(text) or "title", actions=0)
    bill.update(
        from_organization=draw(organization),
        classification=draw(st.sampled_from([["bill"], []])),
        subject=draw(lists(text, 2)),
        abstracts=draw(lists(objects(abstract=text, note=text), 2)),
        other_titles=draw(lists(objects(title=text, note=text), 2)),
        other_identifiers=draw(lists(objects(identifier=st.sampled_from(BILLS)), 1)),
        actions=draw(lists(actions, 4)),
        sponsorships=draw(lists(sponsorships)),
        related_bills=draw(
            lists(
                objects(
                    identifier=st.sampled_from(BILLS),
                    legislative_session=st.just(scrapes.SESSION),
                    relation_type=st.just("companion"),
                ),
                1,
            )
        ),
        versions=draw(lists(documents)),
        documents=draw(lists(documents, 2)),
        sources=draw(lists(objects(url=st.just("https://c.test"), note=text), 2)),
        extras=draw(json_values),
    )
    return bill


@st.composite
def votes(draw: Any, of: list[dict[str, Any]]) -> dict[str, Any]:
    named = draw(st.sampled_from([*of, *BILLS, "HB 404"]))
    vote = scrapes.vote_event(
        named, draw(text) or "motion", draw(st.sampled_from([None, "passage", "reading"]))
    )
    vote.update(
        identifier=draw(st.sampled_from(["", "", "1", "2"])),
        start_date=draw(st.sampled_from(DATES)),
        organization=draw(organization),
        result=draw(st.sampled_from(["pass", "fail"])),
        motion_classification=draw(st.sampled_from([[], ["passage"]])),
        counts=draw(lists(objects(option=st.just("yes"), value=st.integers(0, 3)), 2)),
        votes=draw(
            lists(
                objects(
                    option=st.sampled_from(["yes", "no"]),
                    voter_name=text,
                    voter_id=person,
                    note=st.just(""),
                )
            )
        ),
        extras=draw(json_values),
    )
    if key := draw(st.sampled_from([None, None, "key", "other key"])):
        vote["dedupe_key"] = key
    return vote


@st.composite
def events(draw: Any) -> dict[str, Any]:
    event = scrapes.event(draw(st.sampled_from(["House hearing", "Hearing"])))
    about = st.one_of(
        entities,
        objects(
            name=text,
            entity_type=st.just("bill"),
            note=text,
            bill_id=st.sampled_from(BILLS).map(lambda name: pseudo(identifier=name)),
        ),
        objects(
            name=text,
            entity_type=st.just("vote_event"),
            note=text,
            vote_event_id=st.sampled_from("12").map(lambda name: pseudo(identifier=name)),
        ),
    )
    event.update(
        location=draw(objects(name=text, url=st.sampled_from(["", "https://d.test"]))),
        status=draw(st.sampled_from(["confirmed", "passed"])),
        participants=draw(lists(entities.map(lambda entity: {**entity, "note": "host"}), 2)),
        documents=draw(lists(objects(note=text, date=text, links=lists(json_values, 1)), 1)),
        agenda=[
            {**item, "order": order}
            for order, item in enumerate(
                draw(
                    lists(
                        objects(
                            description=text,
                            classification=lists(text, 2),
                            subjects=lists(text, 2),
                            notes=st.just([]),
                            media=lists(
                                objects(
                                    note=text,
                                    date=st.just(""),
                                    offset=st.sampled_from([None, 3]),
                                    links=lists(json_values, 1),
                                ),
                                1,
                            ),
                            related_entities=lists(about, 2),
                            extras=json_values,
                        )
                    )
                )
            )
        ],
        sources=draw(lists(json_values, 1)),
    )
    if key := draw(st.sampled_from([None, "key"])):
        event["dedupe_key"] = key
    return event


@st.composite
def scrape(draw: Any) -> dict[str, list[dict[str, Any]]]:
    some = draw(st.lists(bills(), min_size=1, max_size=4))
    return {
        "bill": some,
        "vote_event": draw(lists(votes(some), 4)),
        "event": draw(lists(events(), 3)),
    }


@st.composite
def successive(draw: Any) -> list[dict[str, list[dict[str, Any]]]]:
    """A scrape, and then one of which a part is as it was."""
    first, other = draw(scrape()), draw(scrape())
    second = {
        name: [
            new if draw(st.booleans()) else old
            for old, new in zip(first[name], other[name], strict=False)
        ]
        + other[name][len(first[name]) :]
        for name in first
    }
    return [first, second, first]
