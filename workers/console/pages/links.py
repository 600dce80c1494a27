"""The links of a list: to its newest rows and to older ones, with the filter that is in force."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

if TYPE_CHECKING:
    from collections.abc import Mapping

    from db.console.paging import Page


def links_of(page: Page[Any], given: Mapping[str, str], *, before: int | None) -> dict[str, Any]:
    """Return what `_paging.html` shows of a page that begins at `before`."""
    return {
        "page": page,
        "is_first": before is None,
        "first": urlencode(given),
        "following": urlencode({**given, "before": page.before}) if page.before else "",
    }
