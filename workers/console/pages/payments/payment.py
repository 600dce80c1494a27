"""One payment: its names with the provider's page, purchases, refunds, disputes, and its story."""

from __future__ import annotations

from typing import TYPE_CHECKING

from db.console.payments import read_payment
from db.operating.subjects import Subject, shorten
from workers.cli.purchases.links import page_of
from workers.cli.purchases.words import money
from workers.console.pages.story import tell_lines
from workers.console.visit import NotFound

if TYPE_CHECKING:
    from starlette.responses import Response

    from workers.console.visit import Visit


async def show(visit: Visit) -> Response:
    """Show a payment by our number of it."""
    payment_id = visit.id_of("payment_id")
    async with visit.pool.acquire() as connection:
        found = await read_payment(connection, payment_id)
    if found is None:
        raise NotFound(f"There is no payment {payment_id}.")
    is_live = visit.desk.settings.stripe_livemode
    return visit.page(
        "payment.html",
        title=f"Payment {payment_id}",
        payment_id=payment_id,
        found=found,
        names=[
            (row["provider"], shorten(row["key"]), _link(row, is_live=is_live))
            for row in found.names
        ],
        money=money,
        lines=await tell_lines(visit.pool, Subject("payment", payment_id, "")),
    )


def _link(row: object, *, is_live: bool) -> object:
    provider, name = row["provider"], row["key"]  # type: ignore[index]
    page = page_of(provider, name, is_live=is_live)
    return page if page is not None and page.is_of_it else None
