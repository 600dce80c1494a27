"""The command of each process: from the Procfile, or from PROCESSES if there is none."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import workers
from workers.processes import PROCESSES

# It lies beside the packages in a checkout. An installed package has no Procfile.
PROCFILE = Path(workers.__file__).parent.parent / "Procfile"
_LINE = re.compile(r"^([A-Za-z0-9_-]+):\s*(\S.*)$", re.MULTILINE)


def read_procfile(path: Path = PROCFILE) -> dict[str, list[str]]:
    """Return each process's command as a list of words, in the order of the file."""
    if not path.is_file():
        return {name: ["python", "-m", process.module] for name, process in PROCESSES.items()}
    return {name: shlex.split(command) for name, command in _LINE.findall(path.read_text())}
