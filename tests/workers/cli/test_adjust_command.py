"""`coinfleet adjust` as an operator types it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, NamedTuple, Protocol
from uuid import UUID, uuid4

import asyncpg
import pytest

from tests.db.books import Books
from workers.cli import make_app
from workers.cli.endings import run_command

if TYPE_CHECKING:
    from db.connections.pool import Connection
    from tests.clusters import Database

pytestmark = pytest.mark.requirement("I1")


class Ended(NamedTuple):
    """What is seen of a command that has ended."""

    code: int
    out: str
    err: str


class Adjust(Protocol):
    """Runs the command."""

    async def __call__(self, *words: object, login: str = "owner") -> Ended:
        """Run it with these words as this login."""
        ...


@pytest.fixture
def adjust(
    database: Database, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Adjust:
    """Runs `coinfleet adjust` in this process: its start would take a second."""

    async def run(*words: object, login: str = "owner") -> Ended:
        monkeypatch.setenv("DATABASE_URL", database.url(login))

        def command() -> None:
            make_app(["adjust"])(["adjust", *map(str, words)], prog_name="coinfleet")

        # In a thread, for it brings its own loop.
        code = await asyncio.to_thread(run_command, command, as_json=False)
        return Ended(code, *capsys.readouterr())

    return run


@pytest.fixture
def books(db: Connection) -> Books:
    """Books of the test's own, which the command looks at from outside."""
    return Books(db)


WHY = ("--reason", "lost by an outage", "--key", "case 7", "--by", "ann")


async def kept(books: Books) -> list[tuple[UUID, int, str, str]]:
    """Who corrected what, and why."""
    rows = await books.db.fetch("select profile_id, amount, who, reason from fleet.adjustments")
    return [tuple(row) for row in rows]


async def test_a_correction_moves_coins_once_and_keeps_who_and_why(
    adjust: Adjust, books: Books
) -> None:
    profile = await books.profile(coins=100)
    taken = await adjust(profile, -60, *WHY)
    assert taken == Ended(0, "60 coins taken; the balance is 40 then\n", "")
    again = await adjust(profile, -60, *WHY)
    said = "nothing was changed: this key moved the coins before, to 40\n"
    assert again == Ended(0, said, "")
    assert await books.coins(profile) == 40
    assert (await books.entries(profile))[-1] == ("adjustment", -60)
    assert await kept(books) == [(profile, -60, "ann", "lost by an outage")]
    assert await books.breaches() == {}
    with pytest.raises(asyncpg.PostgresError, match="append-only"):
        await books.db.execute("update fleet.adjustments set who = 'ben'")


async def test_a_dry_run_of_a_correction_changes_nothing(adjust: Adjust, books: Books) -> None:
    profile = await books.profile()
    tried = await adjust(profile, 5, *WHY, "--dry-run")
    assert tried == Ended(0, "5 coins would be added; the balance is 5 then\n", "")
    assert (await books.coins(profile), await kept(books)) == (0, [])


async def test_a_correction_that_breaks_a_rule_is_refused_in_a_line(
    adjust: Adjust, books: Books
) -> None:
    profile, other, nobody = await books.profile(coins=5), await books.profile(), uuid4()
    await adjust(profile, 1, *WHY)
    for words, code, said in (
        ((profile, -7, *WHY[:2], "--key", "b"), 1, "the balance is less than what this would take"),
        ((other, 1, *WHY), 1, "this key moved other coins"),
        ((nobody, 1, *WHY[:2], "--key", "b"), 2, f"no profile has the id {nobody}"),
        ((profile, 0, *WHY[:2], "--key", "b"), 2, "amount, reason and idempotency key are needed"),
        ((profile, 1, *WHY[:2], "--key", "gift:1"), 2, "reserved for events"),
        ((profile, 1, *WHY[:2]), 2, "Missing option '--key'"),
        ((profile, 1, *WHY[2:]), 2, "Missing option '--reason'"),
        ((profile, 1, "--reason", " ", *WHY[2:]), 2, "must not be empty"),
    ):
        ended = await adjust(*words)
        assert (ended.code, ended.out) == (code, ""), words
        assert said in ended.err
    assert len(await kept(books)) == 1


async def test_only_the_owner_corrects(adjust: Adjust, books: Books) -> None:
    profile = await books.profile()
    ended = await adjust(profile, 1, *WHY, login="operator")
    assert ended.code == 2
    assert "set DATABASE_URL to that role's address" in ended.err
