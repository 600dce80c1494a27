"""Each requirement has its proof, and the page of them is up to date."""

from __future__ import annotations

from tests.requirements import PAGE, REQUIREMENTS, page, proofs

IDS = [row.id for row in REQUIREMENTS]


def proved() -> set[str]:
    """Read all test files: done in a test, for each process of a run imports this module."""
    return {proof.requirement_id for proof in proofs()}


def test_no_requirement_is_forgotten_or_listed_twice() -> None:
    numbered = {"B": 6, "C": 12, "D": 6, "G": 2, "H": 12, "I": 4}
    counters = ("followers", "gifts", "live", "viewers", "recent")
    expected = {f"{letter}{no + 1}" for letter, last in numbered.items() for no in range(last)}
    assert sorted(IDS) == sorted(expected | {"E", "F", *(f"E {each}" for each in counters)})


def test_a_requirement_that_is_built_has_a_test() -> None:
    assert {row.id for row in REQUIREMENTS if not row.missing} <= proved()


def test_a_marked_test_names_a_requirement_that_exists() -> None:
    assert set(IDS) >= proved()


def test_each_item_of_the_platforms_list_has_the_test_of_its_number() -> None:
    in_list = [(p.requirement_id, p.name) for p in proofs() if p.path.endswith("platform_list.py")]
    assert [id_ for id_, _ in in_list] == [f"H{number}" for number in range(1, 13)]
    assert all(name and name.startswith(f"test_{id_.lower()}_") for id_, name in in_list)


def test_the_page_of_requirements_is_up_to_date() -> None:
    assert PAGE.read_text() == page(), "run: python -m tests.requirements"
