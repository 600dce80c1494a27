"""How an upgrade runs: tried, repeated, stopped, refused, undone, and who is locked out."""

from __future__ import annotations

from typing import TYPE_CHECKING

import asyncpg
import pytest

from db.connections.pool import open_connection
from db.legacy.faults import NotThisGeneration
from db.legacy.tables import TablesInUse
from db.legacy.undo import NoWayBack
from db.legacy.upgrade import OtherGeneration, UnderWay, undo, upgrade
from db.release.compatibility import is_current
from db.release.generations import Generation, OlderGeneration, UpgradeUnfinished
from db.release.runner import migrate
from tests.db.legacy.platforms import Interrupted, contents, definitions, person, stop_at, upgraded

if TYPE_CHECKING:
    from tests.clusters import Database
    from tests.db.legacy.platforms import Finished, Look

pytestmark = [pytest.mark.requirement("G1", "G2"), pytest.mark.long]

FIRST, SECOND = Generation.FIRST, Generation.SECOND


# Trying, repeating, stopping


async def test_a_dry_run_proves_the_same_and_changes_nothing(
    finished: Finished, platform: Database, generation: Generation, look: Look
) -> None:
    db = await look(platform)
    before = await contents(db), await definitions(db)
    result = await upgrade(platform.url(), generation, dry_run=True, batch_rows=120)
    assert (await contents(db), await definitions(db)) == before
    assert result.proof == finished[generation][1].proof


async def test_a_second_run_finds_nothing_to_do(
    platform: Database, generation: Generation, look: Look
) -> None:
    first_run = await upgraded(platform, generation)
    db = await look(platform)
    before = await contents(db), await definitions(db)
    again = await upgraded(platform, generation)
    assert again.was_done
    assert again.proof == first_run.proof
    assert (await contents(db), await definitions(db)) == before
    with pytest.raises(OtherGeneration):
        await upgraded(platform, SECOND if generation is FIRST else FIRST)


async def test_an_upgrade_that_stops_after_every_step_ends_the_same(
    finished: Finished, platform: Database, generation: Generation, look: Look
) -> None:
    seen: set[tuple[str, int]] = set()

    def stop_at_what_is_new(step: str, done: int, total: int) -> None:
        if (step, done) not in seen:
            seen.add((step, done))
            raise Interrupted

    stops = 0
    while True:
        try:
            result = await upgraded(platform, generation, on_progress=stop_at_what_is_new)
        except Interrupted:
            stops += 1
        else:
            break
    assert stops > 40
    assert result.proof == finished[generation][1].proof
    stopped, whole = await look(platform), await look(finished[generation][0])
    assert await contents(stopped) == await contents(whole)
    assert await definitions(stopped) == await definitions(whole)


async def test_a_dry_run_comes_before_the_upgrade(first: Database) -> None:
    with pytest.raises(Interrupted):
        await upgraded(first, FIRST, on_progress=stop_at("gifts"))
    with pytest.raises(UnderWay):
        await upgrade(first.url(), FIRST, dry_run=True)


async def test_a_row_that_the_schema_refuses_is_quarantined_alone(
    first: Database, look: Look
) -> None:
    with pytest.raises(Interrupted):
        await upgraded(first, FIRST, on_progress=stop_at("streams"))
    db = await look(first)
    await db.execute(
        "alter table public.chat_messages add constraint not_seven check (body <> 'hello 7');"
        "alter table public.gifts add constraint not_thirteen check (coin_amount <> 13)"
    )
    result = await upgraded(first, FIRST)
    assert result.proof.holds
    refused = {why.reason: why.rows for why in result.proof.reasons if why.reason[:8] == "refused:"}
    thirteens = await db.fetchval("select count(*) from legacy_first.gifts where coins = 13")
    assert refused == {"refused: not_seven": 1, "refused: not_thirteen": thirteens}
    # The people concerned have their old balance all the same.
    assert (
        await db.fetchval(
            "select count(*) from public.ledger_entries where reason = 'closing_difference'"
        )
        > 0
    )


