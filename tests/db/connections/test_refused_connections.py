"""Faults that no waiting cures are refused with their cause; what may pass is unavailable."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

from db.connections.pool import open_connection, open_pool
from db.errors import DatabaseRefused, DatabaseUnavailable
from tests.db.connections.reaching import connected
from tests.servers.pgbouncer import PgBouncer, needs_pgbouncer
from tests.workers.processes import ROOT

if TYPE_CHECKING:
    from pathlib import Path

    from tests.clusters import Database


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home folder with a .postgresql in it."""
    (tmp_path / ".postgresql").mkdir()
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path / ".postgresql"


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
        assert f"The database can't be used at {place}: " in str(refusal.value)
        assert cause in str(refusal.value)
        assert "hunter2" not in str(refusal.value)
    pool.terminate()


@needs_pgbouncer
@pytest.mark.parametrize(
    "change",
    [(":test@", ":hunter2@"), ("coinfleet_worker:", "nobody:"), ("/test_", "/gone_")],
)
async def test_what_a_pooler_refuses_for_good_is_refused(
    database: Database, server_folder: Path, change: tuple[str, str]
) -> None:
    """PgBouncer may give such a refusal the code of a lost connection."""
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


async def test_a_home_that_cannot_be_read_is_refused(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Root may read every file, so a folder is used in place of an unreadable file."""
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


async def test_a_program_in_a_servers_place_counts_as_an_outage(url: str) -> None:
    """A connection to a port without a listener can meet itself, and reads its own bytes."""

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
    """A chain of causes must end."""
    with pytest.raises(DatabaseRefused) as refusal:
        await open_connection(f"{url}?sslrootcert=/nonexistent/x", application_name="test")
    causes: list[BaseException] = []
    cause: BaseException | None = refusal.value
    while cause is not None:
        assert cause not in causes
        causes.append(cause)
        cause = cause.__cause__
