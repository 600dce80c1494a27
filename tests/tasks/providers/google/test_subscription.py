"""What `coinfleet doctor` finds in Pub/Sub: the push subscription and its topic's policy."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tasks.findings import Finding, Verdict
from tasks.providers.google import Google
from tasks.providers.google.checks.rows import GoogleChecks
from tasks.providers.google.checks.subscription import SubscriptionCheck
from tests.provoking import case, noted
from workers.mock_providers.google import AUDIENCE, PACKAGE, PUSH_EMAIL

if TYPE_CHECKING:
    from pathlib import Path

    from workers.mock_providers.google import GoogleServer

BROKEN, ATTENTION, OK = Verdict.BROKEN, Verdict.ATTENTION, Verdict.OK
NOT_CHECKED = Verdict.NOT_CHECKED
NAME, TOPIC = "projects/shop/subscriptions/play", "projects/shop/topics/play"
ORIGIN = "https://pay.example.com"
PLAY = "serviceAccount:google-play-developer-notifications@system.gserviceaccount.com"
SIGNED = {"serviceAccountEmail": PUSH_EMAIL, "audience": AUDIENCE}
# As Google's documentation of subscriptions and of policies has them.
PUSH: dict[str, Any] = {
    "pushEndpoint": f"{ORIGIN}/webhooks/google",
    "oidcToken": SIGNED,
    "attributes": {"x-goog-version": "v1"},
}
SUBSCRIPTION: dict[str, Any] = {
    "name": NAME,
    "topic": TOPIC,
    "pushConfig": PUSH,
    "ackDeadlineSeconds": 10,
    "retainAckedMessages": True,
    "messageRetentionDuration": "604800s",
    "state": "ACTIVE",
}
POLICY = {"etag": "BwU", "bindings": [{"role": "roles/pubsub.publisher", "members": [PLAY]}]}


async def ask(google: GoogleServer, account: Path, *, origin: str | None = ORIGIN) -> list[Finding]:
    """Run the check."""
    # Not by the provider: each of its parts would read the key, which takes a while.
    subscription = SubscriptionCheck(
        account=account,
        base=google.base,
        name=NAME,
        path="/webhooks/google",
        url=origin and f"{origin}/webhooks/google",
        email=PUSH_EMAIL,
        audience=AUDIENCE,
    )
    found = await run(account, subscription)
    wrong = [each for each in noted(found) if each.verdict in (BROKEN, ATTENTION)]
    assert all(each.fix and each.code for each in wrong)
    assert not any("Jane" in f"{each.what}{each.fix}" for each in found)
    return found


async def run(account: Path, subscription: SubscriptionCheck | None) -> list[Finding]:
    _, row = GoogleChecks(
        packages=(PACKAGE,),
        account=account,
        base="http://127.0.0.1:1",
        fetch_price=False,
        subscription=subscription,
    ).rows()
    return await row.ask()


def answers(google: GoogleServer, **changes: Any) -> None:
    google.pubsub = {NAME: SUBSCRIPTION | changes, f"{TOPIC}:getIamPolicy": POLICY}


@pytest.mark.parametrize("origin", [ORIGIN, None])
async def test_a_subscription_that_pushes_here_is_well(
    google: GoogleServer, account: Path, origin: str | None
) -> None:
    answers(google)
    (finding,) = await ask(google, account, origin=origin)
    assert (finding.verdict, f"pushes to {ORIGIN}/webhooks/google" in finding.what) == (OK, True)
    assert {method for method, _ in google.requests} == {"GET"}


@pytest.mark.long_but_first
@pytest.mark.parametrize(
    ("changes", "verdict", "said"),
    [
        case(
            "google_subscription_stopped",
            {"topic": "_deleted-topic_"},
            BROKEN,
            "gets no message: its topic was deleted",
        ),
        case("google_subscription_stopped", {"detached": True}, BROKEN, "gets no message"),
        case("google_subscription_stopped", {"state": "RESOURCE_ERROR"}, BROKEN, "gets no message"),
        case("google_subscription_elsewhere", {"pushConfig": {}}, BROKEN, "pushes to no address"),
        case(
            "google_subscription_elsewhere",
            {"pushConfig": PUSH | {"pushEndpoint": "https://old.example.com/hooks?key=secret"}},
            BROKEN,
            "pushes to https://old.example.com/hooks, and not to",
        ),
        case(
            "google_subscription_unsigned",
            {"pushConfig": {"pushEndpoint": f"{ORIGIN}/webhooks/google"}},
            BROKEN,
            "does not sign its pushes",
        ),
        case(
            "google_subscription_unsigned",
            {"pushConfig": PUSH | {"oidcToken": {"serviceAccountEmail": PUSH_EMAIL}}},
            BROKEN,
            "does not sign its pushes",
        ),
        case(
            "google_subscription_unwrapped",
            {"pushConfig": PUSH | {"noWrapper": {}}},
            BROKEN,
            "unwraps payloads",
        ),
        case(
            "google_retention_short",
            {"retainAckedMessages": False},
            ATTENTION,
            "does not keep acknowledged messages",
        ),
        case(
            "google_retention_short",
            {"messageRetentionDuration": "600s"},
            ATTENTION,
            "does not keep acknowledged messages",
        ),
    ],
)
async def test_a_subscription_that_does_not_fit_is_found(
    google: GoogleServer, account: Path, changes: dict[str, Any], verdict: Verdict, said: str
) -> None:
    answers(google, **changes)
    (finding,) = await ask(google, account)
    assert (finding.verdict, said in finding.what) == (verdict, True), finding.what
    assert "secret" not in finding.what


@pytest.mark.provokes("google_subscription_unknown")
async def test_a_subscription_that_google_does_not_know_is_found(
    google: GoogleServer, account: Path
) -> None:
    (finding,) = await ask(google, account)
    assert (finding.verdict, finding.what.startswith("Google knows no projects/")) == (BROKEN, True)


@pytest.mark.provokes("google_topic_closed")
async def test_a_topic_to_which_google_play_may_not_publish_is_found(
    google: GoogleServer, account: Path
) -> None:
    answers(google)
    google.pubsub[f"{TOPIC}:getIamPolicy"] = {"etag": "ACAB"}
    (finding,) = await ask(google, account)
    assert (finding.verdict, TOPIC in finding.what) == (ATTENTION, True)


async def test_what_may_not_be_read_is_not_checked(google: GoogleServer, account: Path) -> None:
    answers(google)
    google.faults = ["forbidden"]
    (finding,) = await ask(google, account)
    assert (finding.verdict, "Pub/Sub Viewer" in finding.fix) == (NOT_CHECKED, True)
    google.faults = ["none", "forbidden"]
    (finding,) = await ask(google, account)
    assert (finding.verdict, "Security Reviewer" in finding.fix) == (NOT_CHECKED, True)
    (unset,) = await run(account, None)
    assert (unset.verdict, "GOOGLE_PUSH_SUBSCRIPTION" in unset.what) == (NOT_CHECKED, True)


async def test_it_is_asked_with_the_providers_settings(google: GoogleServer, account: Path) -> None:
    answers(google)
    given: dict[str, Any] = {
        "service_account_file": account,
        "push_email": PUSH_EMAIL,
        "push_audience": AUDIENCE,
        "push_subscription": NAME,
        "pubsub_base": google.base,
    }
    rows = Google(packages=(PACKAGE,), **given).checks(web_origin=ORIGIN)
    (finding,) = await {row.name: row for row in rows}["google subscription"].ask()
    assert finding.verdict is OK
