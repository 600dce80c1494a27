"""What can't be meant is refused before anything is done, and exits 2."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.workers.cli.operators import coinfleet

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("folder", ["", " "])
def test_a_folder_without_a_name_is_no_folder(folder: str) -> None:
    """As a variable that is unset gives it: the files would lie in the current folder."""
    ended = coinfleet("migrate", "--export", folder)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert "names no folder" in ended.stderr


def test_the_files_are_not_written_where_only_the_state_was_asked_for(tmp_path: Path) -> None:
    ended = coinfleet("migrate", "--status", "--export", str(tmp_path / "files"))
    assert (ended.returncode, ended.stdout) == (2, "")
    assert not (tmp_path / "files").exists()


def test_a_folder_that_cannot_be_made_is_named_with_its_cause(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for folder in (tmp_path / "file", tmp_path / "file/below"):
        ended = coinfleet("migrate", "--export", str(folder))
        assert ended.returncode == 2
        assert f"coinfleet: {folder} can't be written (" in ended.stderr
        assert "Errno" not in ended.stderr
