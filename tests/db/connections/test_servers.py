"""Connecting: what each parameter of an address does on a real server, and why there is no way in.

What waiting won't cure is refused; what may come back is unavailable. Both name host and port.
"""

from __future__ import annotations

import asyncio
import errno
import os
import shutil
import socket
import subprocess
import sys
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

import asyncpg
import pytest

from db.connections import servers as connecting
from db.connections.address import Host
from db.connections.pool import open_connection, open_pool
from db.connections.servers import _failure
from db.errors import DatabaseRefused, DatabaseUnavailable
from tests.servers.pgbouncer import PgBouncer, needs_pgbouncer
from tests.workers.processes import ROOT

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from db.connections.pool import Connection
    from tests.clusters import Database

CLOSED = "127.0.0.1:1"


@asynccontextmanager
async def connected(url: str, **settings: str) -> AsyncIterator[Connection]:
    """A connection to this address."""
    connection = await open_connection(url, application_name="test", **settings)
    try:
        yield connection
    finally:
        connection.terminate()


def hosts_of(url: str, *hosts: str) -> str:
    """The address with these hosts in place of its own; {} is its own."""
    parts = urlsplit(url)
    account, _, own = parts.netloc.rpartition("@")
    netloc = f"{account}@{','.join(each.format(own) for each in hosts)}"
    return parts._replace(netloc=netloc).geturl()


@pytest.fixture
def url(database: Database) -> str:
    """A worker's address."""
    return database.url("worker")


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home folder with a .postgresql in it."""
    (tmp_path / ".postgresql").mkdir()
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path / ".postgresql"


# Parameters


@pytest.mark.parametrize(
    "query",
    [
        "channel_binding=prefer",
        "connect_timeout=10",
        "connect_timeout=0",
        "gssencmode=disable",
        "sslmode=disable",
        "sslmode=prefer",
        "sslmode=allow",
        "target_session_attrs=read-write",
        "target_session_attrs=primary",
        "target_session_attrs=any",
        "keepalives=0",
        "keepalives=1&keepalives_idle=30&keepalives_interval=10&keepalives_count=3",
        "tcp_user_timeout=30000",
        "client_encoding=utf8",
        "fallback_application_name=other",
        "supa=base-pooler.x",
        "passfile=/nonexistent/pgpass",
        "sslmode=disable&sslrootcert=/nonexistent/ca",
        "options=-c work_mem=7MB",
    ],
)
async def test_an_ordinary_parameter_works(url: str, query: str) -> None:
    async with connected(f"{url}?{query}") as connection:
        assert await connection.fetchval("select session_user") == "coinfleet_worker"


async def test_a_session_is_named_as_its_address_says(url: str) -> None:
    async with connected(f"{url}?application_name=shop%201") as connection:
        assert await connection.fetchval("show application_name") == "shop 1"


async def test_options_reach_the_server_and_our_bounds_stay(url: str) -> None:
    options = quote("-c work_mem=7MB -c statement_timeout=0")
    async with connected(f"{url}?options={options}") as connection:
        assert await connection.fetchval("show work_mem") == "7MB"
        assert await connection.fetchval("show statement_timeout") == "30s"


async def test_the_kernel_watches_a_connection_as_its_address_says(url: str) -> None:
    async with connected(f"{url}?keepalives_idle=30&keepalives_count=3") as connection:
        found: Any = connection._transport.get_extra_info("socket")
        assert found.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
        assert found.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == 30
        assert found.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT) == 3
    async with connected(f"{url}?keepalives=0") as connection:
        found = connection._transport.get_extra_info("socket")
        assert found.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 0


async def test_a_password_is_found_in_a_file(database: Database, tmp_path: Path) -> None:
    file = tmp_path / "pgpass"
    file.write_text("*:*:*:coinfleet_worker:test\n")
    file.chmod(0o600)
    url = database.url("worker").replace(":test@", "@")
    async with connected(f"{url}?passfile={file}") as connection:
        assert await connection.fetchval("select session_user") == "coinfleet_worker"


async def test_a_pool_takes_the_same_parameters(url: str) -> None:
    query = "connect_timeout=10&application_name=shop&target_session_attrs=read-write"
    pool = await open_pool(f"{url}?{query}", application_name="test", max_size=1)
    try:
        assert await pool.fetchval("show application_name") == "shop"
    finally:
        pool.terminate()


# Several hosts


@pytest.mark.parametrize("hosts", [(CLOSED, "{}"), ("{}", CLOSED), (CLOSED, CLOSED, "{}")])
async def test_the_first_host_that_accepts_is_taken(url: str, hosts: tuple[str, ...]) -> None:
    async with connected(hosts_of(url, *hosts)) as connection:
        assert await connection.fetchval("select session_user") == "coinfleet_worker"


async def test_a_silent_host_does_not_use_up_the_next_ones_time(url: str) -> None:
    async def say_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    async with await asyncio.start_server(say_nothing, "127.0.0.1", 0) as silent:
        port = silent.sockets[0].getsockname()[1]
        several = hosts_of(url, f"127.0.0.1:{port}", "{}")
        async with connected(f"{several}?connect_timeout=1") as connection:
            assert await connection.fetchval("select 1") == 1
        with pytest.raises(DatabaseUnavailable, match=f"127.0.0.1:{port}: no answer within 1 s"):
            await open_connection(
                f"postgresql://u@127.0.0.1:{port}/d?connect_timeout=1", application_name="test"
            )


async def test_who_is_less_patient_than_a_silent_host_reaches_the_next_one(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A primary that froze, or whose machine is gone, stands first in the address."""
    monkeypatch.setattr(connecting, "SILENT_FROM_S", 0.0)
    asked = asyncio.Semaphore(0)

    async def say_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.release()
        await reader.read()
        writer.close()

    async with await asyncio.start_server(say_nothing, "127.0.0.1", 0) as silent:
        port = silent.sockets[0].getsockname()[1]
        several = hosts_of(url, f"127.0.0.1:{port}", "{}")
        given_up = asyncio.create_task(open_connection(several, application_name="test"))
        await asked.acquire()
        given_up.cancel()
        with pytest.raises(asyncio.CancelledError):
            await given_up
        for _ in range(2):
            async with connected(several) as connection:
                assert await connection.fetchval("select 1") == 1
        assert asked.locked(), "the silent host was asked again, ahead of one that answers"
        # It is asked once no other is left, and counts again once it answers.
        pending = asyncio.create_task(
            open_connection(hosts_of(url, f"127.0.0.1:{port}", CLOSED), application_name="test")
        )
        await asked.acquire()
        pending.cancel()


