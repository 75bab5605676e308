"""Core's own batch import of a folder: `python -m bench.batch_import FOLDER JURISDICTION_ID`.

The function that `os-update --import` calls: it reads the files, imports them in one transaction
and does core's `postimport` steps. A process of its own, whose cost compares with that of our
commands.
"""

import argparse
import logging
import os
import sys
from pathlib import Path
from types import SimpleNamespace


def main(folder: str, jurisdiction_id: str) -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "settings")
    import django

    django.setup()
    from openstates import settings
    from openstates.cli.update import do_import

    # As our commands are measured: core logs each object that it cannot resolve.
    logging.disable(logging.CRITICAL)
    path = Path(folder).resolve()
    settings.SCRAPED_DATA_DIR = str(path.parent)
    arguments = argparse.Namespace(module=path.name, allow_duplicates=True)
    do_import(SimpleNamespace(jurisdiction_id=jurisdiction_id), arguments)


if __name__ == "__main__":
    main(*sys.argv[1:])
