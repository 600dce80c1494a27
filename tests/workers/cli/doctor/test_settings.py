"""What `coinfleet doctor` finds in the settings, without asking anybody and showing no value."""

from __future__ import annotations

from typing import Any

import pytest

from tasks.findings import Verdict
from tests.provoking import case
from tests.workers.cli.doctor.findings import context, found, wrong
from workers.cli.doctor.settings import check_mode, check_needs, check_people, check_secrets
from workers.settings import DEVELOPMENT_SECRETS, Settings

BROKEN, ATTENTION = Verdict.BROKEN, Verdict.ATTENTION
STRIPE = "whsec_of_our_own_account_1"
APP = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
URL = "postgresql://{user}:{password}@db.example.com/coinfleet"
LONG = "0123456789abcdef0123456789abcdef"


def development() -> dict[str, str]:
    return {name.lower(): value for name, value in DEVELOPMENT_SECRETS.items()}


@pytest.mark.provokes("settings_missing")
async def test_a_process_that_would_not_start_is_named_with_what_it_lacks() -> None:
    given = {"WEB_DATABASE_URL": "postgresql://x", "STRIPE_WEBHOOK_SECRETS": STRIPE}
    findings = await check_needs(context(environment=given))
    assert wrong(findings) == [(BROKEN, "web would not start: REDIS_URL is missing")]
    (unknown,) = [each.what for each in findings if each.verdict is Verdict.NOT_CHECKED]
    assert "WORKER_DATABASE_URL" in unknown
    assert "WEB_DATABASE_URL" not in unknown
    given["REDIS_URL"] = "redis://x"
    assert wrong(await check_needs(context(environment=given))) == []


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        ({"stripe_livemode": True}, "in live mode"),
        ({"coinfleet_host": "0.0.0.0"}, "on an address that others reach"),  # noqa: S104
        ({"web_origin": "https://pay.example.com"}, "on an address that others reach"),
    ],
)
@pytest.mark.provokes("development_secrets")
async def test_secrets_that_everybody_knows_count_on_this_machine_alone(
    settings: dict[str, Any], why: str
) -> None:
    assert wrong(await check_mode(context(**development()))) == []
    verdict, what = await found(check_mode, context(**development(), **settings))
    assert verdict is BROKEN
    assert f"count {why}: STRIPE_WEBHOOK_SECRETS, " in what


@pytest.mark.parametrize("your", ["", "your-"])
async def test_a_secret_of_supabases_documentation_is_one_that_everybody_knows(your: str) -> None:
    secret = f"{your}super-secret-jwt-token-with-at-least-32-characters-long"
    assert wrong(await check_mode(context(supabase_jwt_secret=secret))) == []
    _, what = await found(
        check_mode, context(supabase_jwt_secret=secret, web_origin="https://pay.example.com")
    )
    assert what.endswith("others reach: SUPABASE_JWT_SECRET")


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        case(
            "base_not_of_provider",
            {"stripe_api_base": "http://127.0.0.1:1"},
            "STRIPE_API_BASE names 127.0.0.1 in live mode",
        ),
        case(
            "base_not_of_provider",
            {"apple_api_base": "https://x.example"},
            "APPLE_API_BASE names x.example in live mode",
        ),
        case(
            "base_not_of_provider",
            {"google_api_base": "https://evilgoogleapis.com"},
            "GOOGLE_API_BASE names evilgoogle",
        ),
        case("sandbox_grants", {"store_sandbox": "grant"}, "STORE_SANDBOX=grant in live mode"),
    ],
)
async def test_what_is_for_tests_must_not_count_in_live_mode(
    settings: dict[str, Any], said: str
) -> None:
    assert wrong(await check_mode(context(**settings))) == []
    verdict, what = await found(check_mode, context(stripe_livemode=True, **settings))
    assert verdict is BROKEN
    assert what.startswith(said)


@pytest.mark.parametrize(
    ("settings", "verdict", "said"),
    [
        case(
            "secret_twice",
            {"stripe_webhook_secrets": f"{STRIPE},{STRIPE}"},
            ATTENTION,
            "STRIPE_WEBHOOK_SECRETS holds the same secret twice",
        ),
        case(
            "secret_shared",
            {"app_webhook_secrets": APP, "app_events_secrets": APP},
            BROKEN,
            "APP_WEBHOOK_SECRETS and APP_EVENTS_SECRETS share a secret",
        ),
        case(
            "stripe_key_unrestricted",
            {"stripe_api_key": "sk_test_0123456789abcdef"},
            ATTENTION,
            "STRIPE_API_KEY is a secret key",
        ),
        case(
            "password_short",
            {"web_database_url": URL.format(user="coinfleet_web", password="short")},
            ATTENTION,
            "passwords of fewer than 16 characters: WEB_DATABASE_URL",
        ),
        case(
            "password_short",
            {"redis_url": "redis://:short@queue.example.com"},
            ATTENTION,
            "passwords of fewer than 16 characters: REDIS_URL",
        ),
        case(
            "queue_without_password",
            {"redis_url": "redis://queue.example.com"},
            ATTENTION,
            "REDIS_URL has no password",
        ),
        case(
            "password_shared",
            {
                "web_database_url": URL.format(user="coinfleet_web", password=LONG),
                "worker_database_url": URL.format(user="coinfleet_worker", password=LONG),
            },
            ATTENTION,
            "WEB_DATABASE_URL and WORKER_DATABASE_URL have the same password",
        ),
    ],
)
async def test_a_weak_or_shared_secret_is_found_and_not_shown(
    settings: dict[str, Any], verdict: Verdict, said: str
) -> None:
    # As the environment gives them: lists are split there.
    given = Settings(**settings)
    findings = await check_secrets(context(**given.model_dump(exclude_unset=True)))
    ((how, what),) = wrong(findings)
    assert (how, what.startswith(said)) == (verdict, True), what
    told = " ".join(f"{each.what} {each.fix}" for each in findings)
    for secret in (STRIPE, APP, LONG, "short@", ":short", "0123456789abcdef"):
        assert secret not in told


async def test_good_secrets_are_well() -> None:
    given = context(
        stripe_webhook_secrets=(STRIPE, f"{STRIPE}2"),
        web_database_url=URL.format(user="coinfleet_web", password=LONG),
        worker_database_url=URL.format(user="coinfleet_worker", password=LONG[::-1]),
        redis_url=f"redis://:{LONG}@queue.example.com",
        database_url="postgresql://owner:x@localhost/coinfleet",
    )
    assert wrong(await check_secrets(given)) == []


@pytest.mark.provokes("console_origin_missing", "second_factor_missing")
async def test_people_sign_in_safely() -> None:
    assert {each.verdict for each in await check_people(context())} == {Verdict.NOT_CHECKED}
    given: dict[str, Any] = {"supabase_url": "https://x.supabase.co", "supabase_anon_key": "anon"}
    assert wrong(await check_people(context(**given))) == []
    open_to_all = context(**given, console_host="0.0.0.0")  # noqa: S104
    verdict, what = await found(check_people, open_to_all)
    assert (verdict, "CONSOLE_ORIGIN is not set" in what) == (BROKEN, True)
    verdict, what = await found(check_people, context(**given, stripe_livemode=True))
    assert (verdict, "without a second factor" in what) == (ATTENTION, True)
    both = context(**given, stripe_livemode=True, console_approval_aal="aal2")
    assert wrong(await check_people(both)) == []
