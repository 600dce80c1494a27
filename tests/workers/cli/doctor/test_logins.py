"""What `coinfleet doctor` finds at the addresses of processes: roles, poolers, TLS."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tasks.findings import Verdict
from tests.provoking import case
from tests.servers.pgbouncer import PgBouncer, needs_pgbouncer
from tests.servers.tls import Authority, needs_openssl, tls_before
from tests.workers.cli.doctor.findings import context, found, wrong
from workers.cli.doctor.logins import check_poolers, check_roles, check_tls

if TYPE_CHECKING:
    from pathlib import Path

    from tests.clusters import Database

BROKEN, ATTENTION = Verdict.BROKEN, Verdict.ATTENTION
# An address of this machine that the doctor takes for another's: by Linux it is loopback, too.
ELSEWHERE = "0.0.0.0"  # noqa: S104 -- nobody listens there


def elsewhere(url: str) -> str:
    """The same address under that name."""
    return url.replace("@127.0.0.1:", f"@{ELSEWHERE}:")


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
        case(
            "login_of_other_role",
            *("web", "scheduler", BROKEN, "web logs in as coinfleet_scheduler, which is not"),
        ),
        case(
            "login_of_owner",
            *("web", "owner", ATTENTION, "web logs in as coinfleet_owner, which owns the schema"),
        ),
        case(
            "login_of_superuser",
            *("worker", "superuser", BROKEN, "worker logs in as postgres, a superuser"),
        ),
        case(
            "release_not_owner",
            *("", "web", BROKEN, "release logs in as coinfleet_web, which does not own the schema"),
        ),
    ],
)
async def test_a_wrong_login_is_found(
    shared_database: Database, setting: str, login: str, verdict: Verdict, said: str
) -> None:
    name = f"{setting}_database_url".removeprefix("_")
    given = context(**addresses(shared_database, **{name: shared_database.url(login)}))
    how, what = await found(check_roles, given)
    assert (how, what.startswith(said)) == (verdict, True), what


@pytest.mark.provokes("login_refused")
async def test_an_address_that_is_refused_is_found_without_its_password(
    shared_database: Database,
) -> None:
    url = shared_database.url("web").replace(":test@", ":a-wrong-password@")
    verdict, what = await found(check_roles, context(web_database_url=url))
    assert (verdict, what.startswith("web can't log in: ")) == (BROKEN, True)
    assert "a-wrong-password" not in what


async def test_who_cannot_log_in_is_told_once(shared_database: Database) -> None:
    url = shared_database.url("web").replace(":test@", ":a-wrong-password@")
    for check in (check_poolers, check_tls):
        findings = await check(context(web_database_url=url))
        assert wrong(findings) == []
        assert findings[0].what == "not logged in as web"


@needs_pgbouncer
@pytest.mark.provokes("pooler_unnamed")
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
@pytest.mark.provokes("pooler_unnamed")
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


@pytest.mark.provokes("pooler_not_there", "release_through_pooler")
async def test_an_address_that_names_a_pooler_for_nothing_is_found(
    shared_database: Database,
) -> None:
    url = f"{shared_database.url('web')}?pooler=transaction"
    verdict, what = await found(check_poolers, context(web_database_url=url))
    assert (verdict, "the server itself answers" in what) == (ATTENTION, True)
    url = f"{shared_database.url()}?pooler=transaction"
    verdict, what = await found(check_poolers, context(database_url=url))
    assert (verdict, "a release needs a whole session" in what) == (BROKEN, True)


@needs_openssl
@pytest.mark.parametrize(
    ("query", "verdict", "said"),
    [
        ("sslmode=verify-full&sslrootcert={}", None, ""),
        ("sslmode=verify-ca&sslrootcert={}", None, ""),
        case("database_unproved", "sslmode=require", ATTENTION, "(sslmode=require)"),
        case(
            "database_unproved",
            "sslmode=prefer",
            ATTENTION,
            "(sslmode=prefer), and may fall back to none",
        ),
    ],
)
async def test_the_way_to_a_database_elsewhere_is_encrypted_and_proves_it(
    shared_database: Database, tmp_path: Path, query: str, verdict: Verdict | None, said: str
) -> None:
    """ELSEWHERE leads to this machine, and is no name of it: no test leaves it."""
    authority = Authority(tmp_path)
    authority.make()
    tls = authority.context(f"IP:{ELSEWHERE}", days=90)
    with tls_before(shared_database.url("web"), tls) as through:
        url = f"{elsewhere(through)}?{query.format(authority.certificate)}"
        findings = wrong(await check_tls(context(web_database_url=url)))
    assert [(how, said in what) for how, what in findings] == ([(verdict, True)] if verdict else [])


@pytest.mark.provokes("database_in_clear")
async def test_a_database_elsewhere_without_tls_is_found(shared_database: Database) -> None:
    url = elsewhere(shared_database.url("web"))
    verdict, what = await found(check_tls, context(web_database_url=url))
    assert (verdict, f"go to {ELSEWHERE}:" in what, "in the clear" in what) == (BROKEN, True, True)
    assert ":test@" not in what


@needs_openssl
@pytest.mark.provokes("certificate_ends")
async def test_a_certificate_that_has_ended_is_found(
    shared_database: Database, tmp_path: Path
) -> None:
    """A driver takes one, unless it is to prove the server."""
    authority = Authority(tmp_path)
    authority.make()
    with tls_before(shared_database.url("web"), authority.context(days=-1)) as through:
        given = context(web_database_url=f"{through}?sslmode=require")
        verdict, what = await found(check_tls, given)
    assert (verdict, " ended at 20" in what) == (BROKEN, True), what


@needs_openssl
@pytest.mark.provokes("certificate_ends")
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
