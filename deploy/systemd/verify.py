"""Checks the systemd units where systemd's own tools are, and says how exposed they are."""

import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

FOLDER = Path(__file__).parent
INSTALLED_AT = "/srv/openstates-realtime"
# systemd's scale: 0 is a service that may do nothing, 10 one that may do everything.
TOLERATED = 1.5


def main() -> None:
    """Exits with status 1, having said why, when a unit is wrong or exposed more than that."""
    if shutil.which("systemd-analyze") is None:
        print("systemd-analyze is not here: the units are not checked")
        return
    with tempfile.TemporaryDirectory() as folder:
        # What it starts must exist, and does so only on the host.
        for unit in FOLDER.glob("openstates-realtime-*"):
            text = unit.read_text().replace(f"{INSTALLED_AT}/.venv/bin/python", sys.executable)
            (Path(folder) / unit.name).write_text(text)
        units = sorted(map(str, Path(folder).iterdir()))
        verified = _analyze("verify", *units)
        if verified.returncode or verified.stderr.strip():
            sys.exit(verified.stderr)
        for unit in sorted(Path(folder).glob("*.service")):
            said = _analyze("security", "--offline=true", "--no-pager", str(unit)).stdout
            found = re.search(r"exposure level for (\S+): ([\d.]+)", said)
            if found is None:
                print("this systemd-analyze cannot look at units offline: exposure not checked")
                return
            print(f"{found[1]}: exposure {found[2]}")
            if float(found[2]) > TOLERATED:
                sys.exit(f"{found[1]} is exposed more than {TOLERATED}")


def _analyze(*arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        ["systemd-analyze", *arguments], capture_output=True, text=True, check=False
    )


if __name__ == "__main__":
    main()
