"""A ledger of another cluster: its transaction ids mean nothing here, its sequences may be lost."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID

import pytest
import pytest_asyncio

from db import reconciliation
from db.release.runner import migrate
from tasks.reconciliation import prove_new_entries
from tests.db.books import Books, Payment, breaches, gift
from tests.db.social.boards import GIFTERS, PERIODS, STREAMERS, board, refresh
from tests.tasks.contexts import make_context

if TYPE_CHECKING:
    from db.connections.pool import Connection, Pool
    from tests.clusters import Database
    from tests.conftest import Connect

# After so many transactions this cluster reaches the ids of the other one.
SOON = 30
LONG_PAST, AHEAD = "5", "9000000000000"


class Restored(Books):
    """A ledger with gifts of another cluster, and what that cluster had counted of them."""

    people: tuple[UUID, UUID]

    async def come_from(self, superuser: Connection, *, xid: str, counted: bool) -> None:
        """Turn all entries into those of another cluster's transactions, numbered from `xid` on."""
        await superuser.execute(
            "update public.ledger_entries set xact_id = ($1::bigint + transaction_id)::text::xid8",
            int(xid),
        )
        await superuser.execute(
            "update fleet.leaderboard_horizon set cluster_id = 1, upto_xid = $1::text::xid8",
            str(int(xid) + 1_000) if counted else None,
        )
        await superuser.execute("update fleet.proof_horizon set cluster_id = 1")
        await superuser.execute(
            "insert into fleet.proofs (kind, upto_xid, violations, started_at)"
            " values ('new', $1::text::xid8, 0, now())",
            str(int(xid) + 1_000),
        )

    async def soon(self) -> str:
        """Return a transaction id that this cluster will reach."""
        now: int = await self.db.fetchval("select pg_current_xact_id()::text::bigint")
        return str(now + SOON)

    async def pass_by(self) -> None:
        """Make this cluster reach those ids."""
        for _ in range(2 * SOON):
            await self.db.execute("select pg_current_xact_id()")


@pytest_asyncio.fixture
async def superuser(connect: Connect) -> Connection:
    """The superuser, who restores."""
    connection = await connect("superuser")
    await connection.execute("set session_replication_role = replica")
    await connection.execute("alter table public.ledger_entries disable trigger all")
    return connection


@pytest_asyncio.fixture
async def restored(books: Books) -> Restored:
    """A ledger of the other cluster: somebody gave 7 coins there, and they were counted."""
    restored = Restored(books.db)
    sender, streamer = await restored.profile(coins=100), await restored.profile()
    await restored.apply(gift(sender, streamer, 4), gift(sender, streamer, 3))
    await refresh(restored)
    restored.people = (sender, streamer)
    return restored


async def assert_given(books: Restored, coins: int) -> None:
    """Assert that the boards show so many coins of these two, and that every invariant holds."""
    sender, streamer = books.people
    for period in PERIODS:
        assert await board(books, GIFTERS, period) == [(sender, coins)]
        assert await board(books, STREAMERS, period) == [(streamer, coins)]
    assert await books.breaches() == {}


@pytest.mark.long_but_first
@pytest.mark.parametrize("counted", [True, False])
@pytest.mark.parametrize("xid", [LONG_PAST, AHEAD])
async def test_gifts_of_another_cluster_stay_on_the_boards(
    restored: Restored, superuser: Connection, xid: str, *, counted: bool
) -> None:
    await restored.come_from(superuser, xid=xid, counted=counted)
    for _ in range(2):
        await refresh(restored)
        await assert_given(restored, 7)
    await restored.apply(gift(*restored.people, 2))
    await refresh(restored)
    await assert_given(restored, 9)


async def test_gifts_are_not_counted_again_when_the_cluster_reaches_their_ids(
    restored: Restored, superuser: Connection
) -> None:
    await restored.come_from(superuser, xid=await restored.soon(), counted=True)
    await refresh(restored)
    await assert_given(restored, 7)
    await restored.pass_by()
    await restored.apply(gift(*restored.people, 2))
    await refresh(restored)
    await assert_given(restored, 9)


