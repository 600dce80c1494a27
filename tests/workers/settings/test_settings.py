"""Settings: every fault is named at once, by setting, and no value is shown."""

from __future__ import annotations

import base64
import os
from decimal import Decimal

import pytest
from structlog.testing import capture_logs

from workers.processes import PROCESSES, RELEASE, WEB, WORKER, Process
from workers.settings import (
    DEVELOPMENT_SECRETS,
    Settings,
    SettingsFault,
    lacking,
    load_settings,
)

ADDRESS = "postgresql://coinfleet_owner@db/coinfleet"
COMPLETE = {"DATABASE_URL": ADDRESS, "REDIS_URL": "redis://queue", **DEVELOPMENT_SECRETS}


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """An environment without a setting of coinfleet."""
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    return monkeypatch


def test_defaults_are_those_of_the_contract() -> None:
    settings = load_settings()
    assert settings.port == 8000
    assert str(settings.coinfleet_data_dir) == ".coinfleet"
    assert settings.purchase_limit_usd == Decimal("50000.00")
    assert settings.approval_threshold_usd == Decimal("25000.00")
    assert settings.purchases_per_minute == 5
    assert settings.max_active_streams_per_viewer == 4
    assert settings.stripe_livemode is False


def test_metrics_have_another_port_than_webhooks_or_none(environment: pytest.MonkeyPatch) -> None:
    assert load_settings().metrics_port is None
    environment.setenv("METRICS_PORT", "9100")
    assert load_settings().metrics_port == 9100
    environment.setenv("PORT", "9100")
    with pytest.raises(SettingsFault) as fault:
        load_settings()
    assert fault.value.faults == ("METRICS_PORT: must be another than PORT",)


@pytest.mark.parametrize("key", ["rk_test_0123456789", "sk_test_0123456789"])
def test_a_key_of_stripe_is_of_the_mode_whose_events_count(
    environment: pytest.MonkeyPatch, key: str
) -> None:
    environment.setenv("STRIPE_API_KEY", key)
    assert load_settings().stripe_api_key == key
    environment.setenv("STRIPE_LIVEMODE", "true")
    with pytest.raises(SettingsFault) as fault:
        load_settings()
    assert fault.value.faults == ("STRIPE_API_KEY: is not of the mode that STRIPE_LIVEMODE says",)
    environment.setenv("STRIPE_API_KEY", key.replace("test", "live"))
    assert key not in repr(load_settings())


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("STRIPE_API_KEY", "whsec_0123456789"),
        ("STRIPE_API_KEY", "pk_test_0123456789"),
        ("STRIPE_API_KEY", "rk_test_"),
        ("STRIPE_API_KEY", "rk_test_0123456789 "),
        ("STRIPE_API_BASE", "http://api.stripe.com"),
        ("STRIPE_API_BASE", "https://user:secret@api.stripe.com"),
    ],
)
def test_a_key_or_base_of_stripe_that_is_none_is_named_and_not_quoted(
    environment: pytest.MonkeyPatch, name: str, value: str
) -> None:
    environment.setenv(name, value)
    with pytest.raises(SettingsFault) as fault:
        load_settings()
    (told,) = fault.value.faults
    assert told.startswith(f"{name}: must ")
    assert value not in told


@pytest.mark.parametrize("port", ["0", "65536", "http", "-1"])
def test_a_value_that_is_no_port_is_named(environment: pytest.MonkeyPatch, port: str) -> None:
    environment.setenv("METRICS_PORT", port)
    with pytest.raises(SettingsFault) as fault:
        load_settings()
    assert [each.split(":")[0] for each in fault.value.faults] == ["METRICS_PORT"]


@pytest.mark.parametrize("password", ["half/other", "half[other", "half#other"])
def test_an_address_with_an_unquoted_password_is_named_but_not_shown(
    environment: pytest.MonkeyPatch, password: str
) -> None:
    environment.setenv("DATABASE_URL", f"postgresql://owner:{password}@db/coinfleet")
    environment.setenv("REDIS_URL", f"redis://:{password}@queue")
    with pytest.raises(SettingsFault) as fault:
        load_settings()
    assert [each.split(":")[0] for each in fault.value.faults] == ["DATABASE_URL", "REDIS_URL"]
    assert "half" not in str(fault.value)


@pytest.mark.parametrize(
    "name", ["PURCHASE_LIMIT_USD", "APPROVAL_THRESHOLD_USD", "PURCHASES_PER_MINUTE"]
)
def test_a_rule_that_the_database_could_not_hold_is_refused(
    environment: pytest.MonkeyPatch, name: str
) -> None:
    environment.setenv(name, "99999999999")
    with pytest.raises(SettingsFault, match=name):
        load_settings()


NEW, OLD = "whsec_new4567890", "whsec_old4567890"
APP_NEW, APP_OLD = ("whsec_" + base64.b64encode(32 * letter).decode() for letter in (b"n", b"o"))


