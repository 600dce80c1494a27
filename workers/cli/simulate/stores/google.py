"""What Google tells of a sale: pushes that say only that something happened to a purchase."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tasks.providers.google import Google
from workers.cli.simulate.events import Webhook
from workers.cli.simulate.stores.clients import submission
from workers.mock_providers.google.pushes import push_of

if TYPE_CHECKING:
    from uuid import UUID

    from workers.cli.simulate.plan import Secrets
    from workers.cli.simulate.sale import Sale

PURCHASED, ONE_TIME, WHOLE, PART = 1, 2, 1, 2


def token_of(sale: Sale) -> str:
    """Return the purchase token of a sale."""
    return f"{sale.key}.AO-J1Oz{'0' * 100}"


def made_sale(sale: Sale, *, refunded: int, is_test: bool) -> dict[str, Any]:
    """Return the sale as the mock of Google reads it."""
    return {
        "token": token_of(sale),
        "product_id": sale.package.sku,
        "quantity": sale.quantity,
        "refunded": refunded,
        "account_id": str(sale.buyer) if sale.is_named else None,
        "is_test": is_test,
    }


def purchased(sale: Sale) -> dict[str, Any]:
    """Return what a push says when a product was sold."""
    told = {
        "version": "1.0",
        "notificationType": PURCHASED,
        "purchaseToken": token_of(sale),
        "sku": sale.package.sku,
    }
    return {"oneTimeProductNotification": told}


def voided(sale: Sale, *, is_whole: bool) -> dict[str, Any]:
    """Return what a push says when it went back."""
    told = {
        "purchaseToken": token_of(sale),
        "productType": ONE_TIME,
        "refundType": WHOLE if is_whole else PART,
    }
    return {"voidedPurchaseNotification": told}


def push(
    sale: Sale, told: dict[str, Any], *, package: str, event_id: str, secrets: Secrets
) -> Webhook:
    """Return the push, with the token of the mock of Google."""
    data = {"version": "1.0", "packageName": package, "eventTimeMillis": str(sale.at_s * 1_000)}
    headers = {"authorization": f"Bearer {secrets.google}"}
    return Webhook(f"/webhooks/{Google.name}", headers, push_of(data | told, message_id=event_id))


def client_submission(sale: Sale, *, profile_id: UUID, secrets: Secrets, at_s: float) -> Webhook:
    """Return what a profile's client submits."""
    body = {"product_id": sale.package.sku, "purchase_token": token_of(sale)}
    return submission(Google.name, body, profile_id, secrets, at_s)
