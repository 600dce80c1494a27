"""The pages of docs/: each link has a target, and what docs/architecture.md names exists."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from db.release.schema import FOLDER, Kind, expected
from tasks.providers.stripe.interpret import READERS

if TYPE_CHECKING:
    from pathlib import Path

ROOT = FOLDER.parent
ARCHITECTURE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
PAGES = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").glob("*.md"))]


def test_each_invariant_has_a_row() -> None:
    rows = re.findall(r"^\| `(\w+)` \|", ARCHITECTURE, flags=re.MULTILINE)
    assert sorted(rows) == sorted(file.name for file in expected() if file.kind is Kind.INVARIANT)


def test_each_function_that_it_names_exists() -> None:
    functions = {file.name for file in expected() if file.kind is Kind.FUNCTION}
    named = set(re.findall(r"`(fleet\.\w+)`", ARCHITECTURE))
    assert named
    assert named <= functions


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_each_file_that_a_page_names_exists(page: Path) -> None:
    pattern = r"`((?:workers|tasks|schedules|db|tests)/[\w/.]+?(?:\.(?:py|sql|md)|/))`"
    named = set(re.findall(pattern, page.read_text(encoding="utf-8")))
    assert [path for path in named if not (ROOT / path).exists()] == []


def test_each_event_of_stripe_that_is_read_stands_where_a_fleet_is_set_up() -> None:
    page = (ROOT / "docs" / "providers.md").read_text(encoding="utf-8")
    assert [kind for kind in READERS if f"`{kind}`" not in page] == []


def anchors(page: Path) -> set[str]:
    """The anchors of a page: its headings, written as code hosts write them after #."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return {re.sub(r"[^\w -]", "", each.lower()).replace(" ", "-") for each in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_each_link_of_a_page_leads_somewhere(page: Path) -> None:
    links = re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8"))
    for link in links:
        path, _, anchor = link.partition("#")
        if ":" in path:
            continue
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link