async def test_a_host_that_answers_again_stands_in_its_place_again(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connecting, "SILENT_FROM_S", 0.0)
    closed = hosts_of(url, CLOSED)
    with pytest.raises(DatabaseUnavailable):
        await open_connection(closed, application_name="test")
    assert connecting._silent
    monkeypatch.setattr(connecting, "SILENT_FROM_S", 60.0)
    with pytest.raises(DatabaseUnavailable):
        await open_connection(closed, application_name="test")
    assert not {host for host in connecting._silent if host.port == 1}


async def test_of_several_hosts_one_that_takes_no_writes_is_left_out(
    database: Database, url: str
) -> None:
    async with connected(database.url("superuser")) as superuser:
        await superuser.execute(
            f"alter role coinfleet_worker in database {database.name}"
            " set default_transaction_read_only = on"
        )
    with pytest.raises(DatabaseUnavailable, match="takes no writes"):
        await open_connection(hosts_of(url, "{}", "{}"), application_name="test")
    # Alone it is used as before: it may be in the middle of a failover.
    async with connected(url) as connection:
        assert await connection.fetchval("select 1") == 1


async def test_hosts_that_are_all_away_are_all_named(url: str) -> None:
    with pytest.raises(DatabaseUnavailable) as failure:
        await open_connection(hosts_of(url, CLOSED, "127.0.0.1:2"), application_name="test")
    assert str(failure.value) == (
        "The database can't be reached at 127.0.0.1:1: Connection refused;"
        " at 127.0.0.1:2: Connection refused"
    )
    assert not isinstance(failure.value, DatabaseRefused)


@pytest.mark.parametrize("query", ["", "?sslmode=prefer"])
async def test_a_host_whose_name_is_gone_leaves_it_to_the_next_one(url: str, query: str) -> None:
    """A removed machine's name goes with it, and that is when the others are needed."""
    for hosts in [("gone.invalid:5432", "{}"), ("gone.invalid:5432", CLOSED, "{}")]:
        async with connected(hosts_of(url, *hosts) + query) as connection:
            assert await connection.fetchval("select session_user") == "coinfleet_worker"


async def test_a_host_that_speaks_no_postgres_leaves_it_to_the_next_one(url: str) -> None:
    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(8)
        writer.write(b"H")
        writer.close()

    async with await asyncio.start_server(refuse, "127.0.0.1", 0) as other:
        port = other.sockets[0].getsockname()[1]
        async with connected(hosts_of(url, f"127.0.0.1:{port}", "{}")) as connection:
            assert await connection.fetchval("select 1") == 1


