"""Merges people, as core's `os-people to-database` does."""

from collections.abc import Mapping, Sequence

from django.db import connection
from django.db.models import SET_NULL
from openstates.data.models import Membership, Person

from realtime.backends.postgres.locks import lock_jurisdiction, number

# The scheme under which a person's file lists the ids that the person had before.
MERGED_ID = "openstates"
# Seconds to wait for an import of another jurisdiction, which may be naming who is merged.
_LOCK_WAIT = 5.0
COMMITTEES = ("committee", "subcommittee")
# Tables of openstates.org that refer to people, where they exist: what core does with them.
_WEBSITE = {
    "people_admin_unmatchedname": """
        UPDATE people_admin_unmatchedname SET matched_person_id = %(new)s
        WHERE matched_person_id = %(old)s""",
    "people_admin_persondelta": ("DELETE FROM people_admin_persondelta WHERE person_id = %(old)s"),
    "people_admin_personretirement": (
        "DELETE FROM people_admin_personretirement WHERE person_id = %(old)s"
    ),
}


def merge_people(old_ids: Sequence[str], new_id: str) -> Mapping[str, Mapping[str, int]]:
    """Give all that refers to the old people to the new one, and delete them.

    Returns, by old id, how many references of each kind were moved. Core moves sponsorships and
    votes and empties the rest; here the rest moves too: participants, and people whom actions and
    agendas name. Memberships of committees move unless the new person has them; all others go,
    since the new person's file says what they are.

    Runs in the caller's transaction, which holds the locks of these people. Raises Busy when
    another jurisdiction of which one of them is a member stays locked.
    """
    if not old_ids:
        return {}
    # An import elsewhere has looked up who bears a name, and has not committed yet.
    elsewhere = Membership.objects.filter(
        person_id__in=old_ids, organization__jurisdiction_id__isnull=False
    ).values_list("organization__jurisdiction_id", flat=True)
    for jurisdiction_id in sorted(set(elsewhere), key=number):
        lock_jurisdiction(jurisdiction_id, _LOCK_WAIT)
    return {old_id: _merge(old_id, new_id) for old_id in old_ids}


def _merge(old_id: str, new_id: str) -> dict[str, int]:
    moved = {}
    for relation in Person._meta.related_objects:
        model, name = relation.related_model, relation.field.attname
        if relation.on_delete is SET_NULL and model is not Membership:
            rows = model._default_manager.filter(**{name: old_id})
            moved[str(model._meta.model_name)] = rows.update(**{name: new_id})
    theirs = Membership.objects.filter(person_id=old_id)
    committees = theirs.filter(organization__classification__in=COMMITTEES)
    new = committees.exclude(organization__memberships__person_id=new_id)
    moved["membership"] = new.update(person_id=new_id)
    theirs.delete()
    with connection.cursor() as cursor:
        for table, statement in _WEBSITE.items():
            cursor.execute("SELECT to_regclass(%s) IS NOT NULL", [table])
            if cursor.fetchone()[0]:
                cursor.execute(statement, {"old": old_id, "new": new_id})
    Person.objects.filter(id=old_id).delete()
    return {kind: count for kind, count in moved.items() if count}
