"""What `coinfleet doctor` finds in the database: each finding is provoked in a real one."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from db.connections.pool import open_connection, open_pool
from tasks.findings import Verdict
from tasks.reconciliation import prove_everything
from tests.provoking import case, note, noted
from tests.tasks.contexts import make_context
from tests.workers.cli.doctor.findings import context, found, wrong
from workers.cli.doctor import database as doctor_database
from workers.cli.doctor.database import (
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
from workers.cli.doctor.examining import Examined, examine
from workers.cli.doctor.table import HERE, REACH

if TYPE_CHECKING:
    from db.connections.pool import Connection, Pool
    from tests.clusters import Database
    from tests.conftest import Connect

BROKEN, ATTENTION = Verdict.BROKEN, Verdict.ATTENTION


async def reached(url: str) -> tuple[Verdict, str]:
    pool = await open_pool(url, application_name="test", min_size=0, max_size=1)
    try:
        (finding,) = await reach(context(pool))
    finally:
        pool.terminate()
    noted([finding])
    return finding.verdict, finding.what


@pytest.mark.provokes("database_away", "no_schema")
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


@pytest.mark.provokes("release_not_owner")
@pytest.mark.parametrize("login", ["web", "worker", "scheduler", "operator"])
async def test_a_role_that_may_read_little_is_one_finding_and_not_one_per_check(
    shared_database: Database, login: str
) -> None:
    reached, *others = await examined_as(shared_database.url(login))
    (finding,) = noted(reached.findings)
    assert reached.verdict is BROKEN
    assert f"logged us in as coinfleet_{login}, but this needs" in finding.what
    assert "DATABASE_URL" in str(finding.fix)
    assert {each.verdict for each in others} == {Verdict.NOT_CHECKED}


async def test_the_consoles_role_may_read_what_the_doctor_looks_at(
    shared_database: Database,
) -> None:
    reached, *others = await examined_as(shared_database.url("console"))
    assert reached.verdict is Verdict.OK
    findings = [finding for each in others for finding in each.findings]
    assert not [each.what for each in findings if each.code == "check_failed"]


async def examined_as(url: str) -> list[Examined]:
    """What is found in the database with the rights of the role that this address logs in."""
    pool = await open_pool(url, application_name="test", min_size=0, max_size=2)
    try:
        checks = [each for each in HERE if each.asks_database]
        return await examine(checks, context(pool, database_url=url), reach=REACH)
    finally:
        pool.terminate()


async def test_a_database_of_another_release_is_told_once(session: Connection) -> None:
    """As while the first release is made: what asks functions that are not there yet says so."""
    for statement in (
        "delete from fleet.schema_objects where name like 'fleet.vital_signs%'",
        "drop function fleet.vital_signs()",
    ):
        await session.execute(statement)
    # One by one, for they share a session.
    examined = [(await examine([row], context(session), reach=REACH))[1] for row in HERE]
    found = {each.check: each for each in examined}
    assert found["schema"].verdict is BROKEN
    assert {found[name].verdict for name in ("events", "decisions")} == {Verdict.NOT_CHECKED}
    assert {each.findings[0].fix for each in (found["events"], found["decisions"])} == {
        "see `schema`"
    }
    codes = {finding.code for each in examined for finding in each.findings}
    assert "check_failed" not in codes


MORE = """
    create trigger t after insert on public.gifts
    for each row execute function public.update_viewer_count()
