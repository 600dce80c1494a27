"""Apple's objects: the fields that we read, each with the type that it must have.

Numbers are strict: the text "2" and 1.9 are no quantity. Unknown fields are passed over.
"""

from __future__ import annotations

from typing import Annotated, Any

import msgspec

from db.facts import Amount, MilliPercent, Quantity
from tasks.providers.reading import Currency, Identifier

# The end of the year 9999, the last of `datetime`.
EPOCH_MS_MAX = 253_402_300_799_999
EpochMs = Annotated[int, msgspec.Meta(ge=0, le=EPOCH_MS_MAX)]

PRODUCTION = "Production"
SANDBOX = "Sandbox"
# `Xcode` and `LocalTesting` are not among them: nobody has signed what comes from there.
ENVIRONMENTS = frozenset({PRODUCTION, SANDBOX})


class Notification(msgspec.Struct):
    """The body of a webhook."""

    signedPayload: str  # noqa: N815 - the names are Apple's


class Submission(msgspec.Struct):
    """What a client sends of a purchase of its own."""

    signed_transaction: str


class StoredSubmission(msgspec.Struct):
    """The payload of a client's submission in the inbox; `profile_id` is who was signed in."""

    profile_id: str
    body: Submission


class Origin(msgspec.Struct):
    """Which app and environment an object is of; one of the four that a payload may hold."""

    bundleId: str | None = None  # noqa: N815
    appAppleId: int | None = None  # noqa: N815
    environment: str | None = None
    signedTransactionInfo: str | None = None  # noqa: N815
    externalPurchaseId: str | None = None  # noqa: N815


class Envelope(msgspec.Struct):
    """What decides whether a notification is for us, and under which id it is stored."""

    notificationUUID: Any = None  # noqa: N815
    notificationType: Any = None  # noqa: N815
    subtype: Any = None
    data: Origin | None = None
    summary: Origin | None = None
    externalPurchaseToken: Origin | None = None  # noqa: N815
    appData: Origin | None = None  # noqa: N815


class TransactionOrigin(msgspec.Struct):
    """What decides whether a transaction is of ours, and under which id it is stored."""

    bundleId: str | None = None  # noqa: N815
    environment: str | None = None
    transactionId: Any = None  # noqa: N815


class Data(msgspec.Struct):
    """What a notification tells of the app's purchases."""

    signedTransactionInfo: str | None = None  # noqa: N815
    consumptionRequestReason: Any = None  # noqa: N815


class Payload(msgspec.Struct):
    """A notification, read for what it means."""

    notificationType: str  # noqa: N815
    signedDate: EpochMs | None = None  # noqa: N815
    data: Data | None = None
    summary: Any = None
    externalPurchaseToken: Any = None  # noqa: N815
    appData: Any = None  # noqa: N815


class Kind(msgspec.Struct):
    """What a transaction is of; only consumables of the buyer's own are read further."""

    type: str
    inAppOwnershipType: str  # noqa: N815


class Consumable(msgspec.Struct):
    """A transaction of a consumable: its whole state at `signedDate`.

    `price` is in thousandths of `currency`, for the whole quantity; `revocationPercentage` in
    thousandths of a percent.
    """

    transactionId: Identifier  # noqa: N815
    bundleId: Identifier  # noqa: N815
    productId: Identifier  # noqa: N815
    environment: str
    purchaseDate: EpochMs  # noqa: N815
    signedDate: EpochMs  # noqa: N815
    quantity: Quantity = 1
    appAccountToken: Any = None  # noqa: N815
    storefront: Any = None
    price: Amount | None = None
    currency: Currency | None = None
    revocationDate: EpochMs | None = None  # noqa: N815
    revocationPercentage: MilliPercent | None = None  # noqa: N815
