"""What the page makes of a file and the field at fault."""

import json

from realtime.page.document import document

BILL = json.dumps({"title": "Of bridges", "sponsorships": [{"name": "Ada"}, {"name": None}]})


def marked(body: str, field: str) -> list[str]:
    return [line.text.strip() for line in document(body.encode(), field).lines if line.marked]


def test_document__field_deep_inside__its_line_marked() -> None:
    assert marked(BILL, "sponsorships.1.name") == ['"name": null']


def test_document__field_that_is_a_list__all_of_it_marked() -> None:
    assert marked(BILL, "sponsorships")[0] == '"sponsorships": ['
    assert marked(BILL, "sponsorships")[-1] == "]"


def test_document__field_that_is_missing__what_should_hold_it_marked() -> None:
    found = document(BILL.encode(), "sponsorships.0.primary")
    assert not found.found
    assert [line.text.strip() for line in found.lines if line.marked] == ["{"]
    assert marked(BILL, "identifier") == []


def test_document__no_field__nothing_marked() -> None:
    assert document(BILL.encode(), "").excerpt == []


def test_document__long_file__excerpt_around_the_field_all_the_same() -> None:
    body = json.dumps({"many": [{"n": n} for n in range(5_000)]}).encode()
    found = document(body, "many.4000.n")
    assert found.left_out > 0
    assert [line.text.strip() for line in found.excerpt if line.marked] == ['"n": 4000']


def test_document__invisible_characters__shown_as_escapes() -> None:
    [line] = [line for line in document(b'["\xe2\x80\xae\xc2\xa0"]', "0").lines if line.marked]
    assert line.text.strip() == '"\\u202e\\u00a0"'
