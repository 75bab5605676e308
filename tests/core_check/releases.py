"""Core's releases: their sources, fetched aside, and which of them the importers know."""

import re
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from email.parser import HeaderParser
from pathlib import Path

from packaging.version import Version

from realtime.importers.bulk.known_cores import KNOWN, digest_of
from tests.support import ROOT

FETCHED = ROOT / "build" / "cores"


@dataclass(frozen=True)
class Release:
    """One release of core, with its wheel and the sources in it."""

    version: str
    wheel: Path
    sources: Path

    @property
    def digest(self) -> str:
        return digest_of(self.sources / "openstates" / "importers")

    @property
    def requires_python(self) -> str:
        """What its metadata says of Python, such as `>=3.13,<4.0`."""
        (metadata,) = self.sources.glob("openstates-*.dist-info/METADATA")
        return HeaderParser().parsestr(metadata.read_text())["Requires-Python"] or ""


def fetch(version: str) -> Release:
    """Download a release and unpack it, unless that was done before.

    Raises ValueError when there is no such release.
    """
    # It becomes a part of paths.
    folder = FETCHED / str(Version(version))
    if not list(folder.glob("*.whl")):
        result = subprocess.run(
            [
                *(
                    sys.executable,
                    "-m",
                    "pip",
                    "download",
                    "--quiet",
                    "--disable-pip-version-check",
                ),
                # Its Python may be another than ours.
                *("--no-deps", "--only-binary", ":all:", "--ignore-requires-python"),
                *("--dest", folder, f"openstates=={version}"),
            ],
            capture_output=True,
            text=True,
        )
        if result.returncode:
            reason = (result.stderr.strip().splitlines() or ["pip does not say why"])[-1]
            raise ValueError(f"openstates {version} cannot be fetched: {reason}")
    (wheel,) = folder.glob("*.whl")
    sources = folder / "sources"
    if not sources.is_dir():
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(sources)
    return Release(version, wheel, sources)


def newest_known() -> str:
    """The newest release that the set-based importers know."""
    versions: list[str] = re.findall(r"[\d.]+", " ".join(KNOWN.values()))
    return max(versions, key=Version)


def line_to_add(release: Release) -> str:
    """The line of `KNOWN` that admits a release; empty when one does already."""
    versions = set(filter(None, KNOWN.get(release.digest, "").split(", ")))
    if release.version in versions:
        return ""
    label = ", ".join(sorted(versions | {release.version}, key=Version))
    return f'    "{release.digest}": "{label}",'
