"""The settings of the console: what is half set stops the process, by name."""

from __future__ import annotations

import pytest

from tests.workers.settings.test_app_events import ADDRESSES
from workers.processes import CONSOLE, PROCESSES, WEB
from workers.settings import CONSOLE_SECRETS, SettingsFault, load_settings
from workers.supervisor.environment import LINK_SECRET, environment_of

SECRET = "a secret of one start, which is long enough"


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for name, value in ADDRESSES.items():
        monkeypatch.setenv(name, value)
    return monkeypatch


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"SUPABASE_URL": "https://x.supabase.co"}, "SUPABASE_ANON_KEY"),
        ({"SUPABASE_ANON_KEY": "x"}, "SUPABASE_URL"),
        ({"CONSOLE_JWT_HEADER": "x-token"}, "CONSOLE_JWKS_URL, CONSOLE_JWT_AUDIENCE: missing"),
        ({"CONSOLE_ORIGIN": "http://console.example.com"}, "CONSOLE_ORIGIN"),
        ({"CONSOLE_JWT_HEADER": "a b"}, "CONSOLE_JWT_HEADER: must be the name of a header"),
        ({"CONSOLE_PORT": "0"}, "CONSOLE_PORT"),
        ({"CONSOLE_APPROVAL_AAL": "aal3"}, "CONSOLE_APPROVAL_AAL"),
        ({"CONSOLE_LINK_SECRET": "short"}, "CONSOLE_LINK_SECRET"),
    ],
    ids=str,
)
def test_what_is_wrong_or_half_set_is_said_by_name(
    environment: pytest.MonkeyPatch, settings: dict[str, str], said: str
) -> None:
    for name, value in settings.items():
        environment.setenv(name, value)
    with pytest.raises(SettingsFault, match=said):
        load_settings(CONSOLE)


@pytest.mark.parametrize(
    ("settings", "is_secure"),
    [
        ({}, False),
        ({"CONSOLE_HOST": "::1"}, False),
        ({"CONSOLE_HOST": "10.0.0.7"}, True),
        ({"CONSOLE_ORIGIN": "https://console.example.com"}, True),
        ({"CONSOLE_ORIGIN": "http://localhost:8001"}, False),
    ],
    ids=str,
)
def test_cookies_go_over_tls_everywhere_but_on_this_machine(
    environment: pytest.MonkeyPatch, settings: dict[str, str], *, is_secure: bool
) -> None:
    for name, value in settings.items():
        environment.setenv(name, value)
    assert load_settings(CONSOLE).is_console_secure is is_secure


def test_only_the_console_knows_what_signs_links() -> None:
    assert {LINK_SECRET} == CONSOLE_SECRETS
    known = {
        name
        for name in PROCESSES
        if LINK_SECRET in environment_of(name, {**ADDRESSES, LINK_SECRET: SECRET})
    }
    assert known == {CONSOLE.name}


def test_no_other_process_needs_a_setting_of_the_console(
    environment: pytest.MonkeyPatch,
) -> None:
    environment.setenv("STRIPE_WEBHOOK_SECRETS", "whsec_0123456789")
    assert load_settings(WEB).console_link_secret is None
