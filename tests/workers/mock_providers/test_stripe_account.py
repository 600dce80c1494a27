"""The account of `make run`: a refund that the fleet asks for comes back as signed webhooks."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import httpx

from tasks.providers.stripe import Stripe
from workers.mock_providers.serving import serving
from workers.mock_providers.stripe import KEY
from workers.mock_providers.table import MOCKS, settings_for
from workers.settings import DEVELOPMENT_SECRETS, Settings

if TYPE_CHECKING:
    from pathlib import Path

    from workers.mock_providers.sender import Outgoing

SECRET = DEVELOPMENT_SECRETS["STRIPE_WEBHOOK_SECRETS"]


class Sent:
    """A sender that keeps what it is given."""

    fleet = "http://127.0.0.1:1"

    def __init__(self) -> None:
        self.webhooks: list[Outgoing] = []

    def put(self, webhook: Outgoing) -> None:
        self.webhooks.append(webhook)


async def test_a_mock_that_starts_again_tells_nothing_under_an_id_of_its_last_run(
    tmp_path: Path,
) -> None:
    """The fleet keeps what it was told, and would take the new refund's event for the old one."""
    (mock,) = [each for each in MOCKS if each.name == Stripe.name]
    sent: Any = Sent()
    for intent in ("pi_1", "pi_2"):
        server = mock.make_server(Settings(stripe_webhook_secrets=(SECRET,)), sent, tmp_path)
        async with serving(server) as base, httpx.AsyncClient(base_url=base) as client:
            await client.post("/mock/payments", content=json.dumps({intent: 999}))
            await client.post(
                "/v1/refunds",
                data={"payment_intent": intent},
                headers={"authorization": f"Bearer {KEY}", "idempotency-key": intent},
            )
    told = [json.loads(each.body) for each in sent.webhooks]
    assert len({event["id"] for event in told}) == len(told) == 4
    refunds = [each for each in told if each["type"] == "refund.created"]
    assert len({event["data"]["object"]["id"] for event in refunds}) == 2


async def test_a_refund_comes_back_as_webhooks_that_the_fleet_takes(tmp_path: Path) -> None:
    (mock,) = [each for each in MOCKS if each.name == Stripe.name]
    sent: Any = Sent()
    server = mock.make_server(Settings(stripe_webhook_secrets=(SECRET,)), sent, tmp_path)
    async with serving(server) as base, httpx.AsyncClient(base_url=base) as client:
        await client.post("/mock/payments", content=json.dumps({"pi_1": 999}))
        response = await client.post(
            "/v1/refunds",
            data={"payment_intent": "pi_1", "metadata[decision_id]": "7"},
            headers={"authorization": f"Bearer {KEY}", "idempotency-key": "coinfleet:refund:7"},
        )
    assert response.json()["amount"] == 999
    provider = Stripe(webhook_secrets=(SECRET,))
    now_s = int(time.time())
    for webhook in sent.webhooks:
        headers = {name.encode(): each.encode() for name, each in webhook.sign(now_s).items()}
        arrival = provider.verify(webhook.body, headers, now_s=now_s)
        assert arrival.event_type == webhook.event_type
        assert abs(json.loads(webhook.body)["created"] - now_s) < 60
    assert [each.event_type for each in sent.webhooks] == ["refund.created", "charge.refunded"]


def test_the_settings_that_point_at_the_mocks_are_settings(tmp_path: Path) -> None:
    found = settings_for({mock.name: 4_000 + nth for nth, mock in enumerate(MOCKS)}, tmp_path)
    assert found.keys() <= {name.upper() for name in Settings.model_fields}
    assert found["STRIPE_API_BASE"].startswith("http://127.0.0.1:")
    # A fleet in development has the apps' names already.
    for name in ("APPLE_APPS", "APPLE_ROOT_CERTIFICATES"):
        found[name] = DEVELOPMENT_SECRETS[name]
    found["GOOGLE_PACKAGES"] = DEVELOPMENT_SECRETS["GOOGLE_PACKAGES"]
    given: Any = {name.lower(): value for name, value in found.items()}
    assert Settings(**given).stripe_api_key == KEY
