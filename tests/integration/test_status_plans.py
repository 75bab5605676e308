"""How status reads a large ledger: by its indexes, never the whole of it."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection

from bench import ledger as many
from realtime.ledger import files as ledger_files
from realtime.ledger.failures import Group
from realtime.models import File
from realtime.monitoring.status import file_lists, groups, lag, lead_time, run_states
from realtime.monitoring.status.file_lists import UNARCHIVED, Which
from realtime.monitoring.status.over_time import over_time
from realtime.monitoring.status.queue_depth import QueueStatus
from realtime.monitoring.status.snapshot import status
from realtime.page.trends import RUNS, WINDOWS

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

    some = File.objects.filter(jurisdiction_id=BUSIEST, run_id__isnull=False).order_by("id").first()
    assert some is not None
    of_run = Which(BUSIEST, run_id=some.run_id)

    def look() -> None:
        for whose in ("", BUSIEST):
            found = status(QueueStatus(), 10, whose)
            assert found.lag is not None and found.lag.measured > 100
        lag.volumes(now - timedelta(hours=24), now, list(lag.jurisdictions()))
        for which in (
            Which(BUSIEST),
            Which(BUSIEST, "updated", "event"),
            Which(BUSIEST, "failed", "", "gone"),
            Which(BUSIEST, "deferred"),
            Which(BUSIEST, UNARCHIVED),
            of_run,
        ):
            file_lists.listed(which, file_lists.listed(which, limit=2).older, 2)
        file_lists.beside(file_lists.listed(Which(BUSIEST, "failed")).rows[1])
        run_states.listed(now, BUSIEST)
        for name, (_, window) in WINDOWS.items():
            over_time(now, window, [BUSIEST])
            # A week of all is so much of this ledger that reading it as a whole is as cheap.
            if name != "7d":
                over_time(now, window, list(lag.jurisdictions()), everywhere=True)
        lead_time.lead_times(now - timedelta(days=7), now, list(lag.jurisdictions()), newest=RUNS)
        assert sum(one.files for one in groups.failures()) == FILES / 500
        assert groups.failures(BUSIEST, "invalid") != []
        assert groups.failure_group(Group(None, BUSIEST)) is not None
        assert groups.files_of(Group(None), 50, 50) != []

    found = plans(look)
    assert len(found) > 20
    whole = [plan for plan in found if "Seq Scan on realtime_file" in plan]
    assert whole == []
    of_a_run = plans(lambda: file_lists.listed(of_run))
    assert ["realtime_file_run_types" in plan for plan in of_a_run] == [True]
    assert sum("realtime_file_visible" in plan for plan in found) >= 7
    # The status of all and of one, and each chart.
    assert sum("realtime_file_waited" in plan for plan in found) == 7
