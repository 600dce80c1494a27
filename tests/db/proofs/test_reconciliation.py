"""Proofs of the books: errors are found, and the continuous proof reads only new entries."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import uuid4

import asyncpg
import pytest
import pytest_asyncio

from db import reconciliation
from tasks.context import Context
from tasks.reconciliation import prove_everything, prove_new_entries
from tests.tasks.contexts import make_context

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

    from db.connections.pool import Connection, Pool
    from tests.conftest import Connect

pytestmark = pytest.mark.requirement("C10")


@pytest_asyncio.fixture
async def profile(db: Connection, profiles: list[UUID]) -> UUID:
    """Somebody with three ledger entries, all of them proved."""
    for amount in (100, 20, -30):
        await adjust(db, profiles[0], amount)
    return profiles[0]


@pytest_asyncio.fixture
async def profiles(db: Connection) -> list[UUID]:
    """Two people."""
    rows = await db.fetch(
        "insert into auth.users (id) values (gen_random_uuid()), (gen_random_uuid()) returning id"
    )
    return [row["id"] for row in rows]


@pytest_asyncio.fixture
async def tampering(connect: Connect) -> Connection:
    """A superuser's connection on which no trigger fires: the only way to break the books."""
    connection = await connect("superuser")
    await connection.execute("set session_replication_role = replica")
    await connection.execute("alter table public.ledger_entries disable trigger all")
    return connection


@pytest.fixture
def ctx(worker_pool: Pool) -> Context:
    """The context that a worker gives its tasks."""
    return make_context(worker_pool)


async def adjust(db: Connection, profile: UUID, amount: int) -> None:
    """Move coins as an operator does."""
    await db.execute(
        "select public.update_coin_balance_via_ledger($1, $2, 'adjustment', $3)",
        profile,
        amount,
        uuid4().hex,
    )


async def found(ctx: Context) -> set[str]:
    """Prove the new entries; return the kinds of violations."""
    proof = await reconciliation.prove_new_entries(ctx.pool)
    assert proof is not None
    assert proof.violations == sum(len(rows) for rows in proof.detail.values())
    return set(proof.detail)


@pytest.mark.requirement("H5")
async def test_right_books_are_proved_entry_by_entry(ctx: Context, profile: UUID) -> None:
    proof = await reconciliation.prove_new_entries(ctx.pool)
    assert proof is not None
    assert (proof.entries_checked, proof.violations, proof.caught_up) == (6, 0, True)


async def test_a_proof_reads_only_what_is_new(ctx: Context, db: Connection, profile: UUID) -> None:
    await prove_new_entries(ctx)
    await adjust(db, profile, 5)
    proof = await reconciliation.prove_new_entries(ctx.pool)
    assert proof is not None
    assert (proof.entries_checked, proof.violations) == (2, 0)


async def test_a_large_backlog_is_proved_in_slices_and_whole(ctx: Context, profile: UUID) -> None:
    checked = []
    for _ in range(4):
        proof = await reconciliation.prove_new_entries(ctx.pool, limit=2)
        assert proof is not None
        checked.append((proof.entries_checked, proof.caught_up))
    assert checked == [(2, False), (2, False), (2, False), (0, True)]


async def test_a_transaction_larger_than_a_slice_is_proved_whole(
    ctx: Context, profile: UUID
) -> None:
    proof = await reconciliation.prove_new_entries(ctx.pool, limit=1)
    assert proof is not None
    assert (proof.entries_checked, proof.violations, proof.caught_up) == (2, 0, False)


async def test_entries_of_a_transaction_that_commits_late_are_proved(
    ctx: Context, db: Connection, profiles: list[UUID], connect: Connect
) -> None:
    late = await connect()
    async with late.transaction():
        await adjust(late, profiles[0], 7)
        await adjust(db, profiles[1], 7)
        early = await reconciliation.prove_new_entries(ctx.pool)
    proof = await reconciliation.prove_new_entries(ctx.pool)
    assert early is not None
    assert proof is not None
    assert (early.entries_checked, proof.entries_checked) == (0, 4)


