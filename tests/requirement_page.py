"""docs/requirements.md, made of the rows of tests/requirements.py."""

from __future__ import annotations

import ast
from fnmatch import fnmatch
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from tests.requirements import ROWS

if TYPE_CHECKING:
    from tests.requirements import Row

TESTS = Path(__file__).parent
PAGE = TESTS.parent / "docs" / "requirements.md"
HEAD = """\
# What is required, and what proves it

Made by `python -m tests.requirements` from `tests/requirements.py`; a test says when it is stale.
A name says the rule that its test proves. What isn't built yet is said in its row.

"""


@cache
def tests_of(path: str) -> tuple[str, ...]:
    """Give the names of the tests in a file below tests/, in order; none if there is no file."""
    file = TESTS / path
    if not file.is_file():
        return ()
    nodes = ast.walk(ast.parse(file.read_text(encoding="utf-8")))
    functions = (each for each in nodes if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef))
    return tuple(each.name for each in functions if each.name.startswith("test_"))


def found_by(proof: str) -> list[str]:
    """Give the tests that a proof names."""
    path, _, pattern = proof.partition("::")
    return [name for name in tests_of(path) if fnmatch(name, pattern or "*")]


def page() -> str:
    """Write the page."""
    return HEAD + "\n".join(_section(row) for row in ROWS)


def _section(row: Row) -> str:
    proved = [line for proof in row.proofs for line in _lines(proof)]
    missing = [f"- **not built yet**: {row.missing}"] if row.missing else []
    # A test that two patterns name is named once.
    return "\n".join([f"## {row.id} · {row.rule}", "", *dict.fromkeys(proved), *missing, ""])


def _lines(proof: str) -> list[str]:
    path, _, pattern = proof.partition("::")
    if not pattern:
        return [f"- `tests/{path}`, all of it"]
    return [f"- `tests/{path}` {_words(name)}" for name in found_by(proof)]


def _words(name: str) -> str:
    return name.removeprefix("test_").replace("_", " ")


def write_page() -> None:
    """Write docs/requirements.md."""
    PAGE.parent.mkdir(exist_ok=True)
    PAGE.write_text(page(), encoding="utf-8")
