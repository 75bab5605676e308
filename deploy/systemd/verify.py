"""Checks the systemd units and their exposure, where systemd-analyze is installed."""

import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

FOLDER = Path(__file__).parent
INSTALLED_AT = "/srv/openstates-realtime"
# On systemd's scale from 0 (safe) to 10 (unrestricted).
MAX_EXPOSURE = 1.5


def main() -> None:
    """Exit with status 1 and a message when a unit is wrong or more exposed than MAX_EXPOSURE."""
    if shutil.which("systemd-analyze") is None:
        print("systemd-analyze is not installed: the units are not checked")
        return
    with tempfile.TemporaryDirectory() as folder:
        # systemd-analyze requires the program of a unit to exist here.
        for unit in FOLDER.glob("openstates-realtime-*"):
            text = unit.read_text().replace(f"{INSTALLED_AT}/.venv/bin/python", sys.executable)
            text = text.replace(f"{INSTALLED_AT}/deploy/systemd", str(FOLDER.resolve()))
            (Path(folder) / unit.name).write_text(text)
        units = sorted(map(str, Path(folder).iterdir()))
        verified = _analyze("verify", *units)
        if verified.returncode or verified.stderr.strip():
            sys.exit(verified.stderr)
        for unit in sorted(Path(folder).glob("*.service")):
            output = _analyze("security", "--offline=true", "--no-pager", str(unit)).stdout
            found = re.search(r"exposure level for (\S+): ([\d.]+)", output)
            if found is None:
                print("this systemd-analyze cannot check units offline: exposure not checked")
                return
            print(f"{found[1]}: exposure {found[2]}")
            if float(found[2]) > MAX_EXPOSURE:
                sys.exit(f"{found[1]} exceeds the exposure of {MAX_EXPOSURE}")


def _analyze(*arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        ["systemd-analyze", *arguments], capture_output=True, text=True, check=False
    )


if __name__ == "__main__":
    main()
