"""The crontab's commands, run as a user who may write nowhere in the clone."""

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.support import ROOT

# Says what it is told to do, and fails unless it gets a line.
MANAGE = '#!/bin/sh\necho "$* begins"\nread -r line\n'


@dataclass
class Crontab:
    """Its commands, by name. What one writes to the journal is its standard output."""

    folder: Path
    commands: dict[str, str]
    running: list["subprocess.Popen[str]"] = field(default_factory=list)

    def start(self, name: str) -> "subprocess.Popen[str]":
        process = subprocess.Popen(
            ["/bin/sh", "-c", self.commands[name]],
            env={
                "PATH": f"{self.folder}/bin:/usr/bin:/bin",
                "SETTINGS": f"{self.folder}/settings.env",
            },
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            user="nobody" if os.geteuid() == 0 else None,
        )
        self.running.append(process)
        return process

    @property
    def told(self) -> str:
        """What was passed to the command that tells people."""
        return (self.folder / "told").read_text()


@pytest.fixture
def crontab() -> Iterator[Crontab]:
    folder = Path(tempfile.mkdtemp())
    clone = folder / "clone"
    shutil.copytree(ROOT / "deploy", clone / "deploy")
    (clone / "deploy/manage.sh").write_text(MANAGE)
    logger = folder / "bin/logger"
    logger.parent.mkdir()
    logger.write_text("#!/bin/sh\nexec cat\n")
    logger.chmod(0o755)
    told = folder / "told"
    told.touch()
    (folder / "settings.env").write_text(f"ALARM_COMMAND=cat >> {told}\n")
    for path in (clone, *clone.rglob("*")):
        path.chmod(path.stat().st_mode & 0o555)
    folder.chmod(0o755)
    told.chmod(0o666)
    text = (clone / "deploy/cron/openstates-realtime").read_text()
    lines = text.replace("/srv/openstates-realtime", str(clone)).splitlines()
    found = re.findall(r"^[*0-9].* openstates (\S+ (\S+) .*)$", "\n".join(lines), re.MULTILINE)
    started = Crontab(folder, {name: command for command, name in found})
    yield started
    for process in started.running:
        process.communicate()
    for path in (clone, *clone.rglob("*")):
        path.chmod(0o755)
    shutil.rmtree(folder)


def test_crontab__command_still_runs__not_started_again_beside_others(crontab: Crontab) -> None:
    first = crontab.start("import")
    assert first.stdout is not None
    assert first.stdout.readline() == "import_realtime --until-empty --time-limit 900 begins\n"

    again, other = crontab.start("import"), crontab.start("sweep")
    assert again.communicate("go on\n")[0] == ""
    assert other.communicate("go on\n")[0].startswith("import_realtime --sweep")
    first.communicate("go on\n")

    after = crontab.start("import")
    assert after.communicate("go on\n")[0].startswith("import_realtime ")
    assert [process.returncode for process in crontab.running] == [0, 0, 0, 0]
    assert crontab.told == ""


def test_crontab__command_fails__tells_which_and_the_end_of_its_log(crontab: Crontab) -> None:
    assert len(crontab.commands) == 6
    for name in crontab.commands:
        said, _ = crontab.start(name).communicate()
        told = crontab.told.splitlines()[-2:]
        assert told[0].startswith(f"openstates-realtime-{name} failed on ")
        assert told[1] == said.rstrip("\n")


def test_crontab__no_temporary_folder__told_in_place_of_silence(crontab: Crontab) -> None:
    mktemp = crontab.folder / "bin/mktemp"
    mktemp.write_text("#!/bin/sh\nexit 1\n")
    mktemp.chmod(0o755)
    failed = crontab.start("import")
    assert failed.communicate()[0] == ""
    assert failed.returncode == 1
    assert "is the disk full?" in crontab.told
