"""Core's own batch import of a folder: `python -m bench.batch_import FOLDER JURISDICTION_ID`.

It does what core's `os-update --import` does: reads the files, imports them in one transaction, and
takes core's `postimport` steps. A process of its own, whose cost compares with that of our
commands; without `os-update` itself, which takes half a second to load.
"""

import logging
import os
import sys


def main(folder: str, jurisdiction_id: str) -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "settings")
    import django

    django.setup()
    from django.db import transaction
    from openstates import importers

    # As our commands are measured: core logs each object that it cannot resolve.
    logging.disable(logging.CRITICAL)
    jurisdiction = importers.JurisdictionImporter(jurisdiction_id)
    bills = importers.BillImporter(jurisdiction_id)
    votes = importers.VoteEventImporter(jurisdiction_id, bills)
    events = importers.EventImporter(jurisdiction_id, votes)
    with transaction.atomic():
        for importer in (jurisdiction, bills, votes, events):
            importer.import_directory(folder, allow_duplicates=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
