"""Apple's settings: what is accepted, and what stops the process."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from pydantic import ValidationError

from tests.tasks.providers.apple.apps import chain
from workers.settings import DEVELOPMENT_SECRETS, Settings

if TYPE_CHECKING:
    from pathlib import Path

APPS = '[{"bundle_id": "com.example.app", "app_apple_id": 7}]'


def fault(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> str:
    """Return what is wrong with a setting."""
    monkeypatch.setenv(name, value)
    with pytest.raises(ValidationError) as error:
        Settings()
    (found,) = error.value.errors()
    assert found["loc"][0] == name.lower()
    return found["msg"]


def test_apps_are_json(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("APPLE_APPS", APPS)
    assert Settings().apple_apps == {"com.example.app": 7}


@pytest.mark.parametrize(
    "value",
    [
        "com.example.app",
        "[]",
        "{}",
        "[" * 9_000,
        '[{"bundle_id": "com.example.app"}]',
        '[{"bundle_id": "", "app_apple_id": 7}]',
        '[{"bundle_id": "com.example.app", "app_apple_id": "7"}]',
        '[{"bundle_id": "com.example.app", "app_apple_id": 0}]',
        '[{"bundle_id": "com.example.app", "app_apple_id": 7, "environment": "Xcode"}]',
    ],
)
def test_what_names_no_app_stops_the_process(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    assert "must be JSON" in fault(monkeypatch, "APPLE_APPS", value)


def test_an_app_stands_once(monkeypatch: pytest.MonkeyPatch) -> None:
    twice = APPS.replace("[", "").replace("]", "")
    assert "twice" in fault(monkeypatch, "APPLE_APPS", f"[{twice}, {twice}]")


def test_a_root_is_a_file_as_apple_gives_it_or_pem(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    der = tmp_path / "root.cer"
    der.write_bytes(chain().root)
    pem = DEVELOPMENT_SECRETS["APPLE_ROOT_CERTIFICATES"]
    monkeypatch.setenv("APPLE_ROOT_CERTIFICATES", f"{der}, {pem}")
    first, second = Settings().apple_root_certificates
    assert first == chain().root
    assert second.startswith(b"0\x82")


def test_a_root_that_cannot_be_read_stops_the_process(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    other = tmp_path / "root.cer"
    other.write_bytes(b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
    assert "no certificate" in fault(monkeypatch, "APPLE_ROOT_CERTIFICATES", str(other))
    missing = str(tmp_path / "missing.cer")
    found = fault(monkeypatch, "APPLE_ROOT_CERTIFICATES", missing)
    assert "can't be read" in found
    assert missing not in found


KEY = {
    "APPLE_ISSUER_ID": "57246542-96fe-1a63-e053-0824d011072a",
    "APPLE_KEY_ID": "KEY1234567",
}


def test_the_key_of_the_api_is_whole(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name, value in KEY.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ValidationError, match="APPLE_PRIVATE_KEY_FILE: missing"):
        Settings()
    file = tmp_path / "key.p8"
    monkeypatch.setenv("APPLE_PRIVATE_KEY_FILE", str(file))
    for content in ("", "no key", "-----BEGIN PRIVATE KEY-----"):
        file.write_text(content)
        with pytest.raises(ValidationError, match="no key as App Store Connect gives it"):
            Settings()
    pem = ec.generate_private_key(ec.SECP256R1()).private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
    )
    file.write_bytes(pem)
    assert Settings().apple_private_key_file == pem.decode()
    assert "PRIVATE KEY" not in repr(Settings())


@pytest.mark.parametrize(("name", "value"), [("APPLE_ISSUER_ID", "me"), ("APPLE_KEY_ID", "k")])
def test_names_of_the_key_have_their_shape(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    assert "must be" in fault(monkeypatch, name, value)
