"""The oracle: core's batch import, with which imports in pieces are compared.

`python -m tests.oracle FOLDER …` compares the two on any scrape. The oracle does not use the code
under test.
"""

import os

import django

# Core's models need Django, which nothing has set up when this runs as a program.
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "settings")
django.setup()

from tests.oracle.files import Refused, Run, ScrapedFile, contents, read, ticks  # noqa: E402
from tests.oracle.runs import import_in_turn, import_runs  # noqa: E402
from tests.oracle.truth import import_files, import_plain, import_scrape, import_scrapes  # noqa: E402

__all__ = [
    "Refused",
    "Run",
    "ScrapedFile",
    "contents",
    "import_files",
    "import_in_turn",
    "import_plain",
    "import_runs",
    "import_scrape",
    "import_scrapes",
    "read",
    "ticks",
]
