"""Output in any encoding: nothing that we print ends in a UnicodeEncodeError."""

from __future__ import annotations

import io
import subprocess
import sys

import pytest

from tests.workers.cli.operators import coinfleet
from tests.workers.processes import ROOT
from workers.cli import COMMANDS
from workers.streams import prepare_streams


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
def test_characters_that_ascii_lacks_are_written_with_its_letters(
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
    result = subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT,
        env={"PYTHONIOENCODING": "ascii"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert result.stderr == ""
    assert result.stdout.endswith(" error it_failed error='!! ...'\n")


@pytest.mark.long
@pytest.mark.parametrize("name", COMMANDS)
def test_the_help_of_every_command_is_written_in_ascii(name: str) -> None:
    result = coinfleet(name, "--help", PYTHONIOENCODING="ascii")
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.isascii()
