"""APP_EVENTS_URL and APP_EVENTS_SECRETS: both or none, and the secret for the worker alone."""

from __future__ import annotations

from base64 import b64encode

import pytest

from workers.processes import PROCESSES, WORKER
from workers.settings import API_KEYS, Settings, SettingsFault, lacking, load_settings

URL = "https://app.example.com/hooks/coinfleet?tenant=7"
SECRET = "whsec_" + b64encode(b"a secret of the app, for a test").decode()
ADDRESSES = {"DATABASE_URL": "postgresql://o@db/c", "REDIS_URL": "redis://queue"}


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """An environment without any setting."""
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    return monkeypatch


def test_the_app_is_told_nothing_by_default(environment: pytest.MonkeyPatch) -> None:
    settings = load_settings()
    assert (settings.app_events_url, settings.app_events_secrets) == (None, ())


def test_an_address_may_have_a_path_and_is_not_shown(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("APP_EVENTS_URL", URL)
    environment.setenv("APP_EVENTS_SECRETS", f"{SECRET}, {SECRET}")
    settings = load_settings()
    assert (settings.app_events_url, settings.app_events_secrets) == (URL, (SECRET, SECRET))
    assert "example" not in repr(settings)
    assert SECRET not in repr(settings)


@pytest.mark.parametrize(
    "url",
    [
        "http://app.example.com/",
        "app.example.com",
        "ftp://app.example.com/",
        "https://user:word@app.example.com/",
        "https://app.example.com/#part",
        "https://app.example.com/a b",
        "https://äpp.example.com/",
        "https:///hooks",
        "https://app.example.com:99999/",
        "https://[app/",
    ],
)
def test_an_address_that_is_none_or_in_the_clear_stops_the_process(
    environment: pytest.MonkeyPatch, url: str
) -> None:
    environment.setenv("APP_EVENTS_URL", url)
    with pytest.raises(SettingsFault, match="APP_EVENTS_URL: must be") as fault:
        load_settings()
    assert url not in str(fault.value)


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:9000/", "http://localhost:9000", "http://[::1]/"]
)
def test_an_address_of_this_machine_may_be_plain(environment: pytest.MonkeyPatch, url: str) -> None:
    environment.setenv("APP_EVENTS_URL", url)
    assert load_settings().app_events_url == url


@pytest.mark.parametrize("secret", ["whsec_abc", SECRET.removeprefix("whsec_"), f"{SECRET};x"])
def test_a_secret_that_is_none_stops_the_process(
    environment: pytest.MonkeyPatch, secret: str
) -> None:
    environment.setenv("APP_EVENTS_SECRETS", secret)
    with pytest.raises(SettingsFault, match="APP_EVENTS_SECRETS: each must be") as fault:
        load_settings()
    assert secret not in str(fault.value)


@pytest.mark.parametrize(
    ("name", "value", "missing"),
    [
        ("APP_EVENTS_URL", URL, "APP_EVENTS_SECRETS"),
        ("APP_EVENTS_SECRETS", SECRET, "APP_EVENTS_URL"),
    ],
)
def test_one_without_the_other_stops_the_worker_and_nothing_else(
    environment: pytest.MonkeyPatch, name: str, value: str, missing: str
) -> None:
    told = ADDRESSES | {name: value, "APP_WEBHOOK_SECRETS": SECRET}
    faults = {process.name: lacking(process, told) for process in PROCESSES.values()}
    assert faults.pop(WORKER.name) == [f"{missing} is missing"]
    assert not any(faults.values())
    # An operator's command needs neither.
    environment.setenv(name, value)
    assert load_settings()


def test_only_a_process_that_calls_may_know_the_secret() -> None:
    assert "APP_EVENTS_SECRETS" in API_KEYS


def test_an_app_that_is_told_need_not_send(environment: pytest.MonkeyPatch) -> None:
    told = ADDRESSES | {"APP_EVENTS_URL": URL, "APP_EVENTS_SECRETS": SECRET}
    stripe = {"STRIPE_WEBHOOK_SECRETS": "whsec_0123456789"}
    for process in PROCESSES.values():
        assert lacking(process, told | stripe) == []
