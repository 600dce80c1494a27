"""Output in any encoding: nothing that we print ends in a UnicodeEncodeError."""

from __future__ import annotations

import io
import subprocess
import sys

import pytest

from tests.workers.cli.operators import coinfleet
from tests.workers.processes import ROOT
from workers.cli import COMMANDS
from workers.cli.streams import prepare_streams


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("✓ healthy, ✗ 2 things", "ok healthy, !! 2 things"),
        ("1 → 2 … 3 \N{MULTIPLICATION SIGN} 4", "1 -> 2 ... 3 x 4"),
        ("╭─┬─╮ │ ┃ ━", "+-+-+ | | -"),
        ("Zoë", "Zoe"),
        ("東 🎉 \udcff", "? ? ?"),
        ("plain", "plain"),
    ],
)
def test_what_ascii_lacks_is_written_in_its_letters(
    text: str, plain: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(written, encoding="ascii"))
    prepare_streams()
    print(text, flush=True)  # noqa: T201 -- what is tested
    assert written.getvalue().decode() == plain + "\n"


def test_a_log_line_is_written_in_ascii_too() -> None:
    program = (
        "import structlog; from workers.logs import configure_logging;"
        " configure_logging('console'); structlog.get_logger().error('it_failed', error='✗ …')"
    )
    told = subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT,
        env={"PYTHONIOENCODING": "ascii"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert told.stderr == ""
    assert told.stdout.endswith(" error it_failed error='!! ...'\n")


@pytest.mark.long
@pytest.mark.parametrize("name", COMMANDS)
def test_the_help_of_every_command_is_written_in_ascii(name: str) -> None:
    told = coinfleet(name, "--help", PYTHONIOENCODING="ascii")
    assert (told.returncode, told.stderr) == (0, "")
    assert told.stdout.isascii()
