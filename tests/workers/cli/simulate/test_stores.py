"""Events of stores in a simulated run: signed as the stores sign them, under the planned ids."""

from __future__ import annotations

import time
from dataclasses import replace
from random import Random
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

import jwt
import pytest

from tasks.providers.apple import Apple
from tasks.providers.google import Google
from tasks.providers.google.certificates import read_certificate
from tests.workers.cli.simulate.plans import RULES, SECRETS
from workers.cli.simulate.cases.mix import STORES, plan_cases, plan_tour
from workers.cli.simulate.scenario import Scenario
from workers.cli.simulate.stores.apple import signer_is_trusted
from workers.mock_providers.apple_signer import Chain
from workers.mock_providers.google.keys import signing_key
from workers.mock_providers.google.pushes import signed_token
from workers.settings import DEVELOPMENT_SECRETS, Settings

if TYPE_CHECKING:
    from tasks.providers.provider import Provider
    from workers.cli.simulate.plan import Plan, PlannedEvent, Secrets

SIGN_IN = DEVELOPMENT_SECRETS["SUPABASE_JWT_SECRET"]


def a_plan(events: int | None, *, seed: int = 1) -> Plan:
    """A run of so many events with both stores, or a tour."""
    scenario = Scenario(
        "simtest",
        random=Random(seed),
        rules=RULES,
        streams={uuid4(): 1},
        livemode=False,
        started_s=int(time.time()),
        stores=sorted(STORES),
    )
    return plan_tour(scenario) if events is None else plan_cases(scenario, events=events)


def received(provider: Provider, event: PlannedEvent, secrets: Secrets) -> str:
    """Return the id under which an event is stored, as `web` reads it."""
    sent, now_s = event.sign(secrets, at_s=time.time()), time.time()
    if sent.path == f"/purchases/{event.provider}":
        token = sent.headers["authorization"].removeprefix("Bearer ")
        claims = jwt.decode(token, SIGN_IN, algorithms=["HS256"], audience="authenticated")
        subject = UUID(claims["sub"])
        return provider.read_submission(
            sent.body, profile_id=subject, now_s=now_s
        ).provider_event_id
    assert sent.path == f"/webhooks/{event.provider}"
    headers = {name.encode(): each.encode() for name, each in sent.headers.items()}
    return provider.verify(sent.body, headers, now_s=now_s).provider_event_id


def test_each_event_of_apple_arrives_under_its_planned_id() -> None:
    settings = development()
    provider = Apple(apps=settings.apple_apps, root_certificates=settings.apple_root_certificates)
    secrets = replace(SECRETS, sign_in=SIGN_IN)
    planned = {
        event_id: event
        for event_id, event in a_plan(400).all_events.items()
        if event.provider == Apple.name
    }
    assert planned
    for event_id, event in planned.items():
        assert received(provider, event, secrets) == event_id


def test_each_event_of_google_arrives_under_its_planned_id() -> None:
    audience = DEVELOPMENT_SECRETS["GOOGLE_PUSH_AUDIENCE"]
    email = DEVELOPMENT_SECRETS["GOOGLE_PUSH_EMAIL"]
    provider = Google(push_audience=audience, push_email=email)
    certificates = provider._tokens._certificates  # type: ignore[union-attr]
    key = signing_key("current")
    certificates._certificates = {key.kid: read_certificate(key.certificate)}
    certificates._fresh_until = float("inf")
    token = signed_token(key, aud=audience, email=email)
    secrets = replace(SECRETS, sign_in=SIGN_IN, google=token)
    plan = a_plan(400)
    planned = {
        event_id: event
        for event_id, event in plan.all_events.items()
        if event.provider == Google.name
    }
    assert planned
    assert plan.google_sales
    for event_id, event in planned.items():
        assert received(provider, event, secrets) == event_id


def development() -> Settings:
    """The settings of a fleet in development, as far as Apple is concerned."""
    given: dict[str, Any] = {name.lower(): DEVELOPMENT_SECRETS[name] for name in APPLE}
    return Settings(**given)


APPLE = ("APPLE_APPS", "APPLE_ROOT_CERTIFICATES")


def test_only_a_fleet_in_development_trusts_what_is_signed_here() -> None:
    assert signer_is_trusted(development().apple_root_certificates)
    assert not signer_is_trusted([Chain("of somebody else").root])
    assert not signer_is_trusted([])


@pytest.mark.parametrize("events", [1, 99, 100, 500])
def test_a_plan_with_stores_has_exactly_the_events_asked_for(events: int) -> None:
    assert len(a_plan(events)) == events


def test_the_tour_has_each_case_of_a_store_and_two_holds() -> None:
    plan = a_plan(None)
    held = [
        event.provider
        for event in plan.events
        if {outcome.state for outcome in event.outcomes} == {"held"}
    ]
    assert sorted(held) == ["stripe", "stripe"]
    assert {event.provider for event in plan.all_events.values()} == {
        *("stripe", "apple", "google", "app")
    }
