"""Plans of presence at 100,000 viewers on 10,000 streams: cost follows what changed.

There is no index for silence, on purpose: a sweep and a recompute each read all viewers once. Each
statement is planned with its values and without them, as a session may do.
"""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio

from db.connections.pool import open_connection
from tests.db.plans import Node, indexes, plan, statement
from tests.db.presence.audience import NOON, Audience, at, entry

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from db.connections.pool import Connection
    from tests.clusters import Cluster, Database

STREAMS = 10_000
VIEWERS = 100_000
CHANGES = 2_000
PKEY = "active_viewers_pkey"
BY_VIEWER = "active_viewers_viewer_id_activated_at_idx"

# At noon nobody has been silent for a minute; a second later a thousand have.
FULL_HOUSE = f"""
set session_replication_role = replica;
insert into auth.users (id) select md5(n::text)::uuid from generate_series(1, {VIEWERS}) as n;
insert into public.profiles (id) select id from auth.users;
insert into public.live_streams (profile_id, live_available, is_published, active_viewer_count)
select md5(n::text)::uuid, true, true, 10 from generate_series(1, {STREAMS}) as n;
insert into public.active_viewers (
    stream_id, viewer_id, is_active, is_unmuted, is_visible, is_subscribed, last_active_at,
    activated_at
)
select n % {STREAMS} + 1, md5(n::text)::uuid, true, true, true, true,
    '{NOON}'::timestamptz - case when n % 100 = 0 then 59.5 else n % 15 end * interval '1 s',
    '{NOON}'::timestamptz - interval '1 hour'
from generate_series(1, {VIEWERS}) as n;
insert into fleet.publish_marks (stream_id, viewer_id)
select n % {STREAMS} + 1, md5(n::text)::uuid from generate_series(1, {CHANGES}) as n;
update fleet.publish_horizon set silent_until = '{NOON}'::timestamptz - interval '60 s',
    max_active_streams_per_viewer = 4, everything_at = '{NOON}';
reset session_replication_role;
"""


@pytest.fixture(scope="module")
def many_viewers(cluster: Cluster, template: Database) -> Iterator[Database]:
    """A database with 100,000 viewers; its tests roll back what they do."""
    database = asyncio.run(cluster.create(template.name))
    asyncio.run(load(database))
    yield database
    asyncio.run(cluster.drop(database))


async def load(database: Database) -> None:
    """Fill the tables."""
    superuser = await open_connection(database.url("superuser"), application_name="test")
    await superuser.execute(FULL_HOUSE)
    await superuser.execute("vacuum analyze")
    await superuser.close()


@pytest_asyncio.fixture
async def audience(many_viewers: Database) -> AsyncIterator[Audience]:
    """The audience, in a transaction that is rolled back."""
    connection = await open_connection(many_viewers.url(), application_name="test")
    await connection.transaction().start()
    yield Audience(connection)
    connection.terminate()


@pytest.fixture(params=["force_generic_plan", "force_custom_plan"])
def mode(request: pytest.FixtureRequest) -> str:
    """How a session plans a statement: once for all values, or for the given ones."""
    found: str = request.param
    return found


async def prepared(
    audience: Audience, mode: str, types: str, sql: str, *values: object
) -> list[Node]:
    """Return the nodes of the plan of a prepared statement, from the top."""
    await audience.db.execute(f"set local plan_cache_mode = {mode}")
    await audience.db.execute(f"prepare asked({types}) as {sql}")
    literals = ", ".join(f"'{value}'" for value in values)
    return await plan(audience.db, f"execute asked({literals})")


def of(table: str, nodes: list[Node]) -> list[str]:
    """Return how a plan reads a table, node by node."""
    return [node.by or node.kind for node in nodes if node.table == table]


@pytest.mark.long_but_first
@pytest.mark.parametrize("streams", [1, 1_000, STREAMS])
async def test_however_many_streams_are_looked_at_each_is_judged_by_index(
    audience: Audience, mode: str, streams: int
) -> None:
    judge = statement(
        "fleet.streams_to_switch",
        "select s.id",
        p_stream_ids="$1",
        p_silent_until="$2",
        p_max_streams_per_viewer="$3",
    )
    ids = "{" + ",".join(map(str, range(1, streams + 1))) + "}"
    types = "bigint[], timestamptz, integer"
    nodes = await prepared(audience, mode, types, judge, ids, at(-59), 4)
    assert indexes(nodes) == {"live_streams_pkey", PKEY, BY_VIEWER}


async def test_marks_and_the_other_streams_of_their_viewers_are_read_by_index(
    audience: Audience, mode: str
) -> None:
    look = statement(
        "fleet.streams_to_check",
        "with taken",
        p_silent_since="$1",
        p_silent_until="$2",
        p_max_streams_per_viewer="$3",
        p_limit="$4",
    )
    types = "timestamptz, timestamptz, integer, integer"
    nodes = await prepared(audience, mode, types, look, at(-60), at(-59), 4, 200_000)
    assert sorted(of("active_viewers", nodes)) == ["Seq Scan", BY_VIEWER]
    assert set(of("publish_marks", nodes)) <= {"publish_marks_pkey", "Seq Scan"}


