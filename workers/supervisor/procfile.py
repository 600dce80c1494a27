"""Reads the Procfile, the one list of processes."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import workers

# Next to the packages: where the repository, or whoever unpacked it, has it.
PROCFILE = Path(workers.__file__).parent.parent / "Procfile"
_LINE = re.compile(r"^([A-Za-z0-9_-]+):\s*(\S.*)$", re.MULTILINE)


def read_procfile(path: Path = PROCFILE) -> dict[str, list[str]]:
    """Each process's command as a list of words, in the order of the file."""
    return {name: shlex.split(command) for name, command in _LINE.findall(path.read_text())}
