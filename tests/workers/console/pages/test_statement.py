"""A profile's statement: exact numbers, a file that no spreadsheet runs, and corrections."""

from __future__ import annotations

import asyncio
import csv
import io
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio

from tests.db.books import gift
from tests.workers.console.holdings import PARK, Holdings, fields_of, sign_in
from tests.workers.console.site import post
from workers.console.pages.profiles import download
from workers.console.pages.profiles.download import neutral

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from uuid import UUID

    import httpx

    from db.connections.pool import Connection
    from tests.workers.console.site import Site

# More than JavaScript, or a spreadsheet, counts exactly.
LARGE = 2**53 + 1
FORMULA = '=HYPERLINK("http://evil.example","x")'


@pytest_asyncio.fixture
async def profile(owner: Connection) -> UUID:
    """A profile that was given many coins, and gave three away."""
    await owner.execute(PARK.format("waiting"))
    books = Holdings(owner)
    sender, recipient = await books.profiles(2)
    await owner.execute(
        "select fleet.adjust_balance($1, $2, '@ann', $3, $4)",
        sender,
        LARGE + 3,
        FORMULA,
        f"key {sender}",
    )
    await books.apply_one(gift(sender, recipient, 3))
    return sender


@pytest_asyncio.fixture
async def ann(console: Site, owner: Connection) -> AsyncIterator[httpx.AsyncClient]:
    """The browser of an approver."""
    browser = await sign_in(console, owner, "ann", "approver")
    yield browser
    await browser.aclose()


async def read_file(browser: httpx.AsyncClient, path: str) -> list[dict[str, str]]:
    answer = await browser.get(path)
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert answer.headers["content-disposition"].startswith("attachment")
    return list(csv.DictReader(io.StringIO(answer.text)))


@pytest.mark.requirement("I1")
async def test_a_statement_shows_each_entry_with_the_exact_balance_after_it(
    viewer: httpx.AsyncClient, profile: UUID
) -> None:
    page = (await viewer.get(f"/profiles/{profile}")).text
    assert f"{LARGE:,}" in page
    assert f"+{LARGE + 3:,}" in page
    assert ">-3<" in page
    assert "@ann: " in page
    given = (await viewer.get(f"/profiles/{profile}?kind=gift")).text
    assert f"+{LARGE + 3:,}" not in given


@pytest.mark.long_but_first
@pytest.mark.parametrize("rows", [1, 1_000])
async def test_a_file_has_every_entry_in_digits_and_no_formula(
    viewer: httpx.AsyncClient, profile: UUID, monkeypatch: pytest.MonkeyPatch, rows: int
) -> None:
    monkeypatch.setattr(download, "PIECE_ROWS", rows)
    entries = await read_file(viewer, f"/profiles/{profile}/statement.csv")
    assert [(each["kind"], each["amount"], each["balance_after"]) for each in entries] == [
        ("gift", "-3", str(LARGE)),
        ("adjustment", str(LARGE + 3), str(LARGE + 3)),
    ]
    assert (entries[1]["by"], entries[1]["why"]) == ("'@ann", f"'{FORMULA}")
    earned = await read_file(viewer, f"/profiles/{profile}/statement.csv?account=earnings")
    assert earned == []


@pytest.mark.parametrize("text", ["=1", "+1", "-1", "@x", "\t=1", "\r=1", "  =1", "\uff1d1"])
def test_a_text_that_a_spreadsheet_would_run_gets_an_apostrophe(text: str) -> None:
    assert neutral(text) == f"'{text}"
    assert neutral(f"x{text}") == f"x{text}"


def test_a_cell_stays_one_where_lines_are_split_at_semicolons() -> None:
    assert neutral("paid; =1+1;-2") == "paid;' =1+1;'-2"


