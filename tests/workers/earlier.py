"""The code of an earlier release, for tests that run it."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.workers.processes import ROOT

if TYPE_CHECKING:
    from pathlib import Path

BEFORE = "7b6f16a7f36ac34ee350a0dd9c6e88d52d54c41b"


def unpack(folder: Path) -> Path:
    """Return the folder with the code of the version before; skip where git does not have it."""
    archive = subprocess.run(
        ["git", "-C", ROOT, "archive", BEFORE], capture_output=True, check=False
    )
    if archive.returncode != 0:
        pytest.skip("a clone without history: git fetch --unshallow")
    folder.mkdir()
    subprocess.run(["tar", "-x", "-C", folder], input=archive.stdout, check=True)
    return folder
