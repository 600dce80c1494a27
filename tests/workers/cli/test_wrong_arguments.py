"""Arguments that make no sense are refused before anything is done, with exit code 2."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.workers.cli.operators import coinfleet

if TYPE_CHECKING:
    from pathlib import Path

    from tests.workers.cli.conftest import Typed


@pytest.mark.long_but_first
@pytest.mark.parametrize("folder", ["", " "])
def test_an_empty_folder_name_is_refused(folder: str) -> None:
    """An unset variable gives an empty name: the files would be written to the current folder."""
    ended = coinfleet("migrate", "--export", folder)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert "names no folder" in ended.stderr


def test_status_and_export_together_are_refused(tmp_path: Path) -> None:
    ended = coinfleet("migrate", "--status", "--export", str(tmp_path / "files"))
    assert (ended.returncode, ended.stdout) == (2, "")
    assert not (tmp_path / "files").exists()


@pytest.mark.long
def test_a_folder_that_cannot_be_made_is_named_with_its_cause(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for folder in (tmp_path / "file", tmp_path / "file/below"):
        ended = coinfleet("migrate", "--export", str(folder))
        assert ended.returncode == 2
        assert f"coinfleet: {folder} can't be written (" in ended.stderr
        assert "Errno" not in ended.stderr


SOMEBODY = "00000000-0000-4000-8000-000000000001"
# As Python reads a byte that is not UTF-8.
NO_TEXT = "\udcff"


@pytest.mark.parametrize(
    ("words", "fault"),
    [
        (
            ["adjust", SOMEBODY, str(2**63), "--reason", "a gift", "--key", "k"],
            "a number is too large",
        ),
        (["purchases", "show", str(2**63)], "a number is too large"),
        (["adjust", SOMEBODY, "1", "--reason", "a", "--key", NO_TEXT], "a text is not UTF-8"),
        (["replay", "--state", "held", "--error", NO_TEXT, "--dry-run"], "a text is not UTF-8"),
    ],
)
async def test_what_cannot_be_sent_to_the_database_is_said_in_a_line(
    typed: Typed, words: list[str], fault: str
) -> None:
    code, _, said = await typed(*words)
    assert (code, said) == (2, f"coinfleet: {fault}\n")
