""".env.example: each setting once, and the defaults that it shows are the real ones."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from workers.settings import Settings

ROOT = Path(__file__).parents[3]
EXAMPLE = (ROOT / ".env.example").read_text(encoding="utf-8").splitlines()
# A line that sets something, or that does so once its # is removed.
SETTING = re.compile(r"(?P<commented>#?)(?P<name>[A-Z][A-Z_]+)=(?P<value>.*)")
LINES = [found for line in EXAMPLE if (found := SETTING.fullmatch(line))]
# `coinfleet up` sets the first for the processes that it starts, make the others for tests.
INTERNAL = {
    "COINFLEET_COLOURS",
    "COINFLEET_TEST_HOSTS",
    "COINFLEET_TEST_IMAGE",
    "COINFLEET_TEST_IMAGE_CONFIG",
}


def names_in_sources() -> set[str]:
    """Return the names that begin with COINFLEET_ in the product, the tests and the bench."""
    sources = [path for folder in ("workers", "tests") for path in (ROOT / folder).rglob("*.py")]
    return {
        name
        for path in sources
        if path != Path(__file__)
        for name in re.findall(r"\bCOINFLEET_[A-Z_]+\b", path.read_text(encoding="utf-8"))
    }


def test_every_setting_stands_in_the_example_once() -> None:
    names = [line["name"] for line in LINES]
    settings = {name.upper() for name in Settings.model_fields}
    assert sorted(names) == sorted(settings | names_in_sources() - INTERNAL)


def test_every_setting_of_the_example_has_its_comment_above() -> None:
    above = dict(zip(EXAMPLE[1:], EXAMPLE, strict=False))
    assert [line[0] for line in LINES if not above[line[0]].startswith("# ")] == []


def test_a_copy_of_the_example_sets_nothing_and_shows_every_default(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    defaults = Settings()
    for line in LINES:
        monkeypatch.setenv(line["name"], line["value"])
    assert Settings() == defaults
    assert [line["name"] for line in LINES if line["value"] and not line["commented"]] == []
    shown = {line["name"] for line in LINES if line["value"]}
    assert shown >= {name.upper() for name, value in defaults if value not in (None, ())}
