"""The invented legislature's web pages."""

from collections.abc import Iterator
from html import escape

from realtime.demo.legislature import CHAMBERS, SESSION, Bill, Hearing, Legislature, RollCall

_VERSIONS = ("Introduced", "Engrossed")


def render(legislature: Legislature) -> dict[str, str]:
    """All pages of the site: HTML by path."""
    return dict(_pages(legislature))


def _pages(legislature: Legislature) -> Iterator[tuple[str, str]]:
    yield "/", _page("Sessions", f"<ul id='sessions'><li>{SESSION}</li></ul>")
    yield f"/{SESSION}/legislators", _page("Legislators", _roster(legislature))
    bills = [(bill.identifier, bill.identifier, bill.title) for bill in legislature.bills]
    yield f"/{SESSION}/bills", _page("Bills", _links("bills", bills))
    for bill in legislature.bills:
        yield f"/{SESSION}/bills/{bill.identifier}", _page(bill.identifier, _bill(bill))
        for version in _VERSIONS:
            text = f"<p>{escape(bill.abstract)}</p>"
            yield f"/{SESSION}/text/{bill.identifier}-{version}.html", _page(bill.title, text)
        for roll_call in bill.roll_calls:
            yield (
                f"/{SESSION}/votes/{roll_call.number}",
                _page(f"Roll call {roll_call.number}", _roll_call(roll_call)),
            )
    meetings = [(str(h.number), h.committee, f"{h.starts:%B %d}") for h in legislature.hearings]
    yield f"/{SESSION}/events", _page("Calendar", _links("events", meetings))
    for hearing in legislature.hearings:
        yield f"/{SESSION}/events/{hearing.number}", _page(hearing.committee, _hearing(hearing))


def _page(title: str, body: str) -> str:
    return (
        "<!doctype html><html lang='en'><head><meta charset='utf-8'>"
        f"<title>{escape(title)}</title></head><body><h1>{escape(title)}</h1>{body}</body></html>"
    )


def _table(name: str, rows: Iterator[str]) -> str:
    return f"<table id='{name}'>{''.join(f'<tr>{row}</tr>' for row in rows)}</table>"


def _links(name: str, entries: list[tuple[str, str, str]]) -> str:
    return _table(
        name,
        (
            f"<td><a href='/{SESSION}/{name}/{path}'>{escape(text)}</a></td><td>{escape(more)}</td>"
            for path, text, more in entries
        ),
    )


def _roster(legislature: Legislature) -> str:
    return _table(
        "legislators",
        (
            f"<td class='family'>{escape(member.family_name)}</td>"
            f"<td class='name'>{escape(member.name)}</td><td>{CHAMBERS[member.chamber]}</td>"
            f"<td>{member.district}</td><td>{member.party}</td>"
            for member in legislature.legislators
        ),
    )


def _bill(bill: Bill) -> str:
    actions = _table(
        "actions",
        (
            f"<td>{action.day:%m/%d/%Y}</td><td>{action.chamber}</td><td>{escape(action.text)}</td>"
            for action in bill.actions
        ),
    )
    sponsors = "".join(f"<li>{escape(name)}</li>" for name in bill.sponsors)
    versions = "".join(
        f"<li><a href='/{SESSION}/text/{bill.identifier}-{version}.html'>{version}</a></li>"
        for version in _VERSIONS
    )
    votes = "".join(
        f"<li><a href='/{SESSION}/votes/{roll_call.number}'>Roll call {roll_call.number}</a></li>"
        for roll_call in bill.roll_calls
    )
    return (
        f"<p id='title'>{escape(bill.title)}</p><p id='abstract'>{escape(bill.abstract)}</p>"
        f"<ol id='sponsors'>{sponsors}</ol><p id='companion'>{bill.companion}</p>"
        f"{actions}<ul id='versions'>{versions}</ul><ul id='votes'>{votes}</ul>"
    )


def _roll_call(roll_call: RollCall) -> str:
    lists = {"ayes": roll_call.ayes, "nays": roll_call.nays, "excused": roll_call.excused}
    names = "".join(
        f"<ul id='{name}'>{''.join(f'<li>{escape(voter)}</li>' for voter in voters)}</ul>"
        for name, voters in lists.items()
    )
    return (
        f"<p id='chamber'>{roll_call.chamber}</p><p id='date'>{roll_call.day:%m/%d/%Y}</p>"
        f"<p id='action'>{escape(roll_call.action)}</p>{names}"
    )


def _hearing(hearing: Hearing) -> str:
    agenda = _table(
        "agenda",
        (f"<td>{identifier}</td><td>{escape(title)}</td>" for identifier, title in hearing.agenda),
    )
    return (
        f"<p id='committee'>{escape(hearing.committee)}</p><p id='chair'>{hearing.chair}</p>"
        f"<time id='starts' datetime='{hearing.starts.isoformat()}'></time>"
        f"<p id='place'>{escape(hearing.place)}</p>{agenda}"
    )
