"""How status reads a large ledger: by its indexes, never the whole of it."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection

from bench import ledger as many
from realtime.ledger import files as ledger_files
from realtime.monitoring.status import file_lists, lag, run_states
from realtime.monitoring.status.queue_depth import QueueStatus
from realtime.monitoring.status.snapshot import status

FILES = 100_000
BUSIEST = "ocd-jurisdiction/country:us/state:00/government"


@pytest.fixture
def plans(database: str) -> Callable[[Callable[[], object]], list[str]]:
    many.fill(FILES, ledger_files.database_now())

    def plans_of(look: Callable[[], object]) -> list[str]:
        found: list[str] = []

        def explain(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
            if "realtime_file" in sql:
                with connection.connection.cursor() as cursor:
                    cursor.execute(f"EXPLAIN {sql}", params)
                    found.append("\n".join(line for (line,) in cursor.fetchall()))
            return execute(sql, params, many, context)

        with connection.execute_wrapper(explain):
            look()
        return found

    return plans_of


def test_status__of_a_large_ledger__reads_no_table_as_a_whole(
    plans: Callable[[Callable[[], object]], list[str]],
) -> None:
    now = ledger_files.database_now()

    def look() -> None:
        for whose in ("", BUSIEST):
            found = status(QueueStatus(), 10, whose)
            assert found.lag is not None and found.lag.measured > 100
        lag.volumes(now - timedelta(hours=24), now, list(lag.jurisdictions()))
        file_lists.newest(BUSIEST)
        run_states.latest_states(now, BUSIEST)

    found = plans(look)
    assert len(found) > 20
    whole = [plan for plan in found if "Seq Scan on realtime_file" in plan]
    assert whole == []
    assert sum("realtime_file_visible" in plan for plan in found) >= 8