async def test_hosts_that_are_all_unknown_are_refused_and_else_waited_for(url: str) -> None:
    with pytest.raises(DatabaseRefused) as refusal:
        await open_connection(
            hosts_of(url, "gone.invalid:1", "gone.invalid:2"), application_name="test"
        )
    assert str(refusal.value) == (
        "the database at gone.invalid:1 can't be used: there is no host of this name;"
        " the database at gone.invalid:2 can't be used: there is no host of this name"
    )
    for hosts in [("gone.invalid:1", CLOSED), (CLOSED, "gone.invalid:1")]:
        with pytest.raises(DatabaseUnavailable) as failure:
            await open_connection(hosts_of(url, *hosts), application_name="test")
        assert not isinstance(failure.value, DatabaseRefused)
        assert "at gone.invalid:1: there is no host of this name" in str(failure.value)
        assert f"at {CLOSED}: Connection refused" in str(failure.value)


# What waiting won't cure


@pytest.mark.parametrize(
    ("change", "cause"),
    [
        ((":test@", ":hunter2@"), 'password authentication failed for user "coinfleet_worker"'),
        (("coinfleet_worker:", "nobody:"), 'password authentication failed for user "nobody"'),
        (("/test_", "/gone_"), "does not exist"),
    ],
)
async def test_what_waiting_does_not_cure_is_refused_with_its_cause(
    url: str, change: tuple[str, str], cause: str
) -> None:
    wrong = url.replace(*change)
    place = wrong.rpartition("@")[2].partition("/")[0]
    pool = await open_pool(wrong, application_name="test", max_size=1, min_size=0)
    for opening in (open_connection(wrong, application_name="test"), pool.fetchval("select 1")):
        with pytest.raises(DatabaseRefused) as refusal:
            await opening
        assert f"the database at {place} can't be used: " in str(refusal.value)
        assert cause in str(refusal.value)
        assert "hunter2" not in str(refusal.value)
    pool.terminate()


@needs_pgbouncer
@pytest.mark.parametrize(
    "change",
    [(":test@", ":hunter2@"), ("coinfleet_worker:", "nobody:"), ("/test_", "/gone_")],
)
async def test_what_a_pooler_will_never_let_in_is_refused(
    database: Database, server_folder: Path, change: tuple[str, str]
) -> None:
    """PgBouncer may give it the code of a lost connection."""
    pooler = PgBouncer(
        server_folder / f"refusing-{database.name}", [database.url("worker")], sessions=2
    )
    pooler.start()
    try:
        wrong = pooler.url(database.url("worker")).replace(*change)
        with pytest.raises(DatabaseRefused) as refusal:
            await open_connection(wrong, application_name="test")
        assert "hunter2" not in str(refusal.value)
    finally:
        pooler.stop()


async def test_a_setting_that_the_server_does_not_know_is_refused(url: str) -> None:
    with pytest.raises(DatabaseRefused, match="unrecognized configuration parameter"):
        await open_connection(f"{url}?options=-c%20no_such%3D1", application_name="test")


@pytest.mark.parametrize("name", ["sslrootcert", "sslcrl", "sslcert", "sslkey"])
@pytest.mark.parametrize("mode", ["prefer", "require", "verify-ca", "verify-full"])
async def test_a_file_that_is_missing_is_refused_by_name(url: str, name: str, mode: str) -> None:
    with pytest.raises(
        DatabaseRefused, match=r"names /nonexistent/x, which can't be used \(No such"
    ):
        await open_connection(
            f"{url}?sslmode={mode}&{name}=/nonexistent/x", application_name="test"
        )


@pytest.mark.parametrize("name", ["sslrootcert", "sslcrl"])
@pytest.mark.parametrize("text", ["", "no certificate"])
async def test_a_file_that_is_no_certificate_is_refused_by_name(
    url: str, tmp_path: Path, name: str, text: str
) -> None:
    file = tmp_path / "file"
    file.write_text(text)
    with pytest.raises(DatabaseRefused, match=f"{name} names {file}, which can't be used"):
        await open_connection(f"{url}?sslmode=require&{name}={file}", application_name="test")


@pytest.mark.parametrize("name", ["root.crt", "root.crl", "postgresql.crt"])
async def test_a_file_at_home_that_is_no_certificate_is_refused(
    url: str, home: Path, name: str
) -> None:
    (home / name).write_text("no certificate")
    with pytest.raises(DatabaseRefused, match="a certificate or key file can't be used"):
        await open_connection(f"{url}?sslmode=require", application_name="test")


async def test_a_full_check_without_a_ca_is_refused(url: str, home: Path) -> None:
    with pytest.raises(DatabaseRefused, match=r"root certificate file .* does not exist"):
        await open_connection(f"{url}?sslmode=verify-full", application_name="test")


