"""Peak memory of imports, each in a process of its own.

After an import, a process already holds memory that the next one would need.
"""

import subprocess
import sys
from collections.abc import Mapping

from bench.programs import ROOT, environment


def peaks(
    who: str, database_url: str, jurisdiction_id: str, contents: Mapping[str, bytes]
) -> dict[str, float]:
    """Peak MiB of each import, made one after the other, above a process that has only read the
    objects."""
    found = {}
    variables = environment(DATABASE_URL=database_url)
    for name, content in contents.items():
        command = [sys.executable, "-m", "bench.memory_of_import", who, jurisdiction_id]
        result = subprocess.run(
            command, input=content, env=variables, cwd=ROOT, capture_output=True, check=False
        )
        if result.returncode:
            raise RuntimeError(f"{command!r} failed: {result.stderr[-2000:]!r}")
        found[name] = float(result.stdout)
    return found
