"""What names in files may mean, as one number: whether a name could mean something else now."""

from django.db import connection

# Raise it with a release that resolves the same name among the same rows to another one.
RULES = 1

# All that `persons`, core's importers of organizations and sessions, and the rules of agendas look
# at; a sum, since rows come in any order.
_DIGEST = """
    WITH organization AS (
      SELECT o.id, o.name, o.other_names, o.classification, parent.classification AS parent
      FROM opencivicdata_organization o
      LEFT JOIN opencivicdata_organization parent ON parent.id = o.parent_id
      WHERE o.jurisdiction_id = %(jurisdiction)s
    ), seat AS MATERIALIZED (
      SELECT m.person_id, hashtextextended(m.person_id, hashtextextended(m.organization_id,
        hashtextextended(m.start_date, hashtextextended(m.end_date, 1)))) AS said
      FROM opencivicdata_membership m
      WHERE m.organization_id IN (SELECT id FROM organization) AND m.person_id IS NOT NULL
    ), member AS MATERIALIZED (
      SELECT DISTINCT person_id AS id FROM seat
    ), every AS (
      SELECT said FROM seat
      UNION ALL
      SELECT hashtextextended(p.id, hashtextextended(p.name, hashtextextended(p.family_name,
        CASE WHEN COALESCE(p.current_role, 'null') = 'null' THEN 2 ELSE 3 END)))
      FROM opencivicdata_person p WHERE p.id IN (SELECT id FROM member)
      UNION ALL
      SELECT hashtextextended(n.person_id, hashtextextended(n.name, 4))
      FROM opencivicdata_personname n WHERE n.person_id IN (SELECT id FROM member)
      UNION ALL
      SELECT hashtextextended(l.person_id, hashtextextended(l.listed_id, 8))
      FROM (
        SELECT DISTINCT person_id, listed_id FROM realtime_listed_person
        WHERE is_new AND person_id IN (SELECT id FROM member)
      ) AS l
      UNION ALL
      SELECT hashtextextended(organization::text, 5) FROM organization
      UNION ALL
      SELECT hashtextextended(s::text, 6) FROM opencivicdata_legislativesession s
      WHERE s.jurisdiction_id = %(jurisdiction)s
      UNION ALL
      SELECT hashtextextended(
        ROW(j.name, j.url, j.classification, j.division_id, j.extras)::text, 7)
      FROM opencivicdata_jurisdiction j WHERE j.id = %(jurisdiction)s
    )
    SELECT ((%(rules)s + COALESCE(sum(said), 0)) %% 9223372036854775807)::bigint FROM every
"""


def referents_digest(jurisdiction_id: str) -> int:
    """A digest of the jurisdiction's people, organizations and legislative sessions, as far as
    references in its files are resolved by them, and of the jurisdiction itself. Of people, also of
    which two it is undecided whether they are one.

    A file that was imported while the digest was this one resolves its names to the same rows as
    long as it is. That holds for what pseudo ids ask by name, chamber and classification, not for
    other fields.
    """
    with connection.cursor() as cursor:
        cursor.execute(_DIGEST, {"jurisdiction": jurisdiction_id, "rules": RULES})
        digest: int = cursor.fetchone()[0]
    return digest
