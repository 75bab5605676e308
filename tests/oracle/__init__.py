"""Core's own batch import, as the truth that imports in pieces are compared with.

`python -m tests.oracle FOLDER …` compares the two ways in on any scrape. Nothing that makes the
truth uses the code under test.
"""

import os

import django

# As a program this comes before anything has set Django up, which core's models need.
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "settings")
django.setup()

from tests.oracle.files import Refused, Run, ScrapedFile, contents, read  # noqa: E402
from tests.oracle.runs import import_runs  # noqa: E402
from tests.oracle.truth import import_files, import_scrape, import_scrapes  # noqa: E402

__all__ = [
    "Refused",
    "Run",
    "ScrapedFile",
    "contents",
    "import_files",
    "import_runs",
    "import_scrape",
    "import_scrapes",
    "read",
]
