"""Whether the console's static files of others are those that their makers published.

    python -m tests.assets              by the hashes in vendor.json; asks nobody
    python -m tests.assets --registry   by the packages themselves, which npm fetches

Prints what differs and exits 1 then; exits 0 and says why if npm is not there.
"""

from __future__ import annotations

import base64
import hashlib
import json
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parents[1] / "workers/console/static"
# What is ours, beside the list itself.
OURS = {"vendor.json", "console.css", "console.js", "favicon.svg", "LICENCES.txt"}


def read_vendor() -> list[dict[str, Any]]:
    """The packages that files come from."""
    found: list[dict[str, Any]] = json.loads((FOLDER / "vendor.json").read_text())
    return found


def digest(algorithm: str, content: bytes) -> str:
    """A hash as npm writes it."""
    value = base64.b64encode(hashlib.new(algorithm, content).digest()).decode()
    return f"{algorithm}-{value}"


def find_faults() -> list[str]:
    """What is not as the list says; empty if all is."""
    listed = {name: file for package in read_vendor() for name, file in package["files"].items()}
    there = {path.name for path in FOLDER.iterdir()} - OURS
    faults = [f"{name}: not in vendor.json" for name in sorted(there - listed.keys())]
    for name, file in listed.items():
        path = FOLDER / name
        if not path.is_file():
            faults.append(f"{name}: missing")
        elif digest("sha256", path.read_bytes()) != file["hash"]:
            faults.append(f"{name}: changed since vendor.json was written")
    return faults


def find_differences(package: dict[str, Any], folder: Path) -> list[str]:
    """What differs from the package that the registry has."""
    name = f"{package['name']}@{package['version']}"
    packed = subprocess.run(
        ["npm", "pack", "--silent", name], cwd=folder, capture_output=True, text=True, check=True
    )
    archive = folder / packed.stdout.strip()
    if digest("sha512", archive.read_bytes()) != package["integrity"]:
        return [f"{name}: the registry's package has another integrity"]
    faults = []
    with tarfile.open(archive) as files:
        for ours, file in package["files"].items():
            published = files.extractfile(f"package/{file['from']}")
            if published is None or published.read() != (FOLDER / ours).read_bytes():
                faults.append(f"{ours}: not {file['from']} of {name}")
    return faults


def main() -> int:
    """Compare, and say what differs."""
    faults = find_faults()
    if "--registry" in sys.argv[1:]:
        if shutil.which("npm") is None:
            print("skipped: npm is not installed")  # noqa: T201 - a command
            return 0
        with tempfile.TemporaryDirectory() as folder:
            for package in read_vendor():
                faults += find_differences(package, Path(folder))
    for fault in faults:
        print(f"workers/console/static: {fault}")  # noqa: T201 - a command
    return bool(faults)


if __name__ == "__main__":
    sys.exit(main())
