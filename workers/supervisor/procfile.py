"""Reads the Procfile, the one list of processes."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import workers
from workers.embedded import EmbeddedServerError

# Next to the packages in a checkout; a wheel has a copy of it inside (pyproject.toml).
_PACKAGE = Path(workers.__file__).parent
PLACES = (_PACKAGE.parent / "Procfile", _PACKAGE / "Procfile")
_LINE = re.compile(r"^([A-Za-z0-9_-]+):\s*(\S.*)$", re.MULTILINE)


class NoProcfile(EmbeddedServerError):
    """The installation lacks its Procfile."""


def read_procfile(*places: Path) -> dict[str, list[str]]:
    """Return each process's command as a list of words, in the order of the file.

    The first of these places that holds a Procfile counts; by default, those of an installation.

    Raises NoProcfile.
    """
    known = places or PLACES
    found = next((path for path in known if path.is_file()), None)
    if found is None:
        raise NoProcfile(f"no Procfile lies in {known[-1].parent}: install coinfleet again")
    return {name: shlex.split(command) for name, command in _LINE.findall(found.read_text())}