@pytest.mark.parametrize("between", [",", ", ", " ,", " , ", ",\n", "\t,"])
@pytest.mark.parametrize("end", ["", ",", " ", ", ", "\n"])
def test_secrets_are_separated_by_commas(
    environment: pytest.MonkeyPatch, between: str, end: str
) -> None:
    environment.setenv("STRIPE_WEBHOOK_SECRETS", NEW + between + OLD + end)
    environment.setenv("APP_WEBHOOK_SECRETS", APP_NEW + between + APP_OLD + end)
    settings = load_settings()
    assert settings.stripe_webhook_secrets == (NEW, OLD)
    assert settings.app_webhook_secrets == (APP_NEW, APP_OLD)


@pytest.mark.parametrize(
    "secret",
    [
        *("whsec_live0123456789abcdefghijklmnopqrst", "whsec_" + "0f" * 32),
        DEVELOPMENT_SECRETS["STRIPE_WEBHOOK_SECRETS"],
    ],
)
def test_a_secret_as_stripe_shows_it_is_taken(environment: pytest.MonkeyPatch, secret: str) -> None:
    environment.setenv("STRIPE_WEBHOOK_SECRETS", secret)
    assert load_settings().stripe_webhook_secrets == (secret,)


@pytest.mark.parametrize(
    "joint",
    ["\n", "\r\n", ";", "; ", " ", "\t", "", ":", "|", ",,", ", ,", "\u00a0", "\u200b", "\u3001"],
    ids=ascii,
)
@pytest.mark.parametrize(
    ("name", "new", "old"),
    [("STRIPE_WEBHOOK_SECRETS", NEW, OLD), ("APP_WEBHOOK_SECRETS", APP_NEW, APP_OLD)],
)
def test_secrets_separated_by_anything_else_stop_the_process(
    environment: pytest.MonkeyPatch, name: str, new: str, old: str, joint: str
) -> None:
    environment.setenv(name, new + joint + old)
    with pytest.raises(SettingsFault) as fault:
        load_settings()
    assert [each.split(":")[0] for each in fault.value.faults] == [name]
    assert new not in str(fault.value)
    assert old not in str(fault.value)


