"""Which modules of the product contain a name as a string: a test may demand that it is one."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import re
    from collections.abc import Iterator

ROOT = Path(__file__).parents[1]
PACKAGES = ("workers", "schedules", "tasks", "db")


def modules_that_spell(name: re.Pattern[str]) -> set[str]:
    """Return the product modules with a string that contains the name; docstrings don't count."""
    return {
        str(path.relative_to(ROOT))
        for package in PACKAGES
        for path in (ROOT / package).rglob("*.py")
        if any(name.search(text) for text in _strings(ast.parse(path.read_text())))
    }


def _strings(tree: ast.Module) -> Iterator[str]:
    statements = {node.value for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        is_text = isinstance(node, ast.Constant) and isinstance(node.value, str)
        if is_text and node not in statements:
            yield node.value