async def test_without_a_proof_nothing_is_finished_and_clients_stay_locked_out(
    first: Database, look: Look
) -> None:
    with pytest.raises(Interrupted):
        await upgraded(first, FIRST, on_progress=stop_at("proof"))
    db = await look(first)
    lost = await db.fetchrow(
        "delete from public.follows where follower_id = $1 returning *", person(5)
    )
    result = await upgraded(first, FIRST)
    assert [line.name for line in result.proof.lines if not line.holds] == ["follows"]
    assert await db.fetchval("select finished_at is null from fleet.upgrade_runs")
    assert not await db.fetchval("select has_schema_privilege('anon', 'public', 'usage')")
    # Repaired, the same command finishes.
    await db.execute("insert into public.follows values ($1, $2, $3)", *lost)
    assert (await upgraded(first, FIRST)).proof.holds
    assert await db.fetchval("select has_schema_privilege('anon', 'public', 'usage')")


async def test_a_coin_too_many_is_seen(
    platform: Database, generation: Generation, look: Look
) -> None:
    with pytest.raises(Interrupted):
        await upgraded(platform, generation, on_progress=stop_at("proof"))
    db = await look(platform)
    give = "select public.update_coin_balance_via_ledger($1, $2, 'by hand', $3)"
    await db.execute(give, person(9), 1, "one too many")
    result = await upgraded(platform, generation)
    assert {line.name for line in result.proof.lines if not line.holds} <= {"coins", "coin_ledger"}
    assert not result.proof.holds
    await db.execute(give, person(9), -1, "and back")
    assert (await upgraded(platform, generation)).proof.holds


# The maintenance window


async def test_a_release_refuses_a_database_of_an_older_generation(
    platform: Database, generation: Generation, look: Look
) -> None:
    db = await look(platform)
    before = await definitions(db)
    with pytest.raises(OlderGeneration, match=f"coinfleet upgrade --from {generation}"):
        await migrate(platform.url())
    assert await definitions(db) == before


@pytest.mark.parametrize("step", ["release", "gifts"])
async def test_a_release_in_the_middle_of_an_upgrade_is_refused_and_lets_nobody_in(
    first: Database, look: Look, step: str
) -> None:
    with pytest.raises(Interrupted):
        await upgraded(first, FIRST, on_progress=stop_at(step))
    db = await look(first)
    before = await definitions(db)
    with pytest.raises(UpgradeUnfinished, match="coinfleet upgrade --from first"):
        await migrate(first.url())
    assert await definitions(db) == before
    assert (await upgraded(first, FIRST)).proof.holds
    assert (await migrate(first.url())).steps == ()


async def test_boards_that_were_counted_half_way_are_counted_anew(
    platform: Database, generation: Generation, look: Look
) -> None:
    with pytest.raises(Interrupted):
        await upgraded(platform, generation, on_progress=stop_at("gifts", 120))
    db = await look(platform)
    refresh = "select fleet.refresh_leaderboard()"
    await db.execute(refresh)
    assert (await upgraded(platform, generation)).proof.holds
    assert await db.fetchval("select upto_xid is null from fleet.leaderboard_horizon")
    assert await db.fetch("select * from invariants.leaderboard_sums_match_gifts") == []
    await db.execute(refresh)
    given = await db.fetch(
        "select sender_id, sum(coin_amount)::bigint from public.gifts group by 1 order by 2 desc, 1"
    )
    boards = await db.fetch(
        "select profile_id, coins from public.leaderboard_cache"
        " where board = 'top_gifters' and period = 'all_time' order by rank"
    )
    assert [tuple(row) for row in boards] == [tuple(row) for row in given]


async def test_all_that_is_missing_is_said_in_one_message(first: Database, look: Look) -> None:
    db = await look(first)
    await db.execute(
        "alter table public.gifts drop column stream_id, alter column coins type numeric;"
        "drop table public.coins cascade"
    )
    with pytest.raises(NotThisGeneration) as caught:
        await upgrade(first.url(), FIRST, users_table="public.nowhere")
    assert caught.value.faults == (
        "public.coins is missing",
        "public.gifts.stream_id is missing (integer)",
        "public.gifts.coins is numeric, not integer",
        "the given table public.nowhere is missing (name it with its schema)",
    )


