"""The names in the schema public that this release claims, read from its SQL files."""

from __future__ import annotations

import re
from functools import cache

from db.release.schema import expected

_RELATION = re.compile(r"^create (?:table|view|sequence|type) public\.(\w+)", re.MULTILINE)
_FUNCTION = re.compile(r"^create (?:or replace )?function public\.(\w+)", re.MULTILINE)


@cache
def current_names() -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the names of relations and types, then those of functions; each list in order."""
    texts = [file.text for file in expected()]
    relations = {name for text in texts for name in _RELATION.findall(text)}
    functions = {name for text in texts for name in _FUNCTION.findall(text)}
    return tuple(sorted(relations)), tuple(sorted(functions))
