"""Erasure clears what an upgrade left behind: old tables, quarantine, archive and notes."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

import asyncpg
import pytest
import pytest_asyncio

from db.connections.pool import open_connection
from db.erasure import erase_profile
from db.legacy.upgrade import undo, upgrade
from db.release.generations import Generation, UpgradeUnfinished
from tests.db.legacy.platforms import TABLES, Interrupted, person, stop_at, upgraded

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from uuid import UUID

    from db.connections.pool import Connection
    from tests.clusters import Cluster, Database
    from tests.db.legacy.platforms import Finished, Look, Platforms

pytestmark = [pytest.mark.requirement("I3"), pytest.mark.long]

# Anna is erased, Berta is not; each leaves a word of hers wherever a user may write one.
ANNA, BERTA = person(7), person(8)
WORDS = {ANNA: "zzanna", BERTA: "zzberta"}

# Columns that a platform has besides those that an upgrade reads: of every type, one that must not
# be null and one that is generated from another.
MORE_COLUMNS = """
do $$
declare
    v_table regclass;
begin
    for v_table in
        select oid from pg_class where relnamespace = 'public'::regnamespace and relkind = 'r'
            and relname not in ('newsletters', 'gift_types', 'video_boxes')
    loop
        execute format(
            'alter table %s add memo text, add facts jsonb, add picture bytea, add words text[],'
            ' add required varchar(300) not null default '''','
            ' add made text generated always as (lower(memo)) stored', v_table);
    end loop;
end
$$;
"""
FILL = (
    "update public.{table} set memo = '{word}', facts = '{{\"n\": [\"{word}\"]}}',"
    " picture = convert_to('{word}', 'UTF8'), words = array['{word}'], required = '{word}'{more}"
    " where {whose}"
)
# By generation: each table, which rows are a person's, and what else a user may write there.
TOLD = {
    Generation.FIRST: {
        "users": (
            "id in ({id}, 30{id})",
            "email = ' {word}@EXAMPLE.com', password_hash = '{word}'",
        ),
        "user_profiles": (
            "user_id in ({id}, 30{id})",
            """username = repeat('{word}', 11), display_name = repeat('{word}', 30),
            bio = repeat('{word}', 400), avatar_url = 'https://{word}.example'""",
        ),
        "coins": ("user_id in ({id}, 30{id})", ""),
        "coin_purchases": ("user_id in ({id}, 30{id})", ""),
        "gifts": ("sender_id in ({id}, 30{id})", ""),
        "live_streams": ("user_id = {id}", "title = '{word}'"),
        "follows": ("follower_id = {id}", ""),
        "user_links": ("user_id = {id}", "label = label || '{word}', url = url || '{word}'"),
        "chat_messages": ("user_id in ({id}, 30{id})", "body = body || '{word}'"),
        "leaderboard_cache": ("user_id = {id}", ""),
    },
    Generation.SECOND: {
        "profiles": ("id = '{id}'", "username = repeat('{word}', 11), display_name = '{word}'"),
        "coin_ledger": ("profile_id = '{id}'", ""),
        "coin_purchases": ("profile_id = '{id}'", ""),
        "gifts": ("sender_id = '{id}'", ""),
        "live_streams": ("profile_id = '{id}'", "title = '{word}'"),
        "box_viewers": ("viewer_id = '{id}'", ""),
        "active_viewers": ("viewer_id = '{id}'", ""),
    },
}
# Rows of theirs that can't move, and in the first generation a second account of each, which has
# their e-mail address and no sign-up.
MORE_ROWS = {
    Generation.FIRST: """
        insert into public.users (id) values (307), (308);
        insert into public.user_profiles (user_id) values (7), (8), (307), (308);
        insert into public.coins (user_id, balance) values (307, 70), (308, 80);
        insert into public.coin_purchases (user_id, coins, amount_cents, payment_id, status) values
            (7, 5, 5, 'pi_dup', 'completed'), (7, 5, 5, 'pi_late_7', 'pending'),
            (8, 5, 5, 'pi_dup', 'completed'), (307, 5, 5, 'pi_307', 'completed');
        insert into public.gifts (sender_id, recipient_id, coins) values (7, 7, 5), (307, 1, 5);
        insert into public.live_streams (id, user_id) values (507, 7), (508, 8);
        insert into public.follows (follower_id, followee_id) values (7, 999), (7, 1), (8, 999);
        insert into public.user_links (user_id, label, url, position) values
            (7, 'a', 'https://a.example/', 0), (7, 'b', 'javascript:', 1),
            (8, 'a', 'https://a.example/', 0), (8, 'b', 'javascript:', 1);
        alter table public.user_links add primary key (user_id, label);
        insert into public.chat_messages (stream_id, user_id, body) values
            (77, 7, 'no stream'), (77, 8, 'no stream'), (1, 307, 'no match');
        insert into public.leaderboard_cache (user_id, score) values (7, 1), (8, 2);
        create table public.given (user_id bigint, profile_id uuid);
        insert into public.given values (7, '{anna}'), (8, '{berta}');
    """,
    Generation.SECOND: """
        insert into public.gifts (sender_id, recipient_id, coin_amount)
        values ('{anna}', '{anna}', 5), ('{berta}', '{berta}', 5), ('{berta}', '{anna}', 5);
        insert into public.live_streams (profile_id) values ('{anna}'), ('{berta}');
        insert into public.active_viewers (stream_id, viewer_id)
        values (1, '{anna}'), (1, '{berta}');
        insert into public.coin_ledger (profile_id, amount, type)
        values ('{anna}', 0, 'nothing'), ('{berta}', 0, 'nothing');
    """,
}
# A copy of their rows, under a name that our schema uses.
COPY = {
    Generation.FIRST: "select user_id, display_name, memo from public.user_profiles",
    Generation.SECOND: "select id, display_name, memo from public.profiles",
}
COPIES_TOO = TABLES.replace("('r', 'p')", "('r', 'p', 'm')")
LEFT_BEHIND = {"fleet.quarantine", "fleet.archived_rows", "fleet.upgrade_notes"}
# All numbers: those of the ledger, and those that say what was before.
NUMBERS = """
select (select jsonb_agg(to_jsonb(q) - 'source_row' order by id) from fleet.quarantine q),
    (select jsonb_agg(to_jsonb(r) - 'source_row' order by id) from fleet.archived_rows r),
    (select jsonb_agg(to_jsonb(n) - 'old_value' order by id) from fleet.upgrade_notes n),
    (select jsonb_agg(to_jsonb(e) order by id) from public.ledger_entries e),
    (select jsonb_agg(q.source_row -> 'coins' order by id) from fleet.quarantine q)
"""


class Told:
    """An upgraded platform in which both people left their words."""

    def __init__(self, database: Database, db: Connection) -> None:
        self.database, self.db = database, db

    async def erase(self, who: UUID) -> int:
        """Erase somebody; return how many old rows were cleared."""
        erasure = await erase_profile(self.database.url(), who, requested_by="me", reason="asked")
        return erasure.cleared["old_rows"]

    async def telling(self, who: UUID) -> dict[str, list[str]]:
        """Return each row that has somebody's word in it, as text, by its table."""
        pattern = f"({WORDS[who]}|{WORDS[who].encode().hex()})"
        found = {}
        for (table,) in await self.db.fetch(COPIES_TOO):
            query = f"select t::text from {table} as t where t::text ~* $1 order by 1"
            if rows := await self.db.fetch(query, pattern):
                found[table] = [row[0] for row in rows]
        return found


async def tell(db: Connection, generation: Generation) -> None:
    """Write the words of both people everywhere."""
    await db.execute(MORE_ROWS[generation].format(anna=ANNA, berta=BERTA))
    await db.execute(MORE_COLUMNS)
    for who, word in WORDS.items():
        number = {ANNA: 7, BERTA: 8}[who]
        whose = number if generation is Generation.FIRST else who
        for table, (rows, more) in TOLD[generation].items():
            what = f", {more.format(word=word)}" if more else ""
            await db.execute(
                FILL.format(table=table, word=word, whose=rows.format(id=whose), more=what)
            )
        await db.execute(
            "update auth.users set email = $2,"
            " raw_user_meta_data = jsonb_build_object('name', $3::text) where id = $1",
            who,
            f"{word}@example.com",
            word,
        )
    copy = f"create materialized view public.user_grid_slots as {COPY[generation]}"
    await db.execute(copy)


@pytest.fixture(scope="module")
def told_platforms(cluster: Cluster, platforms: Platforms) -> Iterator[Platforms]:
    """A platform of each generation, filled with words and upgraded, to clone."""

    async def make(generation: Generation) -> Database:
        database = await cluster.create(platforms[generation].name)
        db = await open_connection(database.url(), application_name="test")
        await tell(db, generation)
        await db.close()
        given = "public.given" if generation is Generation.FIRST else None
        result = await upgrade(database.url(), generation, users_table=given)
        assert result.proof.holds
        return database

    made = {generation: asyncio.run(make(generation)) for generation in Generation}
    yield made
    for database in made.values():
        asyncio.run(cluster.drop(database))


@pytest_asyncio.fixture
async def told(
    cluster: Cluster, told_platforms: Platforms, generation: Generation, look: Look
) -> AsyncIterator[Told]:
    """An upgraded platform of each generation that is full of words, of the test's own."""
    database = await cluster.create(told_platforms[generation].name)
    yield Told(database, await look(database))
    await cluster.drop(database)


async def test_no_word_of_an_erased_person_is_left_anywhere(
    told: Told, generation: Generation
) -> None:
    before = await told.telling(ANNA)
    old_tables = {f"{generation.schema}.{table}" for table in TOLD[generation]}
    assert before.keys() >= LEFT_BEHIND | old_tables | {f"{generation.schema}.user_grid_slots"}
    assert await told.erase(ANNA) > 20
    assert await told.telling(ANNA) == {}


async def test_every_word_of_another_person_stays(told: Told) -> None:
    before = await told.telling(BERTA)
    await told.erase(ANNA)
    assert await told.telling(BERTA) == before


async def test_what_was_set_aside_keeps_every_amount(told: Told) -> None:
    before = await told.db.fetchrow(NUMBERS)
    await told.erase(ANNA)
    assert await told.db.fetchrow(NUMBERS) == before


async def test_a_second_erasure_finds_no_old_row(told: Told) -> None:
    await told.erase(ANNA)
    assert await told.erase(ANNA) == 0


async def test_the_old_tables_stay_closed(told: Told, generation: Generation) -> None:
    await told.erase(ANNA)
    closed = """
        select count(*) = count(*) filter (where tgenabled = 'A') from pg_trigger
        where tgname = 'moved_aside'
    """
    assert await told.db.fetchval(closed)
    with pytest.raises(asyncpg.ReadOnlySQLTransactionError):
        await told.db.execute(f"delete from {generation.schema}.gifts")


async def test_an_erasure_does_without_old_tables_that_were_dropped(
    told: Told, generation: Generation
) -> None:
    await told.db.execute(f"drop schema {generation.schema} cascade")
    assert await told.erase(ANNA) > 2
    assert await told.telling(ANNA) == {}


async def test_an_undo_after_an_erasure_brings_no_word_back(
    told: Told, generation: Generation
) -> None:
    await told.erase(ANNA)
    await undo(told.database.url(), generation)
    assert await told.telling(ANNA) == {}
    assert await told.db.fetchval(
        "select count(*) from public.gifts where sender_id = recipient_id"
    )


async def test_somebody_who_has_no_profile_is_erased_by_their_old_id(
    told: Told, generation: Generation
) -> None:
    old_id, field = {
        Generation.FIRST: ("102", "display_name"),
        Generation.SECOND: (str(person(901)), "username"),
    }[generation]
    named = f"""
        select count(*) from fleet.quarantine
        where source_row ->> '{field}' <> ''
            and '{old_id}' in (source_key, source_row ->> 'user_id')
    """
    assert await told.db.fetchval(named) == 1
    assert await told.db.fetchval("select fleet.erase_old_rows(array[$1])", old_id) > 1
    assert await told.db.fetchval(named) == 0


@pytest.mark.parametrize(
    ("table", "row", "emptied"),
    [
        ("users", {"id": 5, "created_at": "2024-01-01T10:00:00", "coin_balance": 7}, set()),
        ("users", {"phone": 4_231_234, "born": "1990-01-01T00:00:00"}, {"phone", "born"}),
        ("gifts", {"coins": 5, "is_paid": True, "gift_type": "rose", "stream_id": 1}, set()),
        ("gifts", {"at": "2024-01-01T10:00:00.25+00:00", "who": str(ANNA)}, set()),
        ("gifts", {"at": "2024-01-01T10:00:00 with Anna", "who": f"Anna {ANNA}"}, {"at", "who"}),
        ("gifts", {"day": "1990-01-01", "words": ["Anna"], "facts": {"n": 1}, "nothing": None},
            {"day", "words", "facts"}),
    ],
)  # fmt: skip
async def test_ids_times_and_numbers_stay_and_of_a_persons_own_row_less(
    finished: Finished, look: Look, table: str, row: dict[str, object], emptied: set[str]
) -> None:
    db = await look(finished[Generation.FIRST][0])
    fields = await db.fetchval("select fleet.personal_fields($1, $2)", table, json.dumps(row))
    assert json.loads(fields) == dict.fromkeys(emptied)


@pytest.mark.long
async def test_nobody_is_erased_in_the_middle_of_an_upgrade(
    platform: Database, generation: Generation, look: Look
) -> None:
    with pytest.raises(Interrupted):
        await upgraded(platform, generation, on_progress=stop_at("follows"))
    with pytest.raises(UpgradeUnfinished):
        await erase_profile(platform.url(), ANNA, requested_by="me", reason="asked")
    db = await look(platform)
    with pytest.raises(asyncpg.ObjectNotInPrerequisiteStateError):
        await db.execute("select fleet.erase_profile($1, 'me', 'asked')", ANNA)
    assert (await upgraded(platform, generation)).proof.holds
