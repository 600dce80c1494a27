"""How a stored error is shown: by its SQLSTATE or class, and without the values that it quotes.

Metrics and logs read it here. It decides nothing about the event.
"""

from __future__ import annotations

import re

_SQLSTATE = re.compile(r"^([0-9A-Z]{5}): (.*)$", re.DOTALL)
_CLASS = re.compile(r"^([A-Za-z_][A-Za-z0-9_.]*)(?:: (.*))?$", re.DOTALL)
# Messages of these classes of SQLSTATE quote values. Those of the others quote names of objects.
_QUOTES_VALUES = ("22", "P0")
_QUOTED = re.compile(r"\"[^\"]*\"|'[^']*'")
# Ids, numbers and addresses of people, wherever they stand.
_VALUE = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}|\S*\d{4,}\S*|\S+@\S+")
UNKNOWN = "unknown"
MESSAGE_LENGTH = 300


def kind_of(error: str) -> str:
    """Return the SQLSTATE, or the name of the Python class, that a stored error begins with."""
    found = _SQLSTATE.match(error) or _CLASS.match(error)
    return found[1] if found else UNKNOWN


def without_values(error: str) -> str:
    """Return the first line of an error's message, with … for each value that it may quote."""
    line = error.partition("\n")[0]
    if found := _SQLSTATE.match(line):
        message = found[2]
        if found[1].startswith(_QUOTES_VALUES):
            message = _QUOTED.sub("…", message)
    else:
        named = _CLASS.match(line)
        message = _QUOTED.sub("…", (named[2] or "") if named else line)
    return _VALUE.sub("…", message)[:MESSAGE_LENGTH]
