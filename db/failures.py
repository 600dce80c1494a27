"""What a failed attempt is told as: by its SQLSTATE or class, and without the values it quotes."""

from __future__ import annotations

import re

_SQLSTATE = re.compile(r"^([0-9A-Z]{5}): (.*)$", re.DOTALL)
_CLASS = re.compile(r"^([A-Za-z_][A-Za-z0-9_.]*)(?:: (.*))?$", re.DOTALL)
# In these classes of SQLSTATE what is quoted is a value; elsewhere it is the name of something.
_QUOTES_VALUES = ("22", "P0")
_QUOTED = re.compile(r"\"[^\"]*\"|'[^']*'")
# Ids, numbers and addresses of people, wherever they stand.
_VALUE = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}|\S*\d{4,}\S*|\S+@\S+")
UNKNOWN = "unknown"
MESSAGE_LENGTH = 300


def kind_of(error: str) -> str:
    """Return the SQLSTATE, or the class of an error of Python, that a stored error begins with."""
    found = _SQLSTATE.match(error) or _CLASS.match(error)
    return found[1] if found else UNKNOWN


def without_values(error: str) -> str:
    """Return a stored error's message in one line, with … for each value that it may quote."""
    line = error.partition("\n")[0]
    if found := _SQLSTATE.match(line):
        message = found[2]
        if found[1].startswith(_QUOTES_VALUES):
            message = _QUOTED.sub("…", message)
    else:
        named = _CLASS.match(line)
        message = _QUOTED.sub("…", (named[2] or "") if named else line)
    return _VALUE.sub("…", message)[:MESSAGE_LENGTH]
