"""A process that can't use the address of its database stops, and says why in one line."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import httpx
import msgspec
import pytest

from tests.conditions import eventually
from tests.servers.pgbouncer import PgBouncer, needs_pgbouncer
from tests.workers.processes import Process
from workers.processes import CONSOLE, SCHEDULER, WEB, WORKER
from workers.settings import DEVELOPMENT_SECRETS

if TYPE_CHECKING:
    from pathlib import Path

    from tests.clusters import Database
    from tests.conftest import Connect
    from tests.workers.conftest import Run
    from workers.processes import Process as Program

# Each process, and another whose role it must not have.
OTHERS = {WEB: SCHEDULER, WORKER: WEB, SCHEDULER: WORKER, CONSOLE: WEB}


async def run_process(run: Run, program: Program, url: str) -> Process:
    """Start a process with this address of its database."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    return await run(
        program.module,
        **{program.address: url},
        **DEVELOPMENT_SECRETS,
        PORT=str(port),
        CONSOLE_PORT=str(port),
    )


def reason_of(process: Process) -> str:
    """Return why it stopped, from the last line that says so."""
    lines = [msgspec.json.decode(line) for line in process.text.splitlines()]
    [line] = [line for line in lines if line["event"].endswith("_not_started")]
    return str(line["reason"])


@pytest.mark.long_but_first
@pytest.mark.parametrize("program", OTHERS, ids=str)
async def test_a_missing_ca_stops_a_process_and_is_named(
    run: Run, database: Database, program: Program
) -> None:
    url = database.url(program.login)
    process = await run_process(
        run, program, f"{url}?sslmode=verify-full&sslrootcert=/nonexistent/ca"
    )
    assert await process.ended() == 1
    assert "sslrootcert names /nonexistent/ca" in reason_of(process)
    assert url.rpartition("@")[2].partition("/")[0] in reason_of(process)
    assert ":test@" not in process.text


@pytest.mark.long_but_first
@pytest.mark.parametrize("program", OTHERS, ids=str)
async def test_the_role_of_another_process_stops_a_process_and_both_are_named(
    run: Run, database: Database, program: Program
) -> None:
    process = await run_process(run, program, database.url(OTHERS[program].login))
    assert await process.ended() == 1
    assert f"logged us in as {OTHERS[program].role}" in reason_of(process)
    assert f"this needs {program.role}" in reason_of(process)


@needs_pgbouncer
@pytest.mark.long_but_first
@pytest.mark.parametrize("program", OTHERS, ids=str)
async def test_a_pooler_that_the_address_does_not_name_stops_a_process(
    run: Run, database: Database, server_folder: Path, program: Program
) -> None:
    folder = server_folder / f"pooler-{database.name}"
    pooler = PgBouncer(folder, [database.url(program.login)], sessions=2)
    pooler.start()
    try:
        url = pooler.url(database.url(program.login)).replace("?pooler=transaction", "")
        process = await run_process(run, program, url)
        assert await process.ended() == 1
        assert "add ?pooler=transaction" in reason_of(process)
        assert "database_unreachable" not in process.text
    finally:
        pooler.stop()


async def test_web_listens_on_both_families_at_once(run: Run, database: Database) -> None:
    """Some platforms need it: their private network has only IPv6, the public one only IPv4."""
    try:
        with socket.create_server(("::1", 0), family=socket.AF_INET6) as free:
            port = free.getsockname()[1]
    except OSError:
        pytest.skip("this machine has no IPv6")
    await run(
        WEB.module,
        **DEVELOPMENT_SECRETS,
        WEB_DATABASE_URL=database.url("web"),
        COINFLEET_HOST="127.0.0.1,::1",
        PORT=str(port),
    )

    async def both_answer() -> bool:
        try:
            async with httpx.AsyncClient() as client:
                for host in ("127.0.0.1", "[::1]"):
                    (await client.get(f"http://{host}:{port}/healthz")).raise_for_status()
        except httpx.TransportError:
            return False
        return True

    await eventually(both_answer)


async def test_a_password_with_an_unquoted_sign_is_reported_by_the_name_of_its_setting(
    run: Run, database: Database
) -> None:
    url = database.url("worker").replace(":test@", ":hunter@2@")
    process = await run_process(run, WORKER, url)
    assert await process.ended() == 1
    assert "WORKER_DATABASE_URL: isn't an address" in process.text
    assert "%40" in process.text
    assert "hunter" not in process.text


@pytest.mark.long
@pytest.mark.parametrize("program", [WORKER, SCHEDULER], ids=str)
async def test_a_running_process_survives_a_refusal_that_stops_it_at_start(
    run: Run, database: Database, connect: Connect, program: Program
) -> None:
    process = await run_process(run, program, database.url(program.login))
    await process.said(f"{program.name}_started")
    superuser = await connect("superuser")
    await superuser.execute(f"revoke connect on database {database.name} from public")
    await superuser.execute(
        "select pg_terminate_backend(pid) from pg_stat_activity"
        " where datname = current_database() and usename = $1::text::name",
        program.role,
    )
    await process.said("database_unreachable")
    await superuser.execute(f"grant connect on database {database.name} to public")
    await process.said("database_back")
    told = [msgspec.json.decode(line)["event"] for line in process.text.splitlines()]
    outages = [event for event in told if event in ("database_unreachable", "database_back")]
    # Between the two statements above a session of before still works, and ends the outage.
    assert outages == ["database_unreachable", "database_back"] * (len(outages) // 2)
    assert process.popen.poll() is None
