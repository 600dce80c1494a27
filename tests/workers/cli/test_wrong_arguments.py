"""Arguments that make no sense are refused before anything is done, with exit code 2."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.workers.cli.operators import coinfleet

if TYPE_CHECKING:
    from pathlib import Path


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


def test_a_folder_that_cannot_be_made_is_named_with_its_cause(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for folder in (tmp_path / "file", tmp_path / "file/below"):
        ended = coinfleet("migrate", "--export", str(folder))
        assert ended.returncode == 2
        assert f"coinfleet: {folder} can't be written (" in ended.stderr
        assert "Errno" not in ended.stderr
