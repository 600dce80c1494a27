"""Static files: those of others are as their makers published them, and each has its hash."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from tests.assets import find_faults
from workers.console.assets import FOLDER, asset_url
from workers.console.rendering import FOLDER as TEMPLATES

if TYPE_CHECKING:
    import httpx

TEXTS = {path.name: path.read_text(encoding="utf-8") for path in TEMPLATES.glob("*.html")}
FILES = sorted(path.name for path in FOLDER.iterdir() if path.suffix not in (".json", ".txt"))


def test_the_files_of_others_are_those_that_were_published() -> None:
    assert find_faults() == []


@pytest.mark.parametrize("name", TEXTS)
def test_no_template_has_a_script_a_style_or_a_handler_in_it(name: str) -> None:
    text = TEXTS[name]
    assert not re.search(r"<style|\sstyle=|\son[a-z]+=|javascript:", text)
    assert all("src=" in tag for tag in re.findall(r"<script[^>]*>", text))
    assert not re.search(r"\|\s*safe|autoescape|https?://", text)


def test_each_file_that_a_template_names_is_there_and_each_file_is_named() -> None:
    named = {each for text in TEXTS.values() for each in re.findall(r"asset\('([^']+)'\)", text)}
    assert named == set(FILES)


@pytest.mark.parametrize("name", FILES)
async def test_a_file_is_kept_under_an_address_that_changes_with_it(
    viewer: httpx.AsyncClient, name: str
) -> None:
    answer = await viewer.get(asset_url(name))
    assert answer.status_code == 200
    assert "immutable" in answer.headers["cache-control"]
    assert answer.content == (FOLDER / name).read_bytes()
    assert (await viewer.get(f"/static/{name}")).headers["cache-control"] == "no-cache"


@pytest.mark.parametrize("path", ["/static/../table.py", "/static/%2e%2e/table.py", "/static/"])
async def test_no_other_file_is_served(viewer: httpx.AsyncClient, path: str) -> None:
    assert (await viewer.get(path)).status_code == 404