"""
CHANGES = [
    case(
        "objects_lost",
        "drop trigger trigger_update_viewer_count on public.active_viewers",
        BROKEN,
        "it is gone",
    ),
    case(
        "tables_damaged", "alter table public.gifts drop column slot_index", BROKEN, "tables lack"
    ),
    case("objects_added", MORE, ATTENTION, "somebody added: trigger t"),
    case(
        "schema_of_other_release",
        "delete from fleet.schema_migrations",
        BROKEN,
        "the schema is not this release's",
    ),
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
        case(
            "rights_lost",
            "revoke usage on schema fleet from coinfleet_scheduler",
            BROKEN,
            "rights are gone: grant usage on schema fleet to coinfleet_scheduler",
        ),
        case(
            "rights_added",
            "grant select on fleet.inbox_events to coinfleet_web",
            BROKEN,
            "somebody was given more than db/policies says: grant select on fleet.inbox_events",
        ),
        case(
            "rights_added",
            "grant delete on public.ledger_entries to anon",
            BROKEN,
            "somebody was given more",
        ),
        case(
            "objects_lost",
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


@pytest.mark.provokes("not_durable")
async def test_a_server_that_may_lose_what_it_acknowledged_is_broken(session: Connection) -> None:
    # The server of the tests is one.
    findings = wrong(await check_server(context(session)))
    assert {what.split()[0] for _, what in findings} == {"fsync", "full_page_writes"}


@pytest.mark.provokes("database_read_only")
async def test_a_server_that_takes_no_writes_is_broken(shared_database: Database) -> None:
    url = f"{shared_database.url()}?options=-c%20default_transaction_read_only%3Don"
    pool = await open_pool(url, application_name="test", min_size=0, max_size=1)
    try:
        (first, *_) = wrong(await check_server(context(pool)))
    finally:
        pool.terminate()
    assert first[0] is BROKEN
    assert first[1].startswith("the server takes no writes")


@pytest.mark.parametrize(
    ("until", "verdict"),
    [
        ("30 days", None),
        case("password_ends", "5 days", ATTENTION),
        case("password_ends", "-1 days", BROKEN),
    ],
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


async def test_the_disk_of_a_server_elsewhere_is_not_known(
    session: Connection, tmp_path: Path
) -> None:
    of_a_server = context(session, coinfleet_data_dir=tmp_path)
    assert [each.verdict for each in await check_disk(of_a_server)] == [Verdict.NOT_CHECKED]


IN_A_SMALL_DISK = (
    'mount -t tmpfs -o "size=$1" small "$2" && mkdir "$2/postgres" && exec "$3" doctor --json'
)
UNSHARE = ("unshare", "--user", "--map-root-user", "--mount")
COMMAND = str(Path(sys.executable).with_name("coinfleet"))
CAN_MOUNT = (
    subprocess.run(
        ["unshare", "--user", "--map-root-user", "--mount", "true"],
        check=False,
        capture_output=True,
    ).returncode
    == 0
)


@pytest.mark.long
@pytest.mark.skipif(not CAN_MOUNT, reason="no namespace of its own, in which a disk is mounted")
@pytest.mark.parametrize(
    ("size", "verdict"),
    [
        ("6g", "ok"),
        case("disk_full", "4g", "attention"),
        case("disk_full", "400m", "broken"),
    ],
)
def test_a_disk_runs_full(
    shared_database: Database, tmp_path: Path, size: str, verdict: str
) -> None:
    """The command itself looks at a disk of that size, of which nothing is used."""
    words = [*UNSHARE, "sh", "-c", IN_A_SMALL_DISK, "sh", size, str(tmp_path), COMMAND]
    found = examined_by(words, shared_database, tmp_path)
    assert found["disk"]["verdict"] == verdict


FAKETIME = shutil.which("faketime")


@pytest.mark.long
@pytest.mark.skipif(FAKETIME is None, reason="apt-get install faketime")
@pytest.mark.provokes("clock_off")
@pytest.mark.parametrize(("ahead", "verdict"), [("+20s", "attention"), ("-100s", "broken")])
def test_a_machine_whose_clock_is_wrong_is_found(
    shared_database: Database, tmp_path: Path, ahead: str, verdict: str
) -> None:
    words = [str(FAKETIME), "-f", ahead, COMMAND, "doctor", "--json"]
    found = examined_by(words, shared_database, tmp_path)
    assert found["clock"]["verdict"] == verdict


def examined_by(words: list[str], database: Database, folder: Path) -> dict[str, Any]:
    """What the command says when it is run by these words."""
    ended = subprocess.run(
        words,
        env={
            "PATH": os.environ["PATH"],
            "COINFLEET_DATA_DIR": str(folder),
            "DATABASE_URL": database.url(),
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        },
        cwd=folder,
        capture_output=True,
        check=False,
    )
    assert ended.stdout, ended.stderr
    checks = {each["check"]: each for each in json.loads(ended.stdout)["checks"]}
    note(finding["code"] for each in checks.values() for finding in each["findings"])
    return checks


@pytest.mark.provokes("proofs_late")
async def test_books_that_are_not_proved_are_found(session: Connection) -> None:
    (unproved,) = await check_books(context(session))
    assert (unproved.verdict, unproved.what) == (Verdict.NOT_CHECKED, "no proof was made yet")
    await session.execute(
        "insert into fleet.proofs (kind, violations, started_at, finished_at)"
        " select k, 0, clock_timestamp() - a, clock_timestamp() - a from (values"
        " ('full', interval '3 days'), ('new', interval '1 hour')) as p (k, a)"
    )
    said = [what for _, what in wrong(await check_books(context(session)))]
    assert [what.split(" were")[0] for what in said] == ["new entries", "all entries"]


@pytest.mark.provokes("transaction_open")
async def test_a_transaction_that_was_left_open_is_found(
    pool: Pool, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doctor_database, "OPEN_AT_MOST_S", 0.0)
    forgotten = await connect()
    async with forgotten.transaction():
        pid = await forgotten.fetchval("select pg_backend_pid() from pg_current_xact_id()")
        found = noted(await check_sessions(context(pool)))
        told = [each for each in found if each.code == "transaction_open" and str(pid) in each.what]
        assert [each.fix for each in told] == [f"end it: `select pg_terminate_backend({pid})`"]
    after = await check_sessions(context(pool))
    assert not [each for each in after if each.code == "transaction_open" and str(pid) in each.what]


@pytest.mark.provokes("books_violated")
async def test_books_that_somebody_broke_are_found(
    database: Database, pool: Pool, worker_pool: Pool, connect: Connect
) -> None:
    db = await connect()
    buyer = await db.fetchval("insert into auth.users (id) values (gen_random_uuid()) returning id")
    await db.execute(
        "select public.update_coin_balance_via_ledger($1, 100, 'adjustment', 'a')", buyer
    )
    tampering = await connect("superuser")
    await tampering.execute("set session_replication_role = replica")
    await tampering.execute("update public.profiles set coin_balance = 200 where id = $1", buyer)
    await prove_everything(make_context(worker_pool))
    verdict, what = await found(check_books, context(pool))
    assert (verdict, "in the books" in what) == (BROKEN, True), what
