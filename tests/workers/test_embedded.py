"""The embedded servers: they start anywhere, lose no commit, and never outlive their starter."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
import redis

from db.connections.pool import open_connection
from workers.embedded import (
    DataFolder,
    DataFolderUnusable,
    EmbeddedPostgres,
    EmbeddedValkey,
    RunningFleet,
    ServerFailed,
    StartInterrupted,
)
from workers.processes import PROCESSES, Process


@pytest.fixture(scope="module")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedPostgres]:
    """A server that each test leaves running, in a folder that other users can't enter."""
    closed = tmp_path_factory.mktemp("closed")
    closed.chmod(0o700)
    server = EmbeddedPostgres(closed / "data")
    server.start()
    yield server
    server.stop()


@pytest.fixture
def valkey(tmp_path: Path) -> Iterator[EmbeddedValkey]:
    """A queue server for one test."""
    server = EmbeddedValkey(tmp_path / "data")
    server.start()
    yield server
    server.stop()


async def ask(url: str, query: str) -> object:
    """Return the one value of a query."""
    connection = await open_connection(url, application_name="test")
    try:
        return await connection.fetchval(query)
    finally:
        await connection.close()


async def test_the_owner_is_no_superuser_and_may_create_roles(postgres: EmbeddedPostgres) -> None:
    rights = "select array[rolsuper, rolcreaterole, rolbypassrls] from pg_roles where rolname = "
    assert await ask(postgres.owner_url(), f"{rights} current_user") == [False, True, True]


@pytest.mark.parametrize(
    "process", [each for each in PROCESSES.values() if each.is_long_lived], ids=str
)
async def test_a_process_logs_in_as_a_role_without_rights(
    postgres: EmbeddedPostgres, process: Process
) -> None:
    url = postgres.role_url(process.login)
    rights = "select array[rolsuper, rolcreaterole, rolbypassrls] from pg_roles where rolname = "
    assert await ask(url, "select current_user::text") == process.role
    assert await ask(url, f"{rights} current_user") == [False, False, False]


async def test_the_owner_may_grant_the_roles_it_did_not_make(postgres: EmbeddedPostgres) -> None:
    connection = await open_connection(postgres.owner_url(), application_name="test")
    try:
        for role in ("anon", "authenticated", "service_role", "coinfleet_web"):
            await connection.execute(f"grant {role} to coinfleet_worker")
            await connection.execute(f"revoke {role} from coinfleet_worker")
    finally:
        await connection.close()


@pytest.mark.parametrize("name", ["fsync", "synchronous_commit", "full_page_writes"])
async def test_nothing_committed_can_be_lost(postgres: EmbeddedPostgres, name: str) -> None:
    assert await ask(postgres.owner_url(), f"show {name}") == "on"


async def test_it_listens_on_the_loopback_address_alone(postgres: EmbeddedPostgres) -> None:
    listening = {
        each.laddr.ip
        for each in psutil.Process(postgres.pid).net_connections()
        if each.status == psutil.CONN_LISTEN
    }
    assert listening == {"127.0.0.1"}
    assert await ask(postgres.superuser_url, "show unix_socket_directories") == ""


def test_the_folders_above_the_data_keep_their_modes(postgres: EmbeddedPostgres) -> None:
    assert stat.S_IMODE(postgres.data_dir.parent.stat().st_mode) == 0o700


def test_it_never_runs_as_root(postgres: EmbeddedPostgres) -> None:
    assert psutil.Process(postgres.pid).uids().effective != 0


@pytest.mark.faults
async def test_what_was_committed_is_there_after_a_kill(postgres: EmbeddedPostgres) -> None:
    await ask(postgres.owner_url(), "create table kept as select 7 as seven")
    port = postgres.port
    postgres.kill()
    postgres.start()
    assert postgres.port == port
    assert await ask(postgres.owner_url(), "select seven from kept") == 7


@pytest.mark.faults
def test_an_old_pid_file_whose_pid_another_program_has_is_no_obstacle(
    postgres: EmbeddedPostgres, valkey: EmbeddedValkey
) -> None:
    postgres.stop()
    pid_file = postgres.data_dir / "postgres/cluster/postmaster.pid"
    pid_file.write_text(
        f"{valkey.pid}\n{pid_file.parent}\n0\n{postgres.port}\n\n127.0.0.1\n\nready\n"
    )
    postgres.start()


@pytest.mark.faults
def test_a_wrong_password_of_the_superuser_is_named(postgres: EmbeddedPostgres) -> None:
    postgres.stop()
    file = postgres.data_dir / "passwords/superuser"
    fitting = file.read_text()
    file.write_text("another")
    with pytest.raises(ServerFailed, match="password"):
        postgres.start()
    assert not postgres.running
    file.write_text(fitting)
    postgres.start()


