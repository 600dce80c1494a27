"""The help of every command is its manual: what it does, what each word means, how it ends."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from typer.main import get_command
from typer.testing import CliRunner

from workers.cli import make_app
from workers.cli.manual import EXIT_CODES

if TYPE_CHECKING:
    from collections.abc import Iterator

APP = make_app()
OPERATING = Path(__file__).parents[3] / "docs" / "operating.md"


def commands(command: Any, *path: str) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Each command and group by the words that one types, `coinfleet` left out."""
    yield path, command
    for name, below in getattr(command, "commands", {}).items():
        yield from commands(below, *path, name)


ALL = dict(commands(get_command(APP)))
EACH = pytest.mark.parametrize("path", ALL, ids=lambda path: " ".join(path) or "coinfleet")


@EACH
def test_it_says_what_it_does_and_how_it_ends(path: tuple[str, ...]) -> None:
    shown = CliRunner().invoke(APP, [*path, "--help"])
    assert shown.exit_code == 0
    words = " ".join(shown.output.split())
    first = ALL[path].help.split("\n\n")[0]
    assert first.endswith(".")
    assert " ".join(first.split()) in words
    assert words.endswith(EXIT_CODES)


@EACH
def test_each_of_its_options_and_arguments_has_a_sentence(path: tuple[str, ...]) -> None:
    said = {each.name: getattr(each, "help", None) or "" for each in ALL[path].params}
    assert [name for name, text in said.items() if not text.endswith(".")] == []


def test_each_command_has_a_row_in_the_manual() -> None:
    rows = re.findall(r"^\| `([^`]+)`", OPERATING.read_text(encoding="utf-8"), re.MULTILINE)
    named = {
        (group, verb)
        for row in rows
        for group, verbs in [(row + " ").split(" ", 1)]
        for verb in re.split(r"\\\||\s", verbs)
    }
    missing = [path for path in ALL if path and (*path, "")[:2] not in named]
    assert missing == []
