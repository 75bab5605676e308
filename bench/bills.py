"""Fills core's tables with bills of any number, and the ledger with names that match nobody."""

from datetime import datetime

from django.db import connection

# The jurisdictions of `bench.ledger`: each with two chambers and twenty sessions. Of two thousand
# words, a few are in most titles. Every value follows from the bill's number.
_PLACES = """
    INSERT INTO opencivicdata_jurisdiction
      (id, name, url, classification, division_id, created_at, updated_at, extras,
       latest_bill_update, latest_people_update)
    SELECT 'ocd-jurisdiction/country:us/state:' || lpad(n::text, 2, '0') || '/government',
           'State ' || n, '', 'state', NULL, %(now)s, %(now)s, '{}', %(now)s,
           %(now)s
    FROM generate_series(0, 49) AS n;
    INSERT INTO opencivicdata_organization
      (id, name, jurisdiction_id, classification, created_at, updated_at, extras, sources, links,
       other_names)
    SELECT 'ocd-organization/' || md5(jurisdiction.id || chamber)::uuid, chamber, jurisdiction.id,
           chamber, %(now)s, %(now)s, '{}', '[]', '[]', '[]'
    FROM opencivicdata_jurisdiction AS jurisdiction, unnest(ARRAY['lower', 'upper']) AS chamber
    WHERE jurisdiction.name LIKE 'State %%';
    INSERT INTO opencivicdata_legislativesession
      (id, jurisdiction_id, identifier, name, classification, start_date, end_date, active)
    SELECT md5(jurisdiction.id || year)::uuid, jurisdiction.id, year::text, year::text, 'primary',
           year || '-01-01', year || '-12-31', false
    FROM opencivicdata_jurisdiction AS jurisdiction, generate_series(2007, 2026) AS year
    WHERE jurisdiction.name LIKE 'State %%'
"""
_BILLS = """
    INSERT INTO opencivicdata_bill
      (id, legislative_session_id, identifier, title, from_organization_id, classification, subject,
       citations, latest_action_description, created_at, updated_at, extras)
    SELECT 'ocd-bill/' || md5(n::text)::uuid, md5(place || (2007 + n / 50 %% 20))::uuid,
           CASE n / 1000 %% 2 WHEN 0 THEN 'HB ' ELSE 'SB ' END || 1 + n / 2000,
           'An Act relating to ' || (
             SELECT string_agg('word' || (abs(hashint4(n * 17 + k)) %% 1000) ^ 2 / 500, ' ')
             FROM generate_series(1, 12) AS k),
           'ocd-organization/' || md5(place || CASE n / 1000 %% 2 WHEN 0 THEN 'lower'
             ELSE 'upper' END)::uuid,
           '{bill}', '{}', '{}', 'Referred to the committee on appropriations',
           %(now)s - n * interval '1 minute', %(now)s - n * interval '1 minute', '{}'
    FROM generate_series(1, %(bills)s) AS n, LATERAL (
      SELECT 'ocd-jurisdiction/country:us/state:' || lpad((n %% 50)::text, 2, '0') || '/government'
        AS place) AS whose
"""
_NAMES = """
    INSERT INTO realtime_flag (jurisdiction_id, kind, subject, object_type, core_id,
      bill_identifier, session, key, other_key, detail, count, first_seen, last_seen, resolved_by,
      resolution, resolved_at)
    SELECT 'ocd-jurisdiction/country:us/state:' || lpad((n %% 50)::text, 2, '0') || '/government',
           'unmatched', 'First' || n %% 300 || ' Last' || n %% 5000 || ' (' || n || ')', '', '', '',
           '', '', '', '{}', 1, %(now)s, %(now)s - n * interval '1 minute', '', '',
           CASE WHEN n %% 3 = 0 THEN %(now)s END
    FROM generate_series(1, %(names)s) AS n
"""


def fill(bills: int, names: int, now: datetime) -> None:
    """Write the rows of `bills` bills of fifty jurisdictions, and flags of `names` names, of which
    one in three is resolved."""
    with connection.cursor() as cursor:
        for statement in (_PLACES, _BILLS, _NAMES):
            cursor.execute(statement, {"now": now, "bills": bills, "names": names})
        cursor.execute("VACUUM (ANALYZE) opencivicdata_bill, realtime_flag")
