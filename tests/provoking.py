"""The mark `provokes`: which findings of the doctor a test provokes, which the test has to prove.

A test with it fails unless a check found each of its codes while it ran. test_codes.py compares all
marks with all codes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

import pytest

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Sequence

    from _pytest.mark import ParameterSet

    from tasks.findings import Finding

Findings = TypeVar("Findings", bound="Sequence[Finding]")

_seen: set[str] = set()


def noted(findings: Findings) -> Findings:
    """Return them, after their codes were noted."""
    note(each.code for each in findings)
    return findings


def note(codes: Iterable[str]) -> set[str]:
    """Note what a check found, and return it."""
    found = {code for code in codes if code}
    _seen.update(found)
    return found


def case(code: str, *values: Any) -> ParameterSet:
    """A test's parameters by which it provokes the finding of this code."""
    return pytest.param(*values, marks=pytest.mark.provokes(code), id=code)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, object, object]:
    """Fail a test that has not provoked what its mark says."""
    _seen.clear()
    result = yield
    wanted = {code for mark in item.iter_markers("provokes") for code in mark.args}
    assert wanted <= _seen, f"not provoked: {sorted(wanted - _seen)}"
    return result