async def test_runs_that_get_no_further_than_an_open_transaction_are_no_news(
    ctx: Context, db: Connection, profiles: list[UUID], connect: Connect
) -> None:
    """A session that somebody forgot holds the proof; nothing may be said to be proved since."""

    async def proved_at() -> datetime | None:
        await prove_new_entries(ctx)
        return (await reconciliation.read_status(db)).last_new_at

    forgotten = await connect()
    async with forgotten.transaction():
        await adjust(forgotten, profiles[0], 7)
        first = await proved_at()
        await adjust(db, profiles[1], 7)
        assert await proved_at() == first
        # What the full proof has proved meanwhile is said by its own time.
        await prove_everything(ctx)
        since_full = await proved_at()
        assert await proved_at() == since_full
    last = await proved_at()
    assert first is not None
    assert since_full is not None
    assert last is not None
    assert first < since_full < last


async def test_an_unbalanced_transaction_is_found(
    ctx: Context, profile: UUID, tampering: Connection
) -> None:
    await tampering.execute(
        "update public.ledger_entries set amount = amount - 1"
        " where account = 'adjustments' and amount = -20"
    )
    assert await found(ctx) == {"unbalanced_transaction"}


async def test_a_gap_is_found(ctx: Context, profile: UUID, tampering: Connection) -> None:
    await tampering.execute("delete from public.ledger_entries where seq = 2")
    assert "broken_sequence" in await found(ctx)


async def test_a_wrong_balance_after_is_found(
    ctx: Context, profile: UUID, tampering: Connection
) -> None:
    await tampering.execute("update public.ledger_entries set balance_after = 121 where seq = 2")
    assert await found(ctx) == {"broken_sequence"}


@pytest.mark.requirement("C1")
@pytest.mark.parametrize("column", ["coin_balance", "coin_seq"])
async def test_a_drifted_balance_is_found(
    ctx: Context, profile: UUID, tampering: Connection, column: str
) -> None:
    await tampering.execute(
        f"update public.profiles set {column} = {column} + 1 where id = $1", profile
    )
    assert await found(ctx) == {"drifted_balance"}


async def test_what_was_proved_and_broken_later_is_found_by_the_full_proof(
    ctx: Context, profile: UUID, tampering: Connection
) -> None:
    await prove_new_entries(ctx)
    await tampering.execute("update public.profiles set coin_balance = 1 where id = $1", profile)
    assert await found(ctx) == set()
    await prove_everything(ctx)
    status = await reconciliation.read_status(tampering)
    assert status.violations > 0
    assert "balances_match_ledger" in status.detail


async def test_the_worker_may_read_each_invariant(ctx: Context, profile: UUID) -> None:
    invariants = await reconciliation.list_invariants(ctx.pool)
    assert "balances_match_ledger" in invariants
    assert [await reconciliation.find_breach(ctx.pool, name) for name in invariants] == [
        None for _ in invariants
    ]


async def test_a_violation_stays_counted_until_a_full_proof_finds_it_gone(
    ctx: Context, db: Connection, profile: UUID, tampering: Connection
) -> None:
    await tampering.execute("update public.profiles set coin_balance = coin_balance + 1")
    await prove_new_entries(ctx)
    await prove_new_entries(ctx)
    assert (await reconciliation.read_status(db)).violations == 1
    await tampering.execute("update public.profiles set coin_balance = coin_balance - 1")
    assert (await reconciliation.read_status(db)).violations == 1
    await prove_everything(ctx)
    assert (await reconciliation.read_status(db)).violations == 0


async def test_after_a_restore_everything_is_proved_and_the_checkpoint_set_anew(
    ctx: Context, db: Connection, profile: UUID
) -> None:
    await db.execute(
        "insert into fleet.proofs (kind, upto_xid, violations, started_at)"
        " values ('new', '9000000000', 0, now())"
    )
    assert await reconciliation.prove_new_entries(ctx.pool) is None
    await prove_new_entries(ctx)
    assert await db.fetchval("select kind from fleet.proofs order by id desc limit 1") == "full"
    await adjust(db, profile, 5)
    proof = await reconciliation.prove_new_entries(ctx.pool)
    assert proof is not None
    assert proof.entries_checked == 2


async def test_a_worker_can_read_no_ledger_itself(worker_pool: Pool) -> None:
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await worker_pool.fetch("select * from public.ledger_entries")