async def test_gifts_given_before_the_first_refresh_of_the_new_cluster_are_counted(
    restored: Restored, superuser: Connection
) -> None:
    # This cluster passes the number of the old checkpoint before anybody refreshes.
    await restored.come_from(superuser, xid=LONG_PAST, counted=True)
    await superuser.execute(
        "update fleet.leaderboard_horizon set upto_xid = $1::text::xid8", await restored.soon()
    )
    await restored.apply(gift(*restored.people, 2))
    await restored.pass_by()
    await refresh(restored)
    await assert_given(restored, 9)


async def test_a_proof_ahead_of_this_cluster_is_not_continued(restored: Restored) -> None:
    # Whatever the cluster is called: a copy may have its id.
    await restored.db.execute("update fleet.proof_horizon set cluster_id = fleet.cluster_id()")
    await restored.db.execute(
        "insert into fleet.proofs (kind, upto_xid, violations, started_at)"
        " values ('new', $1::text::xid8, 0, now())",
        AHEAD,
    )
    proved = await restored.db.fetch("select * from fleet.prove_new_entries(100)")
    assert proved == []
    assert await restored.db.fetchval("select count(*) from fleet.proofs") == 1


async def test_the_invariant_sees_boards_that_a_restore_emptied(
    restored: Restored, superuser: Connection
) -> None:
    for _ in range(3):
        await refresh(restored)
        restored.wait(minutes=2)
    await restored.come_from(superuser, xid=AHEAD, counted=True)
    await superuser.execute("create temp table kept as select * from fleet.leaderboard_sums")
    await superuser.execute("delete from fleet.leaderboard_sums")
    assert "leaderboard_sums_match_gifts" in await breaches(superuser)
    await superuser.execute("insert into fleet.leaderboard_sums select * from kept")


@pytest.mark.parametrize("xid", [LONG_PAST, AHEAD])
async def test_everything_is_proved_anew_in_another_cluster(
    restored: Restored, superuser: Connection, worker_pool: Pool, xid: str
) -> None:
    await restored.come_from(superuser, xid=xid, counted=True)
    assert await reconciliation.prove_new_entries(worker_pool) is None
    await prove_new_entries(make_context(worker_pool))
    newest = "select kind from fleet.proofs order by id desc limit 1"
    assert await restored.db.fetchval(newest) == "full"
    await restored.adjust(restored.people[0], 5)
    proof = await reconciliation.prove_new_entries(worker_pool)
    assert proof is not None
    assert (proof.entries_checked, proof.violations) == (2, 0)


async def test_a_first_database_is_proved_from_its_first_entry(
    restored: Restored, worker_pool: Pool
) -> None:
    proof = await reconciliation.prove_new_entries(worker_pool)
    assert proof is not None
    assert proof.entries_checked > 0


BEHIND = """
do $$
declare
    v_one regclass;
begin
    for v_one in
        select oid from pg_class
        where relkind = 'S' and relnamespace::regnamespace::text in ('public', 'fleet')
    loop
        perform setval(v_one, 1, false);
    end loop;
end
$$
"""
# The same question in other words than the function's.
VALUES = """
select sequencename, coalesce(last_value, 0) from pg_sequences
where schemaname in ('public', 'fleet') order by 1
"""


async def test_sequences_that_were_not_moved_with_their_rows_go_on_after_the_newest(
    books: Books, database: Database
) -> None:
    sender, streamer = await books.profiles(2)
    first = Payment()
    await books.apply(first.bought(sender, units=3), first.refund(40), gift(sender, streamer, 7))
    coins = await books.coins(sender)
    await books.db.execute(BEHIND)
    report = await migrate(database.url())
    assert report.steps == ()
    assert report.sequences_mended > 0
    second = Payment()
    await books.apply(second.bought(sender, units=1), gift(sender, streamer, 7), first.refund(50))
    await books.apply(second.refund(30))
    assert await books.coins(sender) == coins + 100 - 7 - 10 - 30
    assert await books.breaches() == {}


async def test_a_sequence_that_is_ahead_of_its_table_stays(
    books: Books, database: Database
) -> None:
    await books.db.execute("select setval('public.gifts_id_seq', 1000)")
    before = await books.db.fetch(VALUES)
    assert (await migrate(database.url())).sequences_mended == 0
    assert await books.db.fetch(VALUES) == before