async def test_a_home_that_cannot_be_read_is_refused_whatever_asks_for_it(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Root may read everything, so another way of being unreadable stands in for it here."""
    (tmp_path / ".postgresql").mkdir()
    (tmp_path / ".postgresql/postgresql.crt").mkdir()
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(DatabaseRefused, match="HOME that it may read"):
        await open_connection(url, application_name="test")
    async with connected(f"{url}?sslmode=disable") as connection:
        assert await connection.fetchval("select 1") == 1


async def test_a_server_without_tls_is_refused_where_tls_is_asked_for(url: str) -> None:
    with pytest.raises(DatabaseRefused, match="speaks no TLS while sslmode asks for it"):
        await open_connection(f"{url}?sslmode=require", application_name="test")


async def test_who_answers_in_a_servers_place_is_waited_out(url: str) -> None:
    """A connection to a port that nobody listens on can meet itself, and hears its own words."""

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while said := await reader.read(100):
            writer.write(said)
        writer.close()

    server = await asyncio.start_server(echo, "127.0.0.1")
    async with server:
        port = server.sockets[0].getsockname()[1]
        there = urlsplit(url)
        account = there.netloc.rpartition("@")[0]
        elsewhere = there._replace(netloc=f"{account}@127.0.0.1:{port}").geturl()
        with pytest.raises(DatabaseUnavailable, match="what answers there is no PostgreSQL"):
            await open_connection(elsewhere, application_name="test")


@pytest.mark.parametrize(
    ("said", "is_refused"),
    [
        ("Tenant or user not found", True),
        ("(ENOTFOUND) tenant/user postgres.ref not found", True),
        ("(EMAXCONNSESSION) max clients reached in session mode", False),
        ("(ECHECKOUTTIMEOUT) unable to check out connection from the pool", False),
        ("unexpected end of the world", False),
    ],
)
def test_what_supavisor_says_is_told_apart_by_its_words(said: str, *, is_refused: bool) -> None:
    error = asyncpg.InternalServerError(said)
    failure = _failure(error, Host("db.example", 6543), timeout_s=5)
    assert isinstance(failure, DatabaseUnavailable)
    assert isinstance(failure, DatabaseRefused) is is_refused
    assert said in str(failure)


@pytest.mark.parametrize("number", [socket.EAI_NONAME, socket.EAI_NODATA])
def test_a_host_that_nobody_knows_is_refused(number: int) -> None:
    """A resolver that can't be asked says something else, see below."""
    failure = _failure(socket.gaierror(number, "unknown"), Host("db.example"), timeout_s=5)
    assert isinstance(failure, DatabaseRefused)
    assert (
        str(failure)
        == "the database at db.example:5432 can't be used: there is no host of this name"
    )


@pytest.mark.parametrize(
    "error",
    [
        socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution"),
        ConnectionRefusedError(errno.ECONNREFUSED, "Connect call failed"),
        OSError(errno.EHOSTUNREACH, "Connect call failed"),
        PermissionError(errno.EPERM, "a firewall says no"),
        FileNotFoundError(errno.ENOENT, "no socket yet"),
        TimeoutError(),
        ConnectionResetError(errno.ECONNRESET, "reset"),
    ],
)
def test_what_the_network_does_is_no_refusal(error: OSError) -> None:
    failure = _failure(error, Host("db.example", 6000), timeout_s=5)
    assert type(failure) is DatabaseUnavailable
    assert "db.example:6000" in str(failure)


# Another user's home, as systemd and sudo leave it


@pytest.mark.skipif(
    os.geteuid() != 0 or shutil.which("setpriv") is None, reason="becomes another user"
)
def test_the_home_of_another_user_is_refused_with_its_cause(url: str, tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir(mode=0o700)
    program = (
        "import asyncio, sys; from db.connections.pool import open_connection;"
        "asyncio.run(open_connection(sys.argv[1], application_name='test'))"
    )
    ended = subprocess.run(
        [
            *("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"),
            *("--inh-caps=+dac_override", "--ambient-caps=-all"),
            *(sys.executable, "-c", program, url),
        ],
        cwd=ROOT,
        env={"HOME": str(home), "PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "DatabaseRefused" in ended.stderr
    assert "Permission denied" in ended.stderr
    assert "HOME" in ended.stderr


async def test_a_refusal_has_no_cause_but_what_led_to_it(url: str) -> None:
    """Whoever asks an error for its cause comes to an end."""
    with pytest.raises(DatabaseRefused) as refusal:
        await open_connection(f"{url}?sslrootcert=/nonexistent/x", application_name="test")
    causes: list[BaseException] = []
    cause: BaseException | None = refusal.value
    while cause is not None:
        assert cause not in causes
        causes.append(cause)
        cause = cause.__cause__