@pytest.mark.parametrize("streams", [1, 1_000])
async def test_counters_are_written_by_index(audience: Audience, streams: int) -> None:
    change = statement(
        "fleet.change_stream_counters",
        "with changed as",
        p_stream_ids="$1",
        p_viewers="$2",
        p_coins="$3",
        v_free_ids="$1",
    )
    ids = "{" + ",".join(map(str, range(1, streams + 1))) + "}"
    types = "bigint[], bigint[], bigint[]"
    # The function sets the same for itself.
    nodes = await prepared(audience, "force_generic_plan", types, change, ids, ids, ids)
    assert of("live_streams", nodes) == ["live_streams_pkey"]


async def test_a_heartbeat_finds_its_row_by_index(audience: Audience, mode: str) -> None:
    beat = statement(
        "fleet.record_heartbeat", "update", p_stream_id="$1", p_viewer_id="$2", p_now="now()"
    )
    for flag in ("active", "unmuted", "visible", "subscribed"):
        beat = beat.replace(f"p_is_{flag}", "true")
    viewer = await audience.db.fetchval("select md5('1')::uuid")
    nodes = await prepared(audience, mode, "bigint, uuid", beat, 2, viewer)
    assert len(nodes) == 1
    assert indexes(nodes) <= {PKEY, BY_VIEWER}


async def test_a_tabs_heartbeat_finds_its_row_by_index(audience: Audience, mode: str) -> None:
    beat = statement(
        "fleet.record_tab_heartbeat",
        "update",
        p_stream_id="$1",
        p_viewer_id="$2",
        p_now="now()",
        v_beats="'{}'",
    )
    for flag in ("active", "unmuted", "visible", "subscribed"):
        beat = beat.replace(f"p_is_{flag}", "true")
    viewer = await audience.db.fetchval("select md5('1')::uuid")
    nodes = await prepared(audience, mode, "bigint, uuid", beat, 2, viewer)
    assert [node.by for node in nodes if node.table == "active_viewers"] in ([PKEY], [BY_VIEWER])
    assert indexes(nodes) <= {PKEY, BY_VIEWER, None}


async def test_a_gateways_heartbeats_find_their_rows_by_index(
    audience: Audience, mode: str
) -> None:
    beats = statement("fleet.record_heartbeats", "return query", p_heartbeats="$1", p_now="$2")
    entries = json.dumps(await thousand(audience.db))
    nodes = await prepared(audience, mode, "jsonb, timestamptz", beats, entries, at(1))
    assert [of(table, nodes) for table in ("live_streams", "profiles")] == [
        ["live_streams_pkey"],
        ["profiles_pkey"],
    ]
    assert indexes(nodes) <= {PKEY, BY_VIEWER, "live_streams_pkey", "profiles_pkey"}


async def thousand(db: Connection) -> list[dict[str, object]]:
    """Return a gateway's entries for a thousand viewers on many streams."""
    rows = await db.fetch(
        "select viewer_id, stream_id from public.active_viewers order by viewer_id limit 1000"
    )
    return [entry(row["viewer_id"], row["stream_id"]) for row in rows]


# Functions while they run


async def reads(db: Connection) -> dict[str, int]:
    """Return how often this transaction read each table of presence whole."""
    rows = await db.fetch(
        "select relname, seq_scan from pg_stat_xact_user_tables"
        " where relname in ('active_viewers', 'live_streams', 'profiles')"
    )
    return {row["relname"]: row["seq_scan"] for row in rows}


async def test_a_recompute_reads_the_viewers_once_and_no_other_table_whole(
    audience: Audience,
) -> None:
    before = await reads(audience.db)
    for second in range(1, 8):
        await audience.recompute(second=second)
        before["active_viewers"] += 1
        assert await reads(audience.db) == before


async def test_a_sweep_reads_the_viewers_once_and_no_other_table_whole(audience: Audience) -> None:
    before = await reads(audience.db)
    assert await audience.sweep(second=1) == VIEWERS // 100
    assert await reads(audience.db) == before | {"active_viewers": before["active_viewers"] + 1}


@pytest.mark.parametrize("tabs", [{}, {"tab": "a"}])
async def test_heartbeats_read_no_table_whole_and_touch_no_index(
    audience: Audience, tabs: dict[str, object]
) -> None:
    entries = [each | tabs for each in await thousand(audience.db)]
    hot = "select pg_stat_get_xact_tuples_hot_updated('public.active_viewers'::regclass)"
    before, hot_before = await reads(audience.db), await audience.db.fetchval(hot)
    await audience.gateway_call(*entries, second=0)
    assert await reads(audience.db) == before
    assert await audience.db.fetchval(hot) == hot_before + 1000
