"""The name of a worker: one per process, and the same after a restart."""

from __future__ import annotations

import socket
import subprocess
import sys

from tests.workers.processes import ROOT
from workers.running.naming import WorkerName

URL = "postgresql://worker:secret@db:5432/coinfleet"


def test_the_next_process_takes_the_name_of_one_that_ended() -> None:
    first, second = WorkerName("box", database_url=URL), WorkerName("box", database_url=URL)
    assert (first.text, second.text) == ("box:1", "box:2")
    first.release()
    third = WorkerName("box", database_url=URL.replace("secret", "another"))
    assert third.text == "box:1"
    second.release()
    third.release()


def test_workers_of_other_databases_have_numbers_of_their_own() -> None:
    ours = WorkerName("box", database_url=URL)
    theirs = WorkerName("box", database_url="postgresql://h1:5432,h2:5432/staging")
    assert ours.text == theirs.text == "box:1"
    ours.release()
    theirs.release()


def test_without_a_name_of_its_own_it_is_called_as_the_machine() -> None:
    name = WorkerName(None, database_url=URL)
    assert name.text == f"{socket.gethostname()}:1"
    name.release()


def test_a_killed_process_leaves_its_name_free() -> None:
    program = (
        "import os, signal; from workers.running.naming import WorkerName;"
        f" name = WorkerName('killed', database_url={URL!r}); print(name.text, flush=True);"
        " os.kill(os.getpid(), signal.SIGKILL)"
    )
    for _ in range(2):
        ended = subprocess.run(
            [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False
        )
        assert (ended.stdout, ended.returncode) == ("killed:1\n", -9)
