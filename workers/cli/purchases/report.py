"""Shows held purchases on a terminal, whatever its width."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tasks.providers.apple import Apple
from workers.cli.purchases.words import dollars, moment, money, prospect, told
from workers.cli.terminal import print_lines, print_rows, width_of, wrapped
from workers.cli.words import ago, counted

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rich.console import Console

    from db.approvals.decisions import Held
    from workers.cli.purchases.outlook import Outlook

HEADER = ("Held", "reason", "amount", "USD", "buyer", "since", "waits for")


def show_held(console: Console, held: Sequence[Held], *, is_cut: bool) -> None:
    """Print what waits, a row each."""
    if not held:
        print_lines(console, ["nothing is held"])
        return
    print_rows(console, HEADER, [(_row(each), "") for each in held])
    if is_cut:
        print_lines(console, [f"There may be more than these {len(held)}: see --limit."])


def show_purchase(console: Console, outlook: Outlook) -> None:
    """Print a purchase, why it is held, and what a decision would do."""
    for line in _lines(outlook):
        tell(console, line)


def tell(console: Console, line: str) -> None:
    """Print a sentence, broken where the terminal ends."""
    print_lines(console, wrapped(line, width=width_of(console), indent="  ") or [""])


def _row(held: Held) -> list[str]:
    who = str(held.profile_id) if held.profile_id else "unknown"
    waits_for = {"decision": "a person", "second_approver": "a second person"}
    return [
        str(held.purchase_id) if held.purchase_id is not None else f"event {held.event_id}",
        held.reason,
        money(held.amount, held.currency),
        dollars(held.usd_amount),
        who,
        ago(held.age_s),
        waits_for.get(held.waits_for, "its refund"),
    ]


def _freezes(sources: Sequence[str]) -> Iterator[str]:
    if sources:
        yield f"frozen by {', '.join(sources)}: nobody can give its coins away yet"


def _lines(outlook: Outlook) -> Iterator[str]:
    look = outlook.purchase
    state = f"held: {look.hold_reason}" if look.status == "pending" else look.status
    if look.is_sandbox:
        state += f" · a test of {look.provider.title()}'s, no money was paid"
    yield f"Purchase {look.purchase_id} · {state}"
    yield outlook.why
    paid = money(look.amount, look.currency) or f"{look.provider} does not say"
    yield f"paid: {paid}, worth {dollars(look.usd_amount)}"
    yield f"payment: {look.provider} {look.provider_payment_id} of {moment(look.purchased_at)}"
    name = f" ({look.username})" if look.username else ""
    yield f"buyer: {look.profile_id}{name}, balance {look.coin_balance:,}"
    if where := " ".join(filter(None, (look.ip_address, look.country_code))):
        yield f"from: {where}"
    times = f" times {look.quantity:,}" if look.quantity != 1 else ""
    yield f"bought: {look.sku or 'coins'}{times}, {counted(look.coin_amount, 'coin')}"
    if look.refunded:
        yield f"refunded so far: {money(look.refunded, look.currency)}"
    yield from _freezes(outlook.frozen_by)
    yield from (told(decision) for decision in outlook.decisions)
    if look.refund_requested and look.status == "pending":
        yield "It waits for the event of its refund."
    if look.expires_at:
        yield f"If nobody decides it, it is rejected on {moment(look.expires_at)}."
    for verb, found in (("approve", outlook.approve), ("reject", outlook.reject)):
        if found is not None and found.foreseen is not None:
            yield prospect(verb, found.foreseen, look)
        elif found is not None:
            yield f"It can't be {verb.removesuffix('e')}ed now: {found.refusal}."
            if verb == "reject" and look.provider == Apple.name:
                yield "With --without-refund it is closed at once: the customer must ask Apple."
                yield (
                    "If Apple then asks, it is told that nothing was delivered, if customers"
                    " agreed to that (APPLE_CUSTOMERS_CONSENTED)."
                )
