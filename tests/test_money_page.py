"""Each rule of docs/money.md names tests that prove it, and each of them exists."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
PAGE = (TESTS.parent / "docs" / "money.md").read_text(encoding="utf-8")
# A rule is a list item: it goes on up to the next item, an empty line or the end.
RULES = re.findall(r"^- .+?(?=^- |^$|\Z)", PAGE, flags=re.MULTILINE | re.DOTALL)
NAMED = re.compile(r"`(test_\w+)`")
DEFINED = {
    name
    for file in TESTS.rglob("test_*.py")
    for name in re.findall(r"^(?:async )?def (test_\w+)\(", file.read_text("utf-8"), re.MULTILINE)
}


def test_the_page_has_rules() -> None:
    assert len(RULES) > 90
    assert all(len(rule.split("`test_")[0]) > 20 for rule in RULES)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule[2:40].partition("\n")[0])
def test_a_rule_of_money_names_tests_that_exist(rule: str) -> None:
    named = NAMED.findall(rule)
    assert named, "name the test that proves this rule, or write it"
    assert set(named) <= DEFINED, "a test was renamed or removed: name the one that proves this now"