@pytest.mark.parametrize(
    "value",
    [
        *("whsec_", "whsec_short", "whsec_,", NEW + ",whsec_", "whsec_whsec_new4567890"),
        *("WHSEC_new4567890", "'" + NEW + "'", '"' + NEW + '"', NEW + "\x00", NEW + "é"),
        *(" ", ",", ",,", "," + NEW, NEW + ",,"),
    ],
    ids=ascii,
)
@pytest.mark.parametrize("name", ["STRIPE_WEBHOOK_SECRETS", "APP_WEBHOOK_SECRETS"])
def test_a_value_that_is_no_secret_stops_the_process(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    # The environment itself can hold no NUL.
    monkeypatch.setattr(os, "environ", {**os.environ, name: value})
    with pytest.raises(SettingsFault, match=name):
        load_settings()


@pytest.mark.parametrize("name", ["APP_WEBHOOK_SECRETS", "APP_EVENTS_SECRETS"])
def test_a_secret_with_a_character_beyond_ascii_is_told_as_any_other(
    environment: pytest.MonkeyPatch, name: str
) -> None:
    environment.setenv(name, APP_NEW + "\u200b")
    with pytest.raises(SettingsFault, match=f"{name}: each must be whsec_ and the base64"):
        load_settings()


def test_all_faults_come_in_one_message_by_name(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("PORT", "http")
    environment.setenv("REDIS_URL", "http://queue")
    environment.setenv("APP_WEBHOOK_SECRETS", "whsec_tooshort")
    with pytest.raises(SettingsFault) as fault:
        load_settings(WEB)
    names = [line.split()[0].rstrip(":") for line in str(fault.value).splitlines()[1:]]
    assert names == [
        *("PORT", "REDIS_URL", "APP_WEBHOOK_SECRETS", "WEB_DATABASE_URL"),
    ]


@pytest.mark.parametrize(
    ("name", "secret"),
    [
        ("STRIPE_WEBHOOK_SECRETS", "sk_live_abc"),
        ("STRIPE_WEBHOOK_SECRETS", "whsec_abc"),
        ("STRIPE_API_KEY", "sk_test_a1B2c3D4e5F6" * 2),
        ("APP_WEBHOOK_SECRETS", "whsec_abc"),
        ("DATABASE_URL", "mysql://u:hunter2@db"),
        ("REDIS_URL", "http://:hunter2@queue"),
    ],
)
def test_a_message_holds_no_value(environment: pytest.MonkeyPatch, name: str, secret: str) -> None:
    environment.setenv(name, secret)
    with pytest.raises(SettingsFault) as fault:
        load_settings()
    assert name in str(fault.value)
    assert secret not in str(fault.value)


def test_settings_in_a_log_show_no_secret(environment: pytest.MonkeyPatch) -> None:
    for name, value in COMPLETE.items():
        environment.setenv(name, value)
    shown = repr(load_settings(WEB))
    assert not [value for value in COMPLETE.values() if value in shown]


@pytest.mark.parametrize("process", PROCESSES.values(), ids=str)
def test_a_complete_environment_lacks_nothing(process: Process) -> None:
    assert lacking(process, COMPLETE) == []


def test_only_web_needs_a_provider() -> None:
    without = {name: COMPLETE[name] for name in ("DATABASE_URL", "REDIS_URL")}
    assert lacking(WORKER, without) == []
    (fault,) = lacking(WEB, without)
    assert fault.startswith("no provider has its settings: set STRIPE_WEBHOOK_SECRETS, or ")


def test_the_release_needs_the_owner_and_no_other_role() -> None:
    assert lacking(RELEASE, {"WEB_DATABASE_URL": ADDRESS}) == ["DATABASE_URL is missing"]


def test_an_address_of_its_own_comes_before_the_owners(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("DATABASE_URL", ADDRESS)
    environment.setenv("WEB_DATABASE_URL", "postgresql://coinfleet_web@db/coinfleet")
    with capture_logs() as logs:
        assert load_settings().url_for(WEB) == os.environ["WEB_DATABASE_URL"]
    assert logs == []


def test_without_an_address_of_its_own_the_owners_is_used_with_a_warning(
    environment: pytest.MonkeyPatch,
) -> None:
    environment.setenv("DATABASE_URL", ADDRESS)
    with capture_logs() as logs:
        assert load_settings().url_for(WORKER) == ADDRESS
    assert logs == [{"event": "owner_address_used", "role": "worker", "log_level": "warning"}]


@pytest.mark.parametrize(
    ("written", "hosts"),
    [
        ("10.0.0.1", ["10.0.0.1"]),
        ("10.0.0.1, ::", ["10.0.0.1", "::"]),
        ("[::]", ["::"]),
        ("localhost", ["localhost"]),
    ],
)
def test_web_listens_on_one_address_or_several(
    environment: pytest.MonkeyPatch, written: str, hosts: list[str]
) -> None:
    environment.setenv("COINFLEET_HOST", written)
    assert load_settings().hosts == hosts


@pytest.mark.parametrize("written", [",", "0.0.0.0,", " "])
def test_an_empty_address_to_listen_on_is_refused(
    environment: pytest.MonkeyPatch, written: str
) -> None:
    environment.setenv("COINFLEET_HOST", written)
    with pytest.raises(SettingsFault, match="COINFLEET_HOST: names no address"):
        load_settings()


def test_settings_can_not_be_changed(environment: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match="frozen"):
        load_settings().__setattr__("port", 1)


def test_accounts_are_ids(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("STRIPE_ACCOUNTS", "acct_1AbcDef, acct_2,")
    assert load_settings().stripe_accounts == ("acct_1AbcDef", "acct_2")


@pytest.mark.parametrize(
    "value",
    ["act_1", "acct_", "acct_1;acct_2", "acct_1 acct_2", "acct_1\nacct_2", "sk_live_1", ","],
)
def test_a_value_that_is_no_account_stops_the_process(
    environment: pytest.MonkeyPatch, value: str
) -> None:
    environment.setenv("STRIPE_ACCOUNTS", value)
    with pytest.raises(SettingsFault, match="STRIPE_ACCOUNTS"):
        load_settings()


@pytest.mark.parametrize("name", ["DATABASE_URL", "REDIS_URL", "STRIPE_WEBHOOK_SECRETS", "PORT"])
@pytest.mark.parametrize(
    ("written", "hint"),
    [
        ('"{}"', "quotation marks"),
        ("'{}'", "quotation marks"),
        (" '{}' ", "quotation marks"),
        ("\ufeff{}", "can't be seen"),
        ("{}\u200b", "can't be seen"),
    ],
)
def test_surplus_characters_around_a_value_are_named(
    environment: pytest.MonkeyPatch, name: str, written: str, hint: str
) -> None:
    """`docker --env-file` and editors leave them; they are easily overlooked."""
    environment.setenv(name, written.format({"PORT": "8000"}.get(name, "redis://:hunter2@h/x")))
    with pytest.raises(SettingsFault) as fault:
        load_settings()
    assert f"{name}: " in str(fault.value)
    assert hint in str(fault.value)
    assert "hunter2" not in str(fault.value)


@pytest.mark.parametrize("worker", ["a b", "é", "x" * 101, "a\nb"])
def test_a_wrong_name_of_a_worker_is_explained(
    environment: pytest.MonkeyPatch, worker: str
) -> None:
    environment.setenv("WORKER_NAME", worker)
    with pytest.raises(SettingsFault, match="WORKER_NAME: must be at most 100 characters of ASCII"):
        load_settings()
