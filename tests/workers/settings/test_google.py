"""Google's settings: what is accepted, and what stops the process."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from pydantic import ValidationError

from workers.mock_providers.google import account_file
from workers.settings import Settings

if TYPE_CHECKING:
    from pathlib import Path


def fault(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> str:
    """Return what is wrong with a setting."""
    monkeypatch.setenv(name, value)
    with pytest.raises(ValidationError) as error:
        Settings()
    (found,) = error.value.errors()
    assert found["loc"][0] == name.lower()
    return found["msg"]


def test_several_apps_may_sell(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GOOGLE_PACKAGES", "com.example.app, com.example.Second_2")
    assert Settings().google_packages == ("com.example.app", "com.example.Second_2")


@pytest.mark.parametrize("value", ["app", "com.example.", "com.1a", "com.example.app com.b.c"])
def test_what_is_no_package_stops_the_process(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    assert "package name" in fault(monkeypatch, "GOOGLE_PACKAGES", value)


@pytest.mark.parametrize("value", ["pushes", "a@b, c@d", "@example.com"])
def test_the_service_account_is_one_address(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    assert "e-mail address" in fault(monkeypatch, "GOOGLE_PUSH_EMAIL", value)


def test_an_audience_has_no_blanks(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "without blanks" in fault(monkeypatch, "GOOGLE_PUSH_AUDIENCE", "a b")


@pytest.mark.parametrize("name", ["GOOGLE_CERTIFICATES_URL", "GOOGLE_API_BASE"])
def test_addresses_are_https_or_on_this_machine(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    assert "https://" in fault(monkeypatch, name, "http://example.com")


def test_the_key_is_a_file_as_the_cloud_console_gives_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    path = account_file(tmp_path, "https://oauth2.googleapis.com")
    monkeypatch.setenv("GOOGLE_SERVICE_ACCOUNT_FILE", str(path))
    monkeypatch.setenv("GOOGLE_PACKAGES", "com.example.app")
    settings = Settings()
    assert settings.google_service_account_file == path
    assert str(path) not in repr(settings)


def test_an_account_without_apps_stops_the_process(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Its worker would read no voids, and nobody would be told."""
    path = account_file(tmp_path, "https://oauth2.googleapis.com")
    monkeypatch.setenv("GOOGLE_SERVICE_ACCOUNT_FILE", str(path))
    with pytest.raises(ValidationError, match="GOOGLE_PACKAGES: must name the apps"):
        Settings()


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"type": "authorized_user"}, "no key of a service account"),
        ({"private_key": None}, "without private_key"),
        ({"private_key": "-----BEGIN"}, "private_key can't be read"),
        ({"token_uri": "http://example.com/token"}, "token_uri must begin with https://"),
    ],
)
def test_a_key_that_is_none_stops_the_process(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, changes: dict[str, str], expected: str
) -> None:
    path = account_file(tmp_path, "https://oauth2.googleapis.com")
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))
    found = fault(monkeypatch, "GOOGLE_SERVICE_ACCOUNT_FILE", str(path))
    assert expected in found
    assert "PRIVATE KEY" not in found
    assert str(tmp_path) not in found


@pytest.mark.parametrize("content", [b"", b"[]", b"\xff", b"[" * 9_000])
def test_a_file_of_another_kind_stops_the_process(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, content: bytes
) -> None:
    path = tmp_path / "key.json"
    path.write_bytes(content)
    assert "in JSON" in fault(monkeypatch, "GOOGLE_SERVICE_ACCOUNT_FILE", str(path))
    path.unlink()
    assert "can't be read" in fault(monkeypatch, "GOOGLE_SERVICE_ACCOUNT_FILE", str(path))
