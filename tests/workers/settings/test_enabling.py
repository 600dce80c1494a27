"""Which providers' events are taken: those whose settings are complete, or those that are named."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tasks.providers import PROVIDERS
from workers.processes import WEB
from workers.providers import build_enabled_providers, build_providers
from workers.settings import DEVELOPMENT_SECRETS, Settings, SettingsFault, lacking, load_settings
from workers.settings.enabling import Needs, find_enabled, find_enabling_faults
from workers.settings.loading import NEEDS

if TYPE_CHECKING:
    from collections.abc import Callable

ADDRESSES = {"WEB_DATABASE_URL": "postgresql://coinfleet_web@db/x", "REDIS_URL": "redis://queue"}
STRIPE = {"STRIPE_WEBHOOK_SECRETS": DEVELOPMENT_SECRETS["STRIPE_WEBHOOK_SECRETS"]}
APP = {"APP_WEBHOOK_SECRETS": DEVELOPMENT_SECRETS["APP_WEBHOOK_SECRETS"]}
# Two that need more than one setting each.
TWO = (Needs("one", ("ONE_A", "ONE_B"), keys=("ONE_KEY",)), Needs("two", ("TWO_A",)))


@pytest.fixture
def load(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Settings]:
    """Reads the settings of `web` from an environment that has these and no others."""

    def load(**environment: str) -> Settings:
        for name in Settings.model_fields:
            monkeypatch.delenv(name.upper(), raising=False)
        for name, value in (ADDRESSES | environment).items():
            monkeypatch.setenv(name, value)
        return load_settings(WEB)

    return load


@pytest.mark.parametrize(
    ("told", "enabled"),
    [(STRIPE, ["stripe"]), (APP, ["app"]), (STRIPE | APP, ["stripe", "app"])],
)
def test_providers_whose_settings_are_complete_are_taken(
    load: Callable[..., Settings], told: dict[str, str], enabled: list[str]
) -> None:
    settings = load(**told)
    assert settings.enabled == enabled
    assert [*build_enabled_providers(settings)] == enabled
    # A worker knows all of them: events of a provider that is not taken any more may be there.
    assert [*build_providers(settings)] == [provider.name for provider in PROVIDERS]


def test_a_provider_that_is_not_named_is_not_taken(load: Callable[..., Settings]) -> None:
    assert load(**STRIPE, **APP, PROVIDERS_ENABLED="app").enabled == ["app"]
    assert load(**STRIPE, **APP, PROVIDERS_ENABLED="app, stripe,").enabled == ["stripe", "app"]


def test_an_empty_list_counts_as_unset(load: Callable[..., Settings]) -> None:
    assert load(**APP, PROVIDERS_ENABLED="").enabled == ["app"]


@pytest.mark.parametrize("value", ["stripe app", "paypal", "Stripe", "stripe,,app", ","])
def test_a_name_that_no_provider_has_is_explained(
    load: Callable[..., Settings], value: str
) -> None:
    with pytest.raises(SettingsFault) as fault:
        load(**STRIPE, **APP, PROVIDERS_ENABLED=value)
    assert fault.value.faults[0].startswith("PROVIDERS_ENABLED: ")
    assert "paypal" not in str(fault.value)


def test_a_named_provider_without_its_settings_stops_the_process(
    load: Callable[..., Settings],
) -> None:
    with pytest.raises(SettingsFault) as fault:
        load(**APP, PROVIDERS_ENABLED="stripe,app")
    assert fault.value.faults == (
        "STRIPE_WEBHOOK_SECRETS is missing: PROVIDERS_ENABLED names stripe",
    )


def test_a_provider_with_some_of_its_settings_stops_the_process(
    load: Callable[..., Settings],
) -> None:
    with pytest.raises(SettingsFault) as fault:
        load(**APP, STRIPE_API_KEY="rk_test_0123456789")
    assert fault.value.faults == (
        "STRIPE_WEBHOOK_SECRETS is missing: stripe needs it, and STRIPE_API_KEY is set",
    )
    # Unless it is left out on purpose.
    kept = load(**APP, STRIPE_API_KEY="rk_test_0123456789", PROVIDERS_ENABLED="app")
    assert kept.enabled == ["app"]


def test_a_switch_alone_does_not_ask_for_a_provider(load: Callable[..., Settings]) -> None:
    assert load(**APP, STRIPE_LIVEMODE="true").enabled == ["app"]


def test_without_any_provider_the_process_stops(load: Callable[..., Settings]) -> None:
    with pytest.raises(SettingsFault, match="no provider has its settings: set STRIPE_WEBHOOK_"):
        load()


@pytest.mark.parametrize(
    ("told", "enabled", "missing"),
    [
        ({"ONE_A", "ONE_B", "TWO_A"}, ["one", "two"], []),
        ({"ONE_A", "ONE_B"}, ["one"], []),
        ({"ONE_B", "TWO_A"}, ["two"], ["ONE_A"]),
        ({"ONE_KEY", "TWO_A"}, ["two"], ["ONE_A", "ONE_B"]),
    ],
)
def test_each_setting_that_is_missing_is_named(
    told: set[str], enabled: list[str], missing: list[str]
) -> None:
    assert find_enabled(TWO, (), told.__contains__) == enabled
    faults = find_enabling_faults(TWO, (), told.__contains__)
    assert [fault.split()[0] for fault in faults] == missing


def test_each_provider_needs_something_or_it_is_never_taken() -> None:
    assert [each.provider for each in NEEDS] == [provider.name for provider in PROVIDERS]
    assert all(each.settings for each in NEEDS)
    assert find_enabled((Needs("free", ()),), (), lambda _: True) == []


def test_a_complete_environment_lacks_nothing() -> None:
    assert lacking(WEB, ADDRESSES | STRIPE) == []
