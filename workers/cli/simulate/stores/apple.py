"""What Apple tells of a sale, signed by the chain that only a fleet in development trusts."""

from __future__ import annotations

from datetime import timedelta
from functools import cache
from typing import TYPE_CHECKING, Any

from cryptography.x509 import load_der_x509_certificate

from tasks.providers.apple import Apple
from workers.cli.simulate.events import Webhook
from workers.cli.simulate.stores.clients import submission
from workers.mock_providers.apple_signer import AppleSigner, Chain

if TYPE_CHECKING:
    from collections.abc import Iterable
    from uuid import UUID

    from workers.cli.simulate.plan import Secrets
    from workers.cli.simulate.sale import Sale

WHOLE = 100_000


@cache
def signer(environment: str = "Production") -> AppleSigner:
    """Return who signs as Apple does, in production or in Apple's sandbox."""
    return AppleSigner(leaf=Chain().leaf(), environment=environment)


def signer_is_trusted(roots: Iterable[bytes]) -> bool:
    """Return whether a fleet with these roots (DER) takes what is signed here."""
    ours = _public_key(Chain().root)
    return any(_public_key(root) == ours for root in roots)


def notification(
    sale: Sale,
    kind: str,
    *,
    event_id: str,
    after_s: int = 0,
    reversed_milli_percent: int | None = None,
    environment: str = "Production",
    consumption_reason: str | None = None,
) -> Webhook:
    """Return Apple's notification about a sale, `after_s` seconds after it was made."""
    who, at = signer(environment), sale.at + timedelta(seconds=after_s)
    transaction = _transaction(sale, who, after_s, reversed_milli_percent)
    body = who.notify(
        kind, transaction, at, event_id=event_id, consumptionRequestReason=consumption_reason
    )
    return Webhook(f"/webhooks/{Apple.name}", {}, body)


def client_submission(sale: Sale, *, profile_id: UUID, secrets: Secrets, at_s: float) -> Webhook:
    """Return what a profile's client submits."""
    signed = signer().leaf.sign(_transaction(sale, signer(), 0, None))
    return submission(Apple.name, {"signed_transaction": signed}, profile_id, secrets, at_s)


def _public_key(certificate: bytes) -> object:
    # Each chain has a certificate of its own for the one key.
    return load_der_x509_certificate(certificate).public_key()


def _transaction(
    sale: Sale, who: AppleSigner, after_s: int, reversed_milli_percent: int | None
) -> dict[str, Any]:
    told = who.transaction(
        sale.key,
        sale.at,
        productId=sale.package.sku,
        quantity=sale.quantity,
        # Thousandths of a dollar.
        price=sale.paid_minor * 10,
        appAccountToken=str(sale.buyer) if sale.is_named else None,
    )
    signed_ms = told["signedDate"] + after_s * 1_000
    told["signedDate"] = signed_ms
    if reversed_milli_percent is not None:
        told |= {"revocationDate": signed_ms, "revocationReason": 0}
        told |= {"revocationPercentage": reversed_milli_percent}
    return told
