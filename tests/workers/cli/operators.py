"""`coinfleet …` as an operator types it."""

from __future__ import annotations

import os
import subprocess
import sys

from tests.workers.processes import ROOT


def coinfleet(
    *words: str, stdout: int = subprocess.PIPE, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run it to its end in an environment of these variables; gives what is seen of it."""
    return subprocess.run(
        [sys.executable, "-c", "from workers.cli import main; main()", *words],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], "COINFLEET_DATA_DIR": "/nonexistent"} | environment,
        stdout=stdout,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
