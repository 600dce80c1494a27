"""Whatever is sent in any field of any form gets a page, and comes back escaped.

The fields are those of the forms that pages show, and those that an action reads.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio

from tests.workers.console.holdings import an_address, fields_of
from tests.workers.console.hostile import SOME_TYPED, Asked, quoted
from tests.workers.console.site import FROM_HERE
from workers.console.table import ACTIONS, Action
from workers.sign_in_links import Role

if TYPE_CHECKING:
    import httpx

    from tests.workers.console.site import Site

# Pages with forms that are not there without a filter.
SHOWING = ("/retry?state=dead", "/schedules?job=leaderboard")
FORM = re.compile(r'<form[^>]*action="([^"]+)" method="post"')
WHY = {"reason": "a test", "why": "a test"}


@pytest_asyncio.fixture(scope="module")
async def forms(browsers: dict[Role, httpx.AsyncClient]) -> dict[str, dict[str, str]]:
    """The fields of each form that an approver is shown, by where it is sent."""
    approver = browsers[Role.APPROVER]
    found: dict[str, dict[str, str]] = {}
    pages = ("/events", "/calls", "/approvals/inquiries", "/approvals/frozen")
    ones = [an_address(action.path).rpartition("/")[0] for action in ACTIONS]
    for address in sorted({*SHOWING, *pages, *filter(None, ones)}):
        page = (await approver.get(address)).text
        for path in FORM.findall(page):
            found.setdefault(path, fields_of(page, path))
    return found


@pytest.mark.parametrize("typed", SOME_TYPED, ids=lambda typed: ascii(typed)[:20])
@pytest.mark.parametrize("action", ACTIONS, ids=lambda action: action.path)
async def test_whatever_is_sent_in_a_field_of_a_form_gets_a_page(
    console: Site,
    forms: dict[str, dict[str, str]],
    action: Action,
    typed: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    browser = await console.signed_in(Role.APPROVER)
    asked = Asked(monkeypatch)
    path = an_address(action.path)
    shown = forms.get(path, {})
    tried: set[str] = set()
    # What is read only after another field was is found on the way.
    while left := sorted(({"other"} | shown.keys() | asked.names) - tried):
        for field in left:
            fields = {name: quoted(value) for name, value in (shown | WHY).items()}
            fields[field] = quoted(typed)
            answer = await browser.post(
                path,
                content="&".join(f"{name}={value}" for name, value in fields.items()),
                headers=FROM_HERE | {"content-type": "application/x-www-form-urlencoded"},
            )
            assert answer.status_code in (200, 303, 400, 404, 409), (field, answer.status_code)
            assert "<script>alert" not in answer.text
            if answer.status_code == 303:
                following = await browser.get(answer.headers["location"])
                assert following.status_code < 500
                assert "<script>alert" not in following.text
        if path == "/sign-out":
            return
        tried |= set(left)


async def test_what_was_sent_is_escaped_in_the_audit_log(
    browsers: dict[Role, httpx.AsyncClient],
) -> None:
    answer = await browsers[Role.APPROVER].get("/audit")
    assert answer.status_code == 200
    assert "<script>alert" not in answer.text
    assert "&lt;script&gt;alert" in answer.text
