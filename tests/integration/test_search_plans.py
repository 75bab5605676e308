"""How searches and the pages of a bill and a run read large tables: by index, never whole."""

import re
from typing import Any

from django.db import connection
from openstates.data.models import Bill

from bench import bills as many_bills
from bench import ledger as many
from realtime.domain.config import Bucket
from realtime.ledger import files as ledger_files
from realtime.ledger import titles
from realtime.models import File, ScrapeRun
from realtime.monitoring import bill_record
from realtime.monitoring.labels import labels
from realtime.monitoring.search.find import find
from realtime.monitoring.status.run_record import run_record

# Of words that most titles have, the first some of the titles are read.
LARGE = "realtime_file|realtime_flag|opencivicdata_bill"


def test_search__large_tables__each_read_by_index(database: str) -> None:
    now = ledger_files.database_now()
    many.fill(40_000, now)
    many_bills.fill(20_000, 10_000, now)
    titles.note_all()
    with connection.cursor() as cursor:
        cursor.execute("VACUUM (ANALYZE) realtime_bill_title")
    file, bill = File.objects.get(id=30_001), Bill.objects.order_by("pk")[0].pk
    run = ScrapeRun.objects.earliest("started_at")
    whole: list[str] = []
    by_words = 0
    statements = 0

    def explain(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        nonlocal statements, by_words
        statements += 1
        with connection.connection.cursor() as cursor:
            cursor.execute(f"EXPLAIN {sql}", params)
            plan = "\n".join(line for (line,) in cursor.fetchall())
        by_words += "realtime_bill_title_words" in plan
        if re.search(rf"Seq Scan on ({LARGE})\b", plan):
            whole.append(f"{sql}\n{plan}")
        return execute(sql, params, many, context)

    bucket = Bucket("bucket")
    with connection.execute_wrapper(explain):
        assert len(find("hb 3", bucket).bills) == 20
        assert len(find("relating to", bucket).bills) == 20
        assert find("word0 word200 word2", bucket).bills
        assert not find("words nobody has", bucket)
        assert find("Last77 first", bucket).names
        for text in (file.scrape_id, file.scrape_id[:9], file.key, file.key.split("/")[1]):
            assert find(text, bucket).files == [file]
        assert find(str(run.run_id)[:8], bucket).runs == [run]
        assert find(bill, bucket).bills
        labels(File.objects.order_by("-id")[:50])
        assert bill_record.of_core_id(bill)
        bill_record.of_name(file.jurisdiction_id, "2026", "HB 3")
        assert run_record(run.run_id, now)
    assert whole == []
    assert by_words >= 2
    assert statements < 120
