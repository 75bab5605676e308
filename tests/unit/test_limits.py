"""How long a run and its statements may take."""

import pytest

from realtime.management.limits import statement_seconds


@pytest.mark.parametrize(
    ("timeout", "limit", "expected"), [(60, None, 60), (60, 300, 60), (60, 20, 10), (60, 1, 2)]
)
def test_statement_seconds__time_limit__at_most_half_of_it(
    timeout: int, limit: int | None, expected: int
) -> None:
    assert statement_seconds(timeout, limit) == expected
