"""What `coinfleet doctor` finds at the addresses of processes: roles, poolers, TLS."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from db.connections.address import Address
from db.connections.inspection import Login
from tasks.findings import Verdict
from tests.servers.pgbouncer import PgBouncer, needs_pgbouncer
from tests.servers.tls import Authority, needs_openssl, tls_before
from tests.workers.cli.doctor.findings import context, found, wrong
from workers.cli.doctor import logins
from workers.cli.doctor.logins import check_poolers, check_roles, check_tls
from workers.processes import RELEASE, WEB

if TYPE_CHECKING:
    from pathlib import Path

    from tests.clusters import Database

BROKEN, ATTENTION = Verdict.BROKEN, Verdict.ATTENTION
NOW = datetime(2026, 12, 2, tzinfo=UTC)
SEEN = Login(
    user="coinfleet_web",
    is_superuser=False,
    may_create_roles=False,
    is_role=True,
    is_owner=False,
    is_pooled=False,
    uses_tls=True,
    certificate_ends_at=NOW + timedelta(days=90),
    now=NOW,
)


def addresses(database: Database, **others: str) -> dict[str, Any]:
    """The settings of a fleet on this database."""
    names = ("web", "worker", "scheduler", "console")
    own = {f"{name}_database_url": database.url(name) for name in names}
    return {"database_url": database.url()} | own | others


async def test_each_process_with_its_own_role_is_well(shared_database: Database) -> None:
    given = context(**addresses(shared_database))
    for check in (check_roles, check_poolers, check_tls):
        assert {each.verdict for each in await check(given)} == {Verdict.OK}


async def test_addresses_that_are_not_known_are_told_except_to_the_console() -> None:
    (unknown,) = await check_roles(context())
    assert unknown.verdict is Verdict.NOT_CHECKED
    assert "WEB_DATABASE_URL" in unknown.what
    given = context()
    given.is_of_console = True
    assert await check_roles(given) == []


@pytest.mark.parametrize(
    ("setting", "login", "verdict", "said"),
    [
        ("web", "scheduler", BROKEN, "web logs in as coinfleet_scheduler, which is not"),
        ("web", "owner", ATTENTION, "web logs in as coinfleet_owner, which owns the schema"),
        ("worker", "superuser", BROKEN, "worker logs in as postgres, a superuser"),
        ("", "web", BROKEN, "release logs in as coinfleet_web, which does not own the schema"),
    ],
)
async def test_a_wrong_login_is_found(
    shared_database: Database, setting: str, login: str, verdict: Verdict, said: str
) -> None:
    name = f"{setting}_database_url".removeprefix("_")
    given = context(**addresses(shared_database, **{name: shared_database.url(login)}))
    how, what = await found(check_roles, given)
    assert (how, what.startswith(said)) == (verdict, True), what


async def test_an_address_that_is_refused_is_found_without_its_password(
    shared_database: Database,
) -> None:
    url = shared_database.url("web").replace(":test@", ":a-wrong-password@")
    verdict, what = await found(check_roles, context(web_database_url=url))
    assert (verdict, what.startswith("web can't log in: ")) == (BROKEN, True)
    assert "a-wrong-password" not in what


async def test_an_owner_who_may_not_create_roles_cannot_release() -> None:
    owner = replace(SEEN, is_owner=True)
    (finding,) = logins.judge_role(RELEASE, Address(), owner)
    assert (finding.verdict, "may not create roles" in finding.what) == (BROKEN, True)
    (finding,) = logins.judge_role(RELEASE, Address(), replace(owner, may_create_roles=True))
    assert finding.verdict is Verdict.OK


@needs_pgbouncer
async def test_a_pooler_is_found_whether_or_not_the_address_says_so(
    database: Database, server_folder: Path
) -> None:
    dropped = [
        "extra_float_digits",
        "statement_timeout",
        "lock_timeout",
        "idle_in_transaction_session_timeout",
        "client_connection_check_interval",
        "jit",
    ]
    pooler = PgBouncer(
        server_folder / f"doctor-{database.name}",
        [database.url("web")],
        sessions=2,
        dropped=dropped,
    )
    pooler.start()
    try:
        told = pooler.url(database.url("web"))
        silent = told.partition("?")[0]
        assert wrong(await check_poolers(context(web_database_url=told))) == []
        verdict, what = await found(check_poolers, context(web_database_url=silent))
        assert (verdict, "does not say so: prepared statements" in what) == (BROKEN, True)
    finally:
        pooler.stop()


@pytest.mark.long
@needs_pgbouncer
async def test_a_pooler_that_refuses_what_a_session_asks_for_is_found(
    database: Database, server_folder: Path
) -> None:
    pooler = PgBouncer(server_folder / f"r-{database.name}", [database.url("web")], sessions=1)
    pooler.start()
    try:
        silent = pooler.url(database.url("web")).partition("?")[0]
        verdict, what = await found(check_poolers, context(web_database_url=silent))
        assert (verdict, "a pooler answers at WEB_DATABASE_URL" in what) == (BROKEN, True)
    finally:
        pooler.stop()


async def test_an_address_that_names_a_pooler_for_nothing_is_found(
    shared_database: Database,
) -> None:
    url = f"{shared_database.url('web')}?pooler=transaction"
    verdict, what = await found(check_poolers, context(web_database_url=url))
    assert (verdict, "the server itself answers" in what) == (ATTENTION, True)
    url = f"{shared_database.url()}?pooler=transaction"
    verdict, what = await found(check_poolers, context(database_url=url))
    assert (verdict, "a release needs a whole session" in what) == (BROKEN, True)


REMOTE = "postgresql://coinfleet_web@db.example.com/coinfleet"


@pytest.mark.parametrize(
    ("query", "others", "verdict", "said"),
    [
        ("?sslmode=verify-full", {}, None, ""),
        ("?sslrootcert=system", {}, None, ""),
        ("", {"uses_tls": False}, BROKEN, "go to db.example.com:5432 in the clear"),
        ("", {}, ATTENTION, "(sslmode=prefer), and may fall back to none"),
        ("?sslmode=require", {}, ATTENTION, "(sslmode=require)"),
        (
            "?sslmode=verify-full",
            {"certificate_ends_at": NOW + timedelta(days=20)},
            ATTENTION,
            "ends at 2026-12-22 00:00Z",
        ),
        (
            "?sslmode=verify-ca",
            {"certificate_ends_at": NOW - timedelta(days=1)},
            BROKEN,
            "ended at 2026-12-01 00:00Z",
        ),
    ],
)
def test_the_way_to_a_database_elsewhere_is_encrypted_and_proves_it(
    query: str, others: dict[str, Any], verdict: Verdict | None, said: str
) -> None:
    seen = replace(SEEN, **others)
    findings = wrong(list(logins.judge_tls(WEB, Address.parse(REMOTE + query), seen)))
    assert [(how, said in what) for how, what in findings] == ([(verdict, True)] if verdict else [])


@needs_openssl
async def test_the_certificate_of_the_server_itself_is_read(
    shared_database: Database, tmp_path: Path
) -> None:
    authority = Authority(tmp_path)
    authority.make()
    with tls_before(shared_database.url("web"), authority.context()) as through:
        verdict, what = await found(
            check_tls, context(web_database_url=f"{through}?sslmode=require")
        )
    # Certificates of the tests hold for two days.
    assert (verdict, "web: the certificate of 127.0.0.1:" in what) == (ATTENTION, True)
