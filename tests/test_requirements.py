"""Each requirement has its proof, and the page of them is current."""

from __future__ import annotations

import pytest

from tests.requirements import PAGE, ROWS, Row, found_by, page


def test_each_requirement_has_a_row_of_its_own() -> None:
    ids = [row.id for row in ROWS]
    assert len(set(ids)) == len(ids)
    for letter, number in {"B": 6, "C": 12, "D": 6, "G": 2, "I": 4, "H": 12}.items():
        assert {f"{letter}{n}" for n in range(1, number + 1)} <= set(ids)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.id)
def test_a_requirement_that_is_built_has_a_test(row: Row) -> None:
    assert row.proofs or row.missing
    assert all(found_by(proof) for proof in row.proofs), row.proofs


def test_the_page_of_requirements_is_current() -> None:
    assert PAGE.read_text() == page(), "python -m tests.requirements"
