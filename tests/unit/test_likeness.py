"""What of a failure's explanation varies from file to file."""

import pytest

from realtime.domain.likeness import field_pattern, likeness, pattern


@pytest.mark.parametrize(
    ("detail", "expected"),
    [
        ("title is null", "title is null"),
        ("'Ada O'Neil' isn't a member", "<text> isn't a member"),
        ("never came: bill HB 12 / 4e4f3f0e-0000-4000-8000-000000000001 of session 2031",
         "never came: bill # / <id> of session #"),
        ("wy/bill_4e4f3f0e-0000-4000-8000-000000000001.json is gone", "<key> is gone"),
        ('no committee ~{"classification": "committee", "name": "Roads"}', "no committee <text>"),
        ("votes.12.voter_name has 1,024 characters", "votes.#.voter_name has # characters"),
        ("it may be any of 'a', 'b', 'c'", "it may be any of <text>, …"),
        ("read https://example.org/a?b=1 at 2031-01-11T00:00:00Z", "read <url> at #"),
        ("digest 9e107d9d372bb6826bd81d3542a419d6", "digest <id>"),
        ("two\n  lines", "two lines"),
        ("a decade, facade and decided", "a decade, facade and decided"),
    ],
)  # fmt: skip
def test_pattern__what_varies__replaced(detail: str, expected: str) -> None:
    assert pattern(detail) == expected


def test_pattern__long_or_hostile_text__bounded() -> None:
    assert len(pattern("x" * 20_000)) == 300
    assert likeness("invalid", "a" * 20_000, "\ud800'\"{~") != ""


def test_field_pattern__places_in_lists__replaced() -> None:
    assert field_pattern("votes.12.voter_name") == "votes.#.voter_name"
    assert field_pattern("extras.b2") == "extras.b2"


def test_likeness__same_but_for_names_and_places__same() -> None:
    one = likeness("invalid", "votes.1.voter_name", "votes.1.voter_name 'Ada' is 200 long")
    assert one == likeness("invalid", "votes.22.voter_name", "votes.22.voter_name 'Bo' is 7 long")
    assert one != likeness("too-long", "votes.1.voter_name", "votes.1.voter_name 'Ada' is 200 long")
    assert one != likeness("invalid", "votes.1.note", "votes.1.voter_name 'Ada' is 200 long")
