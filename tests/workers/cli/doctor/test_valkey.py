"""What `coinfleet doctor` finds at a queue of the tests' own that keeps what it holds, or fails to.

A write fails by the kernel's limit for files, as it fails on a full disk.
"""

from __future__ import annotations

import os
import resource
import signal
import socket
import subprocess
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
import redis

from tasks.findings import Verdict
from tests.conditions import eventually
from tests.workers.cli.doctor.findings import context, found, wrong
from workers.cli.doctor.queue import check_memory, check_queue
from workers.embedded.binaries import queue_server

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.long

LARGEST_FILE_BYTES = 4_096
KEYS = 500


@contextmanager
def serving(folder: Path, *options: str) -> Iterator[tuple[redis.Redis, subprocess.Popen[bytes]]]:
    """A server of this folder with these options, and a client of it."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    own = ("--bind", "127.0.0.1", "--port", str(port), "--dir", str(folder))
    with (folder / "log").open("ab") as log:
        server = subprocess.Popen(
            [queue_server(), *own, *options],
            stdout=log,
            stderr=log,
            # Python ignores the signal of a file that grows too large, and so does the server then:
            # its write fails, as it does on a full disk.
            restore_signals=False,
        )
    try:
        with redis.Redis(port=port) as client:
            yield client, server
    finally:
        server.send_signal(signal.SIGKILL)
        server.wait()


async def has_started(client: redis.Redis) -> None:
    """Wait until it answers."""

    async def answers() -> bool:
        try:
            return bool(client.info("persistence"))
        except redis.ConnectionError:
            return False

    await eventually(answers)


def url_of(client: redis.Redis) -> str:
    return f"redis://127.0.0.1:{client.connection_pool.connection_kwargs['port']}"


@pytest.mark.provokes("queue_saves_fail")
@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--save", "3600 1"), "the queue's last snapshot failed"),
        (("--save", "", "--appendonly", "yes"), "the queue's last log failed"),
    ],
    ids=["snapshot", "log"],
)
async def test_a_save_that_fails_is_found(
    tmp_path: Path, options: tuple[str, ...], said: str
) -> None:
    with serving(tmp_path, *options) as (client, server):
        await has_started(client)
        given = context(redis_url=url_of(client))
        assert wrong(await check_memory(given)) == []
        resource.prlimit(server.pid, resource.RLIMIT_FSIZE, (LARGEST_FILE_BYTES,) * 2)
        client.set("large", os.urandom(4 * LARGEST_FILE_BYTES))
        if "--appendonly" not in options:
            client.bgsave()
        keys = ("rdb_last_bgsave_status", "aof_last_write_status")

        async def has_failed() -> bool:
            return "err" in map(client.info("persistence").get, keys)

        await eventually(has_failed)
        verdict, what = await found(check_memory, given)
    assert (verdict, what.startswith(said)) == (Verdict.ATTENTION, True), what


@pytest.mark.provokes("queue_loading", "queue_unreachable")
async def test_a_queue_that_loads_its_data_is_found(tmp_path: Path) -> None:
    with serving(tmp_path, "--save", "") as (client, _):
        await has_started(client)
        for number in range(KEYS):
            client.set(f"key {number}", bytes(4_096))
        client.save()
    # It pauses after each key, for ten seconds in all, and answers in between.
    slow = ("--key-load-delay", "20000", "--loading-process-events-interval-bytes", "1024")
    with serving(tmp_path, "--save", "", *slow) as (client, _):
        await has_started(client)
        given = context(redis_url=url_of(client))
        verdict, what = await found(check_memory, given)
        assert (verdict, what) == (Verdict.ATTENTION, "the queue is loading its data")
        verdict, what = await found(check_queue, given)
        assert (verdict, "loading" in what) == (Verdict.BROKEN, True), what