@pytest.mark.faults
def test_servers_do_not_outlive_the_process_that_started_them(tmp_path: Path) -> None:
    script = (
        "import sys; from pathlib import Path; from workers.embedded import *\n"
        "servers = EmbeddedPostgres(Path(sys.argv[1])), EmbeddedValkey(Path(sys.argv[1]))\n"
        "for each in servers: each.start()\n"
        "print(*(each.pid for each in servers), flush=True); sys.stdin.read()"
    )
    starter = subprocess.Popen(
        [sys.executable, "-c", script, tmp_path / "data"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert starter.stdout is not None
    servers = [psutil.Process(int(pid)) for pid in starter.stdout.readline().split()]
    starter.kill()
    starter.communicate()
    _, alive = psutil.wait_procs(servers, timeout=5.0)
    assert len(servers) == 2
    assert not [each for each in alive if each.status() != psutil.STATUS_ZOMBIE]


def test_a_start_that_is_interrupted_leaves_no_process(tmp_path: Path) -> None:
    def interrupt(_seconds: float) -> None:
        raise StartInterrupted

    server = EmbeddedPostgres(tmp_path / "data")
    with pytest.raises(StartInterrupted):
        server.start(interrupt)
    assert not server.running
    server.start()
    server.stop()


def test_a_server_that_can_not_start_says_why(tmp_path: Path) -> None:
    server = EmbeddedPostgres(tmp_path / "data", settings={"shared_buffers": "much"})
    with pytest.raises(ServerFailed, match="shared_buffers"):
        server.start()


@pytest.mark.long
def test_the_queue_asks_for_its_password(valkey: EmbeddedValkey) -> None:
    with (
        redis.Redis(port=valkey.port) as stranger,
        pytest.raises(redis.AuthenticationError),
    ):
        stranger.ping()


@pytest.mark.faults
def test_a_frozen_queue_does_not_answer_until_it_thaws(valkey: EmbeddedValkey) -> None:
    valkey.freeze()
    assert not valkey.is_ready()
    valkey.thaw()
    assert valkey.is_ready()


@pytest.mark.faults
def test_a_queue_restarts_on_its_port_and_forgets(valkey: EmbeddedValkey) -> None:
    url = valkey.url
    with redis.Redis.from_url(url) as client:
        client.set("a", "1")
    valkey.restart()
    with redis.Redis.from_url(url) as client:
        assert client.get("a") is None


def test_data_of_another_user_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stranger = os.geteuid() + 1
    monkeypatch.setattr(os, "geteuid", lambda: stranger)
    with pytest.raises(DataFolderUnusable, match=r"belongs to .+: run as that user, remove it"):
        DataFolder(tmp_path).lock()


def test_a_folder_that_can_not_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(DataFolderUnusable, match="Not a directory"):
        DataFolder(tmp_path / "file/data").lock()


def test_commands_find_a_fleet_only_while_it_locks_the_folder(tmp_path: Path) -> None:
    fleet = RunningFleet(pid=os.getpid(), port=8000, postgres_port=1, valkey_port=None)
    folder = DataFolder(tmp_path)
    folder.lock()
    folder.write_fleet(fleet)
    assert DataFolder(tmp_path).read_fleet() == fleet
    folder.unlock()
    assert DataFolder(tmp_path).read_fleet() is None


@pytest.mark.parametrize(
    ("said", "cause"),
    [
        (
            "creating subdirectories ... initdb: error: could not write\ninitdb: removing it",
            "creating subdirectories ... initdb: error: could not write",
        ),
        (
            "script ... FATAL:  could not map: Cannot allocate memory\nchild process exited",
            "script ... FATAL:  could not map: Cannot allocate memory",
        ),
        ("one line that complains of nothing\nand another", "and another"),
        ("", "it logged nothing"),
    ],
)
def test_a_cluster_that_is_not_made_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: str, cause: str
) -> None:
    binaries = tmp_path / "bin"
    binaries.mkdir()
    (binaries / "initdb").write_text(f"#!/bin/sh\ncat <<'END'\n{said}\nEND\nexit 1\n")
    (binaries / "initdb").chmod(0o755)
    monkeypatch.setenv("COINFLEET_POSTGRES_BIN", str(binaries))
    server = EmbeddedPostgres(tmp_path / "data")
    with pytest.raises(ServerFailed) as failed:
        server.start()
    assert str(failed.value).endswith(f"postgres.log): {cause}")


def test_a_server_that_does_not_start_says_why(tmp_path: Path, postgres: EmbeddedPostgres) -> None:
    taken = EmbeddedPostgres(tmp_path / "data", port=postgres.port)
    with pytest.raises(ServerFailed, match=r"could not bind .* Address already in use"):
        taken.start()


def test_data_of_another_major_version_are_refused_by_both_numbers(tmp_path: Path) -> None:
    """The server itself would only say that its configuration has errors."""
    cluster = tmp_path / "postgres/cluster"
    cluster.mkdir(parents=True)
    (cluster / "PG_VERSION").write_text("9\n")
    with pytest.raises(ServerFailed, match=r"are of PostgreSQL 9, and .* is PostgreSQL \d\d: set"):
        EmbeddedPostgres(tmp_path).start()