@pytest.mark.requirement("I1")
async def test_a_correction_is_shown_first_and_then_made_once_with_who_why_and_from_where(
    ann: httpx.AsyncClient, owner: Connection, profile: UUID
) -> None:
    path = f"/profiles/{profile}/adjust"
    fields = fields_of((await ann.get(f"/profiles/{profile}")).text, path)
    shown = await post(ann, path, fields | {"amount": "-5", "reason": "a mistake"})
    assert shown.status_code == 200
    assert f"from {LARGE:,} to {LARGE - 5:,}" in shown.text
    assert await Holdings(owner).coins(profile) == LARGE
    confirmed = fields_of(shown.text, path)
    for _ in range(2):
        answer = await post(ann, path, confirmed)
        assert answer.status_code == 303
        assert await Holdings(owner).coins(profile) == LARGE - 5
    told = "The balance is corrected by -5 coins, once: ann, "
    assert told in (await ann.get(answer.headers["location"])).text
    # A link that names no correction of this profile says nothing.
    for key in ("done", "again", ""):
        assert "is corrected" not in (await ann.get(f"/profiles/{profile}?adjusted={key}")).text
    kept = await owner.fetch(
        "select who, reason, amount, origin from fleet.adjustments"
        " where profile_id = $1 and amount < 0",
        profile,
    )
    assert [tuple(row) for row in kept] == [("ann", "a mistake", -5, "console, 127.0.0.1")]


@pytest.mark.requirement("I1")
async def test_a_correction_of_a_balance_that_moved_is_answered_and_not_made(
    ann: httpx.AsyncClient, owner: Connection, profile: UUID
) -> None:
    path = f"/profiles/{profile}/adjust"
    fields = fields_of((await ann.get(f"/profiles/{profile}")).text, path)
    shown = await post(ann, path, fields | {"amount": "1", "reason": "a mistake"})
    confirmed = fields_of(shown.text, path)
    await Holdings(owner).adjust(profile, 10)
    late = await post(ann, path, confirmed)
    assert late.status_code == 409
    assert f"from {LARGE + 10:,} to {LARGE + 11:,}" in late.text
    assert await Holdings(owner).coins(profile) == LARGE + 10
    # Of two at one moment one is made; the other saw another balance.
    again = fields_of(late.text, path)
    other = fields_of((await ann.get(f"/profiles/{profile}")).text, path)
    second = fields_of(
        (await post(ann, path, other | {"amount": "1", "reason": "the same"})).text, path
    )
    answers = await asyncio.gather(post(ann, path, again), post(ann, path, second))
    assert sorted(each.status_code for each in answers) == [303, 409]
    assert await Holdings(owner).coins(profile) == LARGE + 11


@pytest.mark.parametrize(
    ("amount", "coins"),
    [("1,500", 1_500), ("-1 234 567", -1_234_567), ("+7", 7), ("\N{MINUS SIGN}5", -5),
     ("1,5", None), ("100,00", None), ("1,2345", None),
     ("1,000 000", None), (",500", None), ("1.000", None)],
)  # fmt: skip
async def test_an_amount_with_separators_counts_in_thousands_and_never_as_a_decimal(
    ann: httpx.AsyncClient, profile: UUID, amount: str, coins: int | None
) -> None:
    fields = {"amount": amount, "reason": "why", "key": "k"}
    shown = await post(ann, f"/profiles/{profile}/adjust", fields)
    assert shown.status_code == (400 if coins is None else 200)
    if coins is not None:
        assert f"to {LARGE + coins:,}" in shown.text


@pytest.mark.long_but_first
@pytest.mark.parametrize(
    ("amount", "status"),
    [("0", 400), ("x", 400), ("", 400), ("1.5", 400), (str(2**63), 400), (str(2**63 - 1), 400),
     (f"-{2**53 + 9}", 409)],
)  # fmt: skip
async def test_a_correction_that_can_not_be_is_refused(
    ann: httpx.AsyncClient, owner: Connection, profile: UUID, amount: str, status: int
) -> None:
    fields = {"amount": amount, "reason": "why", "key": "k", "seen": str(LARGE)}
    answer = await post(ann, f"/profiles/{profile}/adjust", fields)
    assert answer.status_code == status, answer.text
    assert await Holdings(owner).coins(profile) == LARGE
