"""Each finding that the doctor can give has a code, a test that provokes it, and a line in docs."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from tests.provoking import note, pytest_runtest_call

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[4]
# Where findings are made, and the faults of `coinfleet status` that `decisions` shows.
SOURCES = (
    ROOT / "tasks/findings.py",
    *sorted(ROOT.glob("tasks/providers/**/*.py")),
    *sorted(ROOT.glob("workers/cli/doctor/*.py")),
    *sorted(ROOT.glob("workers/cli/status/*.py")),
)
TESTS = (
    *ROOT.glob("tests/tasks/providers/*/test_*.py"),
    *ROOT.glob("tests/workers/cli/doctor/test_*.py"),
)
MAKERS = {"attention", "broken", "judge", "Fault", "Trouble"}
WORDS = re.compile(r"findings|Fault|provok")
# What only `status` says; the check `schema` says more of it.
OF_STATUS_ALONE = {"schema_damaged"}
DOCS = ROOT / "docs/doctor.md"


def calls(path: Path) -> Iterator[ast.Call]:
    """All calls in a file that speaks of findings."""
    content = path.read_text(encoding="utf-8")
    if not WORDS.search(content):
        return
    for node in ast.walk(ast.parse(content)):
        if isinstance(node, ast.Call):
            yield node


def text(node: ast.expr) -> str | None:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None


@cache
def known_codes() -> set[str]:
    """The codes of all findings. One that is no literal is handed on from where it is one."""
    found = set()
    for path in SOURCES:
        for call in calls(path):
            handed_on = [text(each.value) for each in call.keywords if each.arg == "code"]
            if isinstance(call.func, ast.Name) and call.func.id in MAKERS:
                handed_on.append(text(call.args[0]))
                if handed_on == [None]:
                    assert ast.unparse(call.args[0]).endswith("code"), ast.unparse(call)
            found |= {code for code in handed_on if code is not None}
    return found - OF_STATUS_ALONE


def provoked_codes() -> set[str]:
    """The codes that marks of tests name."""
    found = set()
    for path in TESTS:
        for call in calls(path):
            match call.func:
                case ast.Attribute(attr="provokes"):
                    found |= {text(each) for each in call.args}
                case ast.Name(id="case"):
                    found.add(text(call.args[0]))
    return {code for code in found if code is not None}


def test_each_finding_has_been_provoked() -> None:
    assert provoked_codes() == known_codes()


def test_codes_are_words_that_a_program_can_compare() -> None:
    assert {each for each in known_codes() if not re.fullmatch(r"[a-z]+(_[a-z]+)*", each)} == set()


def test_the_docs_say_what_each_code_means() -> None:
    documented = re.findall(r"^\| `([a-z_]+)` \|", DOCS.read_text(encoding="utf-8"), re.MULTILINE)
    assert len(documented) == len(set(documented))
    assert set(documented) == known_codes()


def test_a_mark_that_a_test_does_not_prove_fails_it() -> None:
    mark = SimpleNamespace(args=("no_web",))
    item: Any = SimpleNamespace(iter_markers=lambda _: [mark])
    proved, not_proved = pytest_runtest_call(item), pytest_runtest_call(item)
    next(proved)
    note(["no_web"])
    with pytest.raises(StopIteration):
        proved.send(None)
    next(not_proved)
    with pytest.raises(AssertionError, match="no_web"):
        not_proved.send(None)
