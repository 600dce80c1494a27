"""`coinfleet …` as an operator types it."""

from __future__ import annotations

import os
import subprocess
import sys

from tests.workers.processes import ROOT


def coinfleet(
    *words: str, stdout: int = subprocess.PIPE, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run it with these variables as its environment; return its exit code and output."""
    return subprocess.run(
        [sys.executable, "-c", "from workers.cli import main; main()", *words],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], "COINFLEET_DATA_DIR": "/nonexistent"} | environment,
        stdout=stdout,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
