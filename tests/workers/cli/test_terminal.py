"""A command whose output is a full disk, a closed stream, or a reader that closes it."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from db.connections.explanations import explained_errors
from db.connections.pool import open_connection
from tests.workers.cli.operators import coinfleet
from tests.workers.processes import ROOT
from workers.cli.terminal import make_console, print_lines, write

if TYPE_CHECKING:
    from tests.clusters import Database

START = [sys.executable, "-c", "from workers.cli import main; main()"]


@pytest.mark.long_but_first
@pytest.mark.parametrize("words", [("status",), ("status", "--json")], ids=" ".join)
def test_an_output_that_cannot_be_written_is_reported_in_one_line(
    database: Database, words: tuple[str, ...]
) -> None:
    with Path("/dev/full").open("w") as full:
        result = coinfleet(*words, stdout=full.fileno(), DATABASE_URL=database.url())
    assert result.returncode == 2
    assert result.stderr.splitlines() == [
        "coinfleet: standard output can't be written (No space left on device)"
    ]


def test_a_full_disk_is_not_reported_as_an_outage_of_the_database(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("workers.cli.terminal.discard_output", lambda: None)
    for say in (lambda: make_console().print("said"), lambda: write("said")):
        with Path("/dev/full").open("w", buffering=1) as full:
            monkeypatch.setattr(sys, "stdout", full)
            with pytest.raises(SystemExit, match="No space left"), explained_errors():
                say()
            monkeypatch.undo()
            monkeypatch.setattr("workers.cli.terminal.discard_output", lambda: None)
            os.dup2(os.open(os.devnull, os.O_WRONLY), full.fileno())


@pytest.mark.parametrize("foreign", ["\x1b[2J", "\n", "\r", "\x07", "\x9b31m", "\u202e", "\u2028"])
def test_control_characters_in_an_error_are_not_printed(
    capsys: pytest.CaptureFixture[str], foreign: str
) -> None:
    print_lines(make_console(), [f"boom{foreign}é漢✓🙂"])
    assert capsys.readouterr().out == f"boom {foreign[1:]}é漢✓🙂\n"


@pytest.mark.long_but_first
@pytest.mark.parametrize("closed", [">&-", "<&- >&- 2>&-"])
@pytest.mark.parametrize("words", [("status",), ("status", "--json")], ids=" ".join)
def test_a_closed_output_changes_no_exit_code(
    database: Database, words: tuple[str, ...], closed: str
) -> None:
    result = subprocess.run(
        ["/bin/sh", "-c", f"{shlex.join([*START, *words])} {closed}"],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], "DATABASE_URL": database.url()},
        capture_output=True,
        text=True,
        check=False,
    )
    # No worker runs on the test's database.
    assert (result.returncode, result.stderr) == (1, "")


@pytest.mark.long_but_first
@pytest.mark.parametrize("words", [("status",), ("status", "--json")], ids=" ".join)
async def test_an_error_of_the_database_is_one_line_with_its_sqlstate(
    database: Database, words: tuple[str, ...]
) -> None:
    """For example about a page that the disk lost: nobody needs Python's traceback for it."""
    connection = await open_connection(database.url(), application_name="test")
    await connection.execute(
        "create or replace function fleet.vital_signs() returns jsonb language plpgsql as"
        " $$begin raise exception 'could not read block 7' using errcode = 'XX001'; end$$"
    )
    await connection.close()
    result = coinfleet(*words, DATABASE_URL=database.url())
    assert (result.returncode, len(result.stderr.splitlines())) == (2, 1), result.stderr
    assert "could not read block 7 (SQLSTATE XX001)" in result.stderr
    if "--json" in words:
        assert "could not read block 7" in json.loads(result.stdout)["error"]


@pytest.mark.long_but_first
@pytest.mark.parametrize("words", [("--help",), ()], ids=" ".join)
def test_help_whose_reader_closes_the_output_is_no_failure(words: tuple[str, ...]) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    try:
        result = coinfleet(*words, stdout=writer)
    finally:
        os.close(writer)
    assert (result.returncode, result.stderr) == (0, "")


@pytest.mark.parametrize("words", [("status",), ("status", "--json")], ids=" ".join)
def test_a_current_folder_that_is_gone_is_reported_in_one_line(
    tmp_path: Path, words: tuple[str, ...]
) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    result = subprocess.run(
        ["/bin/sh", "-c", f"cd {shlex.quote(str(gone))} && rmdir ../gone && exec "
         + shlex.join([str(Path(sys.executable).with_name("coinfleet")), *words])],
        env={"PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        check=False,
    )  # fmt: skip
    assert result.returncode == 2
    assert result.stderr.splitlines()[-1].startswith("coinfleet: the current folder can't be used")
    assert "Traceback" not in result.stderr
    assert "--json" not in words or json.loads(result.stdout)["error"]
