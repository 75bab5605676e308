"""Fills a database with bills of earlier sessions, to measure what they add to an import's time."""

from django.db import connection

# 1,000 bills in each session; two actions and one version for each bill.
_FILL = """
INSERT INTO opencivicdata_legislativesession
    (id, jurisdiction_id, identifier, name, classification, start_date, end_date, active)
SELECT gen_random_uuid(), %(jurisdiction)s, 'old ' || n, 'old ' || n, 'primary', '1990-01-01',
    '1990-12-31', false
FROM generate_series(1, CEIL(%(bills)s / 1000.0)::integer) AS n;
INSERT INTO opencivicdata_bill
    (id, created_at, updated_at, extras, legislative_session_id, identifier, title,
     classification, subject, citations, latest_action_description)
SELECT 'ocd-bill/' || gen_random_uuid(), now(), now(), '{}', s.id, 'HB ' || n, 'title', '{}', '{}',
    '[]', ''
FROM opencivicdata_legislativesession s, generate_series(1, 1000) AS n
WHERE s.identifier LIKE 'old %%';
INSERT INTO opencivicdata_billaction
    (id, bill_id, organization_id, description, date, classification, "order")
SELECT gen_random_uuid(), b.id,
    (SELECT id FROM opencivicdata_organization WHERE jurisdiction_id = %(jurisdiction)s LIMIT 1),
    'action ' || n, '1990-01-01', '{}', n
FROM opencivicdata_bill b, generate_series(0, 1) AS n;
INSERT INTO opencivicdata_billversion (id, bill_id, note, date, classification, extras)
SELECT gen_random_uuid(), id, 'introduced', '', '', '{}' FROM opencivicdata_bill;
"""


def fill(jurisdiction_id: str, bills: int) -> None:
    """Add at least `bills` bills, in whole sessions, to the default database and analyze its
    tables."""
    with connection.cursor() as cursor:
        cursor.execute(_FILL, {"jurisdiction": jurisdiction_id, "bills": bills})
        cursor.execute("VACUUM ANALYZE")
