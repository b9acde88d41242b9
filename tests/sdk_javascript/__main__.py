"""Runs the official SDK for JavaScript against our task hub: ``python -m tests.sdk_javascript``.

The SDK is installed into a temporary folder. Where that cannot be done here, one line says why and
the tests count as skipped.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.contract.sdk_python.served import ServedHubs

HERE = Path(__file__).parent
INSTALL = "npm install --no-package-lock --no-audit --no-fund --ignore-scripts --loglevel=error"
#: What npm says when the registry is out of reach, and not when a version does not exist.
UNREACHABLE = re.compile(
    r"EAI_AGAIN|ECONNREFUSED|ECONNRESET|EHOSTUNREACH|ENETUNREACH|ENOTFOUND|ETIMEDOUT|E40[13]|E5\d\d"
    r"|network"
)


def main() -> int:
    """Install and run; the exit code of the tests, 0 where they are skipped."""
    missing = [name for name in ("node", "npm") if shutil.which(name) is None]
    if missing:
        return skip(f"there is no {' and no '.join(missing)} on the path")
    with tempfile.TemporaryDirectory(prefix="sdk-javascript-") as name:
        folder = Path(name)
        for path in (HERE / "package.json", *HERE.glob("*.mjs")):
            shutil.copy(path, folder)
        installed = subprocess.run(
            [*INSTALL.split(), "--fetch-retries=1", "--fetch-timeout=20000"],
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=180,
            check=False,
        )
        if installed.returncode:
            if UNREACHABLE.search(installed.stderr):
                return skip("npm cannot reach its registry")
            sys.stderr.write(installed.stderr)
            return installed.returncode
        return run(folder)


def run(folder: Path) -> int:
    """The tests against a hub of this process."""
    served = ServedHubs(folder / "hub.db")
    try:
        tests = sorted(path.name for path in folder.glob("*.test.mjs"))
        done = subprocess.run(
            ["node", "--test", *tests],
            cwd=folder,
            env={**os.environ, "HUB_ADDRESS": served.address},
            timeout=180,
            check=False,
        )
    finally:
        served.close()
    for error in served.fatal:
        sys.stderr.write(f"The hub ended: {error!r}\n")
    return done.returncode or bool(served.fatal)


def skip(reason: str) -> int:
    """Say why nothing is run."""
    sys.stdout.write(f"SKIPPED: the official SDK for JavaScript, as {reason}.\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
