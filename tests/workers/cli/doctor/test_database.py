"""What `coinfleet doctor` finds in the database: each finding is provoked in a real one."""

from __future__ import annotations

import shutil
from dataclasses import replace
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from db.connections.pool import open_connection, open_pool
from db.health.server import read_server
from tasks.findings import Verdict
from tests.workers.cli.doctor.findings import context, found, wrong
from workers.cli.doctor import database as checks
from workers.cli.doctor.database import (
    FREE_BYTES_ATTENTION,
    SLOT_BYTES,
    XID_AGE_ATTENTION,
    XID_AGE_BROKEN,
    check_books,
    check_clock,
    check_disk,
    check_grants,
    check_passwords,
    check_schema,
    check_server,
    check_sessions,
    reach,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from db.connections.pool import Connection
    from db.health.server import Server
    from tests.clusters import Database

BROKEN, ATTENTION = Verdict.BROKEN, Verdict.ATTENTION


async def reached(url: str) -> tuple[Verdict, str]:
    pool = await open_pool(url, application_name="test", min_size=0, max_size=1)
    try:
        (finding,) = await reach(context(pool))
    finally:
        pool.terminate()
    return finding.verdict, finding.what


async def test_a_database_that_is_away_or_not_ours_is_a_finding(
    shared_database: Database, empty_database: Database
) -> None:
    assert (await reached(shared_database.url()))[0] is Verdict.OK
    verdict, what = await reached("postgresql://nobody:secret@127.0.0.1:1/nowhere")
    assert (verdict, "127.0.0.1:1" in what, "secret" in what) == (BROKEN, True, False)
    verdict, what = await reached(shared_database.url().replace(":test@", ":wrong-secret@"))
    assert (verdict, "wrong-secret" in what) == (BROKEN, False)
    assert await reached(empty_database.url()) == (
        BROKEN,
        "the database holds no schema of coinfleet",
    )
    (unknown,) = await reach(context())
    assert unknown.verdict is Verdict.NOT_CHECKED


MORE = """
    create trigger t after insert on public.gifts
    for each row execute function public.update_viewer_count()
"""
CHANGES = [
    ("drop trigger trigger_update_viewer_count on public.active_viewers", BROKEN, "it is gone"),
    ("alter table public.gifts drop column slot_index", BROKEN, "tables lack"),
    (
        MORE,
        ATTENTION,
        "somebody added: trigger t",
    ),
    ("delete from fleet.schema_migrations", BROKEN, "the schema is not this release's"),
]


@pytest.mark.long_but_first
@pytest.mark.parametrize(("change", "verdict", "said"), CHANGES)
async def test_what_the_schema_lost_or_got_is_found(
    session: Connection, change: str, verdict: Verdict, said: str
) -> None:
    await session.execute(change)
    how, what = await found(check_schema, context(session))
    assert (how, said in what) == (verdict, True), what


async def test_a_schema_as_released_is_well(session: Connection) -> None:
    assert wrong(await check_schema(context(session))) == []
    assert wrong(await check_grants(context(session))) == []


@pytest.mark.long_but_first
@pytest.mark.parametrize(
    ("change", "verdict", "said"),
    [
        (
            "revoke usage on schema fleet from coinfleet_scheduler",
            BROKEN,
            "rights are gone: grant usage on schema fleet to coinfleet_scheduler",
        ),
        (
            "grant select on fleet.inbox_events to coinfleet_web",
            BROKEN,
            "somebody was given more than db/policies says: grant select on fleet.inbox_events",
        ),
        ("grant delete on public.ledger_entries to anon", BROKEN, "somebody was given more"),
        (
            "alter table public.gifts disable row level security",
            BROKEN,
            "it is gone",
        ),
    ],
)
async def test_rights_are_compared_with_those_of_the_policies(
    session: Connection, change: str, verdict: Verdict, said: str
) -> None:
    await session.execute(change)
    both = [*await check_grants(context(session)), *await check_schema(context(session))]
    ((how, what),) = wrong(both)
    assert (how, said in what) == (verdict, True), what


async def test_a_catalog_that_cannot_be_compared_is_not_said_to_be_well(
    session: Connection,
) -> None:
    await session.execute("drop function fleet.catalog_differences()")
    for check in (check_schema, check_grants):
        (finding,) = await check(context(session))
        assert (finding.verdict, finding.fix) == (Verdict.NOT_CHECKED, "run `coinfleet migrate`")


async def test_the_fix_of_a_right_too_many_takes_it_back(session: Connection) -> None:
    await session.execute("grant select on fleet.inbox_events to coinfleet_web")
    (finding,) = await check_grants(context(session))
    _, statement, _ = finding.fix.rsplit("`", 2)
    assert statement == "revoke select on fleet.inbox_events from coinfleet_web"
    await session.execute(statement)
    assert wrong(await check_grants(context(session))) == []


async def test_the_clock_is_compared_with_the_databases(session: Connection) -> None:
    assert wrong(await check_clock(context(session))) == []


async def test_a_server_that_may_lose_what_it_acknowledged_is_broken(session: Connection) -> None:
    # The server of the tests is one.
    findings = wrong(await check_server(context(session)))
    assert {what.split()[0] for _, what in findings} == {"fsync", "full_page_writes"}


async def test_a_server_that_takes_no_writes_is_broken(shared_database: Database) -> None:
    url = f"{shared_database.url()}?options=-c%20default_transaction_read_only%3Don"
    pool = await open_pool(url, application_name="test", min_size=0, max_size=1)
    try:
        (first, *_) = wrong(await check_server(context(pool)))
    finally:
        pool.terminate()
    assert first[0] is BROKEN
    assert first[1].startswith("the server takes no writes")


async def server(session: Connection, **others: Any) -> Server:
    known: Server = await read_server(session)  # type: ignore[arg-type]
    safe = {"fsync": "on", "full_page_writes": "on", "autovacuum": "on"}
    return replace(known, **({"settings": safe, "version_num": 180004} | others))


@pytest.mark.parametrize(
    ("others", "verdict", "said"),
    [
        ({}, None, ""),
        ({"version_num": 140010}, BROKEN, "PostgreSQL 14 is too old"),
        ({"version_num": 190001}, ATTENTION, "PostgreSQL 19 is newer"),
        ({"settings": {"autovacuum": "off"}}, ATTENTION, "autovacuum is off"),
        ({"xid_age": XID_AGE_ATTENTION + 1}, ATTENTION, "1,000,000,001 transactions"),
        ({"xid_age": XID_AGE_BROKEN + 1}, BROKEN, "1,800,000,001 transactions"),
    ],
)
async def test_a_server_has_a_future(
    session: Connection,
    monkeypatch: pytest.MonkeyPatch,
    others: dict[str, Any],
    verdict: Verdict | None,
    said: str,
) -> None:
    told = await server(session, **others)
    monkeypatch.setattr(checks, "read_server", returning(told))
    findings = wrong(await check_server(context(session)))
    assert [(how, what.startswith(said)) for how, what in findings] == (
        [(verdict, True)] if verdict else []
    )


async def test_commits_that_wait_for_a_standby_are_found(
    session: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checks, "read_server", returning(await server(session)))
    monkeypatch.setattr(checks, "awaited_standbys", returning("s1"))
    verdict, what = await found(check_server, context(session))
    assert (verdict, "waits for a standby (s1)" in what) == (BROKEN, True)


async def test_sessions_run_out(session: Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    assert wrong(await check_sessions(context(session))) == []
    told = await server(session, sessions=90, sessions_max=100)
    monkeypatch.setattr(checks, "read_server", returning(told))
    assert await found(check_sessions, context(session)) == (
        ATTENTION,
        "90 of 100 sessions are used",
    )


@pytest.mark.parametrize(
    ("until", "verdict"), [("30 days", None), ("5 days", ATTENTION), ("-1 days", BROKEN)]
)
async def test_a_password_that_ends_soon_is_found(
    session: Connection, shared_database: Database, until: str, verdict: Verdict | None
) -> None:
    superuser = await open_connection(shared_database.url("superuser"), application_name="test")
    alter = "alter role coinfleet_scheduler valid until {}"
    try:
        at = await superuser.fetchval("select quote_literal(now() + $1::text::interval)", until)
        await superuser.execute(alter.format(at))
        findings = wrong(await check_passwords(context(session)))
    finally:
        await superuser.execute(alter.format("'infinity'"))
        superuser.terminate()
    assert [how for how, _ in findings] == ([verdict] if verdict else [])


async def test_a_disk_runs_full(
    session: Connection, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    of_a_server = context(session, coinfleet_data_dir=tmp_path)
    assert [each.verdict for each in await check_disk(of_a_server)] == [Verdict.NOT_CHECKED]
    (tmp_path / "postgres").mkdir()
    for free, verdict in (
        (FREE_BYTES_ATTENTION, Verdict.OK),
        (FREE_BYTES_ATTENTION - 1, ATTENTION),
        (1, BROKEN),
    ):
        usage = SimpleNamespace(free=free)
        monkeypatch.setattr(shutil, "disk_usage", lambda _, usage=usage: usage)
        assert [each.verdict for each in await check_disk(of_a_server)] == [verdict]
    told = await server(session, slots_behind={"s1": SLOT_BYTES + 1, "s2": 1})
    monkeypatch.setattr(checks, "read_server", returning(told))
    findings = wrong(await check_disk(of_a_server))
    assert [each for each in findings if "slot" in each[1]] == [
        (ATTENTION, "the replication slot s1 is unused and keeps 1.0 GB of the log")
    ]


async def test_a_slot_that_nobody_reads_is_seen(
    session: Connection, shared_database: Database
) -> None:
    superuser = await open_connection(shared_database.url("superuser"), application_name="test")
    try:
        await superuser.execute("select pg_create_physical_replication_slot('of_nobody', true)")
        try:
            assert "of_nobody" in (await server(session)).slots_behind
        finally:
            await superuser.execute("select pg_drop_replication_slot('of_nobody')")
    finally:
        superuser.terminate()


async def test_books_that_are_wrong_or_not_proved_are_found(session: Connection) -> None:
    (unproved,) = await check_books(context(session))
    assert (unproved.verdict, unproved.what) == (Verdict.NOT_CHECKED, "no proof was made yet")
    await session.execute(
        "insert into fleet.proofs (kind, violations, started_at, finished_at)"
        " select k, v, clock_timestamp() - a, clock_timestamp() - a from (values"
        " ('full', 3, interval '3 days'), ('new', 0, interval '1 hour')) as p (k, v, a)"
    )
    said = [what for _, what in wrong(await check_books(context(session)))]
    assert said[0] == "the proofs found 3 violations in the books"
    assert [what.split(" were")[0] for what in said[1:]] == ["new entries", "all entries"]


def returning(value: object) -> Callable[..., Any]:
    """A coroutine function that returns this."""

    async def returned(*_: object) -> object:
        return value

    return returned
