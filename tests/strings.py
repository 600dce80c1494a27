"""Which modules of the product contain a name as a string: a test may demand that it is one."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import re

ROOT = Path(__file__).parents[1]
PACKAGES = ("workers", "schedules", "tasks", "db")


def modules_that_spell(name: re.Pattern[str]) -> set[str]:
    """Return the product modules with a string that contains the name; docstrings don't count."""
    return {
        str(path.relative_to(ROOT))
        for package in PACKAGES
        for path in (ROOT / package).rglob("*.py")
        if any(name.search(text) for text in _strings(path))
    }


# Each of many tests asks for them.
@cache
def _strings(path: Path) -> tuple[str, ...]:
    nodes = list(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))
    statements = {node.value for node in nodes if isinstance(node, ast.Expr)}
    return tuple(
        node.value
        for node in nodes
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node not in statements
    )