async def test_tables_in_use_are_not_moved_and_their_users_are_named(
    first: Database, look: Look
) -> None:
    writer = await look(first)
    before = await definitions(writer)
    async with writer.transaction():
        await writer.execute("insert into public.coins (user_id, balance) values (1, 1)")
        with pytest.raises(TablesInUse) as caught:
            await upgrade(first.url(), FIRST)
    assert len(caught.value.sessions) == 1
    assert await definitions(writer) == before


async def test_the_old_application_can_not_write_once_the_tables_have_moved(
    first: Database, look: Look
) -> None:
    old_app = await look(first, search_path="public")
    gift = "select process_gift(1, 2, 3)"
    async with old_app.transaction():
        await old_app.execute(gift)
    with pytest.raises(Interrupted):
        await upgraded(first, FIRST, on_progress=stop_at("release"))
    with pytest.raises(asyncpg.UndefinedFunctionError):
        await old_app.execute(gift)
    with pytest.raises(asyncpg.ReadOnlySQLTransactionError):
        await old_app.execute("update legacy_first.coins set balance = 0")


async def test_clients_and_processes_are_locked_out_until_it_is_proved(
    first: Database, look: Look
) -> None:
    with pytest.raises(Interrupted):
        await upgraded(first, FIRST, on_progress=stop_at("gifts"))
    db, web = await look(first), await open_connection(first.url("web"), application_name="test")
    can_enter = """
        select has_schema_privilege(d.role, d.schema, 'usage')
        from (
            values ('anon', 'public'), ('authenticated', 'public'), ('service_role', 'public'),
                ('coinfleet_worker', 'fleet')
        ) as d (role, schema)
    """
    assert {row[0] for row in await db.fetch(can_enter)} == {False}
    assert not await is_current(web)
    await upgraded(first, FIRST)
    assert {row[0] for row in await db.fetch(can_enter)} == {True}
    assert await is_current(web)
    web.terminate()


async def test_an_upgraded_database_has_the_rights_of_a_new_one(
    finished: Finished, database: Database, look: Look
) -> None:
    new = await definitions(await look(database))
    for upgraded_database, _ in finished.values():
        assert new - await definitions(await look(upgraded_database)) == set()


# The way back


async def test_an_undo_puts_everything_back(
    platform: Database, generation: Generation, look: Look
) -> None:
    db = await look(platform)
    before = await contents(db), await definitions(db)
    await upgraded(platform, generation)
    await undo(platform.url(), generation)
    assert await definitions(db) ^ before[1] == set()
    assert await contents(db) == before[0]


@pytest.mark.parametrize(("step", "done"), [("release", 0), ("purchases", 100), ("proof", 0)])
async def test_an_undo_in_the_middle_puts_everything_back(
    first: Database, look: Look, step: str, done: int
) -> None:
    db = await look(first)
    before = await contents(db), await definitions(db)
    with pytest.raises(Interrupted):
        await upgraded(first, FIRST, on_progress=stop_at(step, done))
    await undo(first.url(), FIRST)
    assert await definitions(db) ^ before[1] == set()
    assert await contents(db) == before[0]


SINCE = {
    "money": "select public.update_coin_balance_via_ledger('{me}', 5, 'adjustment', 'since')",
    "a message": "insert into public.chat_messages (stream_id, profile_id, body)"
    " values (1, '{me}', 'since')",
    "a follow": "insert into public.follows (follower_id, followee_id) values ('{me}', '{other}')",
    "a grid": "insert into public.user_grid_slots values ('{me}', 1, '{other}')",
}


@pytest.mark.parametrize("what", SINCE)
async def test_there_is_no_way_back_once_somebody_has_worked(
    second: Database, look: Look, what: str
) -> None:
    await upgraded(second, SECOND)
    db = await look(second)
    await db.execute(SINCE[what].format(me=person(1), other=person(2)))
    with pytest.raises(NoWayBack):
        await undo(second.url(), SECOND)
    assert await db.fetchval("select to_regclass('legacy_second.gifts') is not null")


async def test_a_database_that_is_another_one_altogether_is_told_what_it_is(
    database: Database, first: Database
) -> None:
    for generation in Generation:
        with pytest.raises(NotThisGeneration, match="there is nothing to upgrade") as caught:
            await upgraded(database, generation)
        assert len(caught.value.faults) == 1
    with pytest.raises(NotThisGeneration, match="it holds the first one: --from first"):
        await upgraded(first, Generation.SECOND)
