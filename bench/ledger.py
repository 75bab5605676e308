"""Fills a ledger of any size with SQL."""

from datetime import datetime

from django.db import connection

# Fifty jurisdictions; the largest have about ten times as many files as the smallest. A tenth of
# the files belong to the last day, three times as many as to each of the 29 days before. Two of
# seven inserted or updated a row. Every value follows from the file's number.
_RUNS = """
    INSERT INTO realtime_run (run_id, bucket, jurisdiction_id, jurisdiction_name, started_at,
      finished_at, objects_sent, scrapers, received_at, step, attempts, finalized_at, closed)
    SELECT md5(state || '/' || day)::uuid, 'bucket', {jurisdiction}, 'State ' || state,
           %(now)s - day * interval '1 day' - interval '20 hours',
           CASE WHEN open THEN NULL ELSE %(now)s - day * interval '1 day' END,
           '{{}}', '{{}}',
           CASE WHEN open THEN NULL ELSE %(now)s - day * interval '1 day' END,
           '', 0,
           CASE WHEN open THEN NULL ELSE %(now)s - day * interval '1 day' END, ''
    FROM generate_series(0, 49) AS state, generate_series(0, 29) AS day,
         LATERAL (SELECT day = 0 AND state %% 10 = 0 AS open) AS whether
"""
_FILES = """
    INSERT INTO realtime_file (bucket, key, version, etag, version_id, size, jurisdiction_id,
      object_type, scrape_id, run_id, order_ticks, order_stamp, session, bill_scrape_id,
      bill_identifier, bill_action, bill_id, outcome, row_id, reason, field, detail, traceback,
      scraped_at, queued_at, received_at, imported_at, acknowledged_at, file_archiving,
      settled_at, settled_key, message, discarded_by, discard_note)
    SELECT 'bucket', 'wy/' || type || '_' || id || '.json', 'version-' || number, md5(id), '',
           2000, {jurisdiction}, type, id, md5(state || '/' || day)::uuid, number, number, '2026',
           CASE WHEN type = 'vote_event' THEN id ELSE '' END, 'HB ' || number, '', '',
           outcome, 'ocd-' || type || '/' || id,
           CASE WHEN outcome = 'failed'
             THEN (ARRAY['invalid', 'unresolved', 'gone'])[1 + number %% 3] ELSE '' END,
           '', CASE WHEN outcome = 'deferred' THEN 'bill HB ' || number %% 90 ELSE '' END,
           CASE WHEN outcome = 'failed' THEN repeat('traceback ', 100) ELSE '' END,
           scraped, scraped + interval '1 second' * (number %% 5),
           scraped + interval '1 second' * (5 + number %% 120),
           CASE WHEN outcome <> 'deferred'
             THEN scraped + interval '1 second' * (7 + number %% 120) END,
           scraped + interval '2 minutes', false,
           CASE WHEN outcome <> 'deferred' AND scraped < %(now)s - interval '10 minutes'
             THEN scraped + interval '9 minutes' END,
           'archived/2026-01-01/' || id, '', '', ''
    FROM (
      SELECT number, id, state, type, outcome, least(29, floor(age))::int AS day,
             %(now)s - age * interval '1 day' - interval '4 minutes' AS scraped
      FROM generate_series(1, %(files)s) AS number,
      LATERAL (
        SELECT md5(number::text)::uuid::text AS id,
               floor(50 * (abs(hashint4(number)) %% 1000 / 1000.0) ^ 2)::int AS state,
               (ARRAY['bill', 'vote_event', 'vote_event', 'vote_event', 'event'])[1 + number %% 5]
                 AS type,
               CASE WHEN number %% 500 = 0 THEN 'failed'
                 WHEN number %% 5000 = 1 AND number > %(files)s * 0.95 THEN 'deferred'
                 ELSE (ARRAY['inserted', 'updated', 'unchanged'])[1 + least(number %% 7, 2)]
               END AS outcome,
               CASE WHEN number <= %(files)s * 0.9
                 THEN 30 - 29 * number / (%(files)s * 0.9)
                 ELSE (%(files)s - number) / (%(files)s * 0.1) END AS age
      ) AS made
    ) AS file ORDER BY number
"""
_JURISDICTION = "'ocd-jurisdiction/country:us/state:' || lpad(state::text, 2, '0') || '/government'"


def fill(files: int, now: datetime) -> None:
    """Write the rows of `files` files and 1,500 scrape runs of the 30 days before `now`.

    One file in 500 failed. Of the last 5 %, one in 5,000 is parked. Files scraped in the last ten
    minutes are not archived.
    """
    with connection.cursor() as cursor:
        cursor.execute(_RUNS.format(jurisdiction=_JURISDICTION), {"now": now})
        cursor.execute(_FILES.format(jurisdiction=_JURISDICTION), {"now": now, "files": files})
        cursor.execute("VACUUM (ANALYZE) realtime_file, realtime_run")
