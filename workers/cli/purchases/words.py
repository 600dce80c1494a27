"""What is said of held purchases and decisions, in plain words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from db.approvals.decisions import Decided, Foreseen, Look
from tasks.providers.google import Google
from workers.cli.words import counted

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from decimal import Decimal

    from db.approvals.decisions import Decision

NO_PRICE = (
    "its product is not in the price list, so nothing says how many coins it is worth: add it to"
    " coin_packages, or reject the purchase"
)


def dollars(amount: Decimal | None) -> str:
    """Give US dollars: $30,000.00."""
    return "unknown" if amount is None else f"${amount:,.2f}"


def money(amount: Decimal | None, currency: str | None) -> str:
    """Give an amount with its currency as ISO 4217 writes it: 30,000.00 USD."""
    return "" if amount is None else f"{amount:,} {(currency or '').upper()}".rstrip()


def moment(at: datetime) -> str:
    """Give a time in UTC, to the minute."""
    return f"{at:%Y-%m-%d %H:%M} UTC"


def why(look: Look) -> str:
    """Say why a purchase is held; or what it is, if it is held no more."""
    if look.status != "pending":
        return f"It is {look.status}, and not held."
    worth = dollars(look.usd_amount)
    product = f"product {look.sku}" if look.sku else "product, which its events do not name alike,"
    sentences = {
        "needs_approval": (
            f"It is worth {worth}; above {dollars(look.approval_threshold_usd)} a person decides."
        ),
        "over_limit": (
            f"It is worth {worth}; one purchase may be worth {dollars(look.purchase_limit_usd)},"
            " and an account can hold 9,223,372,036,854,775,807 coins."
        ),
        "velocity": "Its buyer made too many purchases within 60 seconds.",
        "wrong_amount": f"What was paid is not the price: the price list says {_price(look)}.",
        "unknown_product": f"When it came, its {product} was not in the price list.",
        "no_fx_rate": (
            f"When it came, no rate of the last 7 days told what {look.currency} is worth."
            if look.currency
            else "When it came, nothing told what it is worth in US dollars: its store told no"
            " price, and the price list has none in usd for its product."
        ),
        "unknown_buyer": "Its events name more than one buyer, or none that can be read.",
        "id_conflict": "Its payment turned out to be that of another purchase.",
    }
    reason = look.hold_reason or ""
    return sentences.get(reason, f"Its reason is {reason}.")


def _price(look: Look) -> str:
    if look.package_price is None:
        return "nothing of its product"
    times = f", times {look.quantity:,}" if look.quantity != 1 else ""
    return f"{money(look.package_price, look.package_currency)}{times}"


def prospect(verb: str, seen: Foreseen, look: Look) -> str:
    """Say what a decision would do now."""
    match verb, seen.decided.waits_for:
        case "approve", "second_approver":
            return "If you approve it, it waits for a second person who approves the same coins."
        case "approve", _:
            return _credit(seen)
        case _, "refund":
            # Google refunds whole orders only.
            back = "it"
            if look.amount is not None and look.provider != Google.name:
                back = money(look.amount - (look.refunded or 0), look.currency)
            return (
                f"If you reject it, {look.provider} is asked to refund {back}, and no coins move."
                " It stays on the list until the refund's event comes."
            )
        case _:
            return "If you reject it, nothing is refunded, no coins move, and it is closed at once."


def _credit(seen: Foreseen) -> str:
    credited = f"If you approve it, {counted(seen.credited, 'coin')} are credited"
    if seen.taken_back:
        credited += f" and {counted(seen.taken_back, 'coin')} taken back for what was refunded"
    return f"{credited}; the buyer's balance is {seen.balance_after:,} then."


def told(decision: Decision) -> str:
    """Say what somebody decided."""
    what = {
        "first_approval": "approved it first",
        "granted": "approved it",
        "refund_requested": "rejected it, with a refund",
        "closed": "rejected it, without a refund",
        "attributed": "said whose payment it is",
    }.get(decision.outcome, decision.outcome)
    coins = f" for {counted(decision.coins, 'coin')}" if decision.coins else ""
    return f"{decision.who} {what}{coins} on {moment(decision.decided_at)}: {decision.reason}"


def story(look: Look, decisions: Sequence[Decision]) -> str:
    """Say what has become of a purchase, to somebody who comes too late to decide it."""
    if decisions:
        return "; ".join(map(told, decisions))
    if look.status == "confirmed":
        return "it is granted, and not held"
    if look.status != "pending":
        return f"its payment was given back meanwhile, it is {look.status}"
    if look.is_granted_otherwise:
        return "another purchase is granted for its payment"
    return "its payment was rejected under another of its events"


def done(decided: object, look: Look | None) -> str:
    """Say what a decision came to."""
    if look is None:
        waits = decided if isinstance(decided, str) else None
        return {
            "refund": "rejected; it is closed when the event of its refund comes",
            "pending": "attributed; a worker judges it now by all rules",
            "applied": "attributed, and credited",
            "held": "attributed; it is still held, for another reason",
            None: "rejected, without a refund",
        }.get(waits, str(waits))
    if not isinstance(decided, Decided):
        return str(decided)
    match decided.decision, decided.waits_for:
        case _, "second_approver":
            return f"approved first; purchase {look.purchase_id} waits for a second person"
        case "approved", _:
            kept = look.coin_amount - look.refunded_coins
            return (
                f"approved; {counted(kept, 'coin')} for {look.profile_id}, whose balance is"
                f" {look.coin_balance:,}"
            )
        case _, "refund":
            return (
                f"rejected; purchase {look.purchase_id} is closed when the event of its refund"
                " comes"
            )
        case _:
            return "rejected, without a refund"
