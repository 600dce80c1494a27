"""Standard output and error that accept any text, whatever their encoding.

Otherwise a ✓ in ASCII would end a command in a traceback, or a log line in one.
"""

from __future__ import annotations

import codecs
import io
import os
import sys
import unicodedata
from pathlib import Path
from typing import IO

# The replacement for a character that the encoding lacks.
_PLAIN = {"✓": "ok", "✗": "!!", "→": "->", "\N{MULTIPLICATION SIGN}": "x", "…": "...", "·": "-"}
_PLAIN |= {"\N{EN DASH}": "-", "—": "-", "•": "*", "≥": ">=", "≤": "<=", "≠": "!=", "µ": "u"}
_PLAIN |= {"━": "-", "╸": "-", "╺": "-"}
_ERRORS = "coinfleet_plain"


def prepare_streams() -> None:
    """Make standard output and error accept any text; discard what is written to a closed one."""
    # A closed one is None, and the next file or connection would get its number.
    sys.stdout = sys.stdout or _nowhere()
    sys.stderr = sys.stderr or _nowhere()
    codecs.register_error(_ERRORS, _plain)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=_ERRORS)


def _nowhere() -> IO[str]:
    return Path(os.devnull).open("w", encoding="utf-8")


def _plain(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    text = error.object[error.start : error.end]
    return "".join(_plain_character(each) for each in text), error.end


def _plain_character(character: str) -> str:
    if character in _PLAIN:
        return _PLAIN[character]
    name = unicodedata.name(character, "")
    if name.startswith("BOX DRAWINGS"):
        is_line = "HORIZONTAL" in name and "VERTICAL" not in name
        is_bar = "VERTICAL" in name and "HORIZONTAL" not in name
        return (
            "-" if is_line and "AND" not in name else "|" if is_bar and "AND" not in name else "+"
        )
    decomposed = unicodedata.normalize("NFKD", character).encode("ascii", "ignore").decode()
    return decomposed or "?"
