"""Each requirement has its proof, and the page of them is current."""

from __future__ import annotations

import pytest

from tests.requirement_page import PAGE, found_by, page
from tests.requirements import ROWS, Row


def test_each_requirement_has_a_row_of_its_own() -> None:
    ids = [row.id for row in ROWS]
    assert len(set(ids)) == len(ids)
    for letter, number in {"B": 6, "C": 12, "D": 6, "G": 2, "I": 4, "H": 12}.items():
        assert {f"{letter}{n}" for n in range(1, number + 1)} <= set(ids)
    counters = ("followers", "gifts", "live", "viewers", "recent")
    assert {"E", "F", *(f"E {counter}" for counter in counters)} <= set(ids)


def test_each_item_of_the_platforms_list_has_the_test_of_its_number() -> None:
    for number in range(1, 13):
        assert len(found_by(f"db/test_platform_list.py::test_h{number}_*")) == 1


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.id)
def test_a_requirement_that_is_built_has_a_test(row: Row) -> None:
    assert row.proofs or row.missing
    assert all(found_by(proof) for proof in row.proofs), row.proofs


def test_the_page_of_requirements_is_current() -> None:
    assert PAGE.read_text() == page(), "python -m tests.requirements"
