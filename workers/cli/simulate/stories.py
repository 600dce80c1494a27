"""What happens to payments and gifts in life, told as the events that providers send of it.

Each story puts its events on the stage, with the endings that it allows and the coins it moves.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias
from uuid import uuid4

from db.errors import CoinfleetError
from db.simulation import GiftType, Package, PurchaseRules
from workers.cli.simulate import stripe
from workers.cli.simulate.plan import APPLIED, Ending
from workers.cli.simulate.scene import CAKE, GIFT_TYPES, HANDFUL, MOST_UNITS, ROSE, VAULT

if TYPE_CHECKING:
    from collections.abc import Callable
    from decimal import Decimal

    from workers.cli.simulate.plan import Plan
    from workers.cli.simulate.scene import Stage
    from workers.cli.simulate.stripe import StripePayment

    Story: TypeAlias = Callable[[Stage], None]

GRANTED_BY_EITHER = (APPLIED, Ending("applied", "duplicate_payment"))
SHORT_OF_COINS = Ending("rejected", "insufficient_coins")
NOT_OURS = Ending("ignored", "not_ours")
# A longer story is begun only while more events than these are left to plan.
LONGEST_STORY = 4
# With room for each of the rare stories among ten usual ones.
ROOM_FOR_RARE = 100
# A rule that allows more purchases a minute than this isn't worth the events to break it.
MOST_PER_MINUTE = 20


class GuardrailsTooTight(CoinfleetError):
    """The guardrails hold even ordinary purchases."""

    def __init__(self, rules: PurchaseRules, dearest_usd: float) -> None:
        super().__init__(
            f"a simulated purchase costs up to ${dearest_usd:,.2f}, but here the limit is"
            f" ${rules.limit_usd:,.2f} and approval starts above"
            f" ${rules.approval_threshold_usd:,.2f}"
        )


def tell(stage: Stage, *, events: int) -> Plan:
    """Plan exactly so many events: the rare stories once, then the usual ones by their weights.

    Raises GuardrailsTooTight.
    """
    dearest_usd = VAULT.amount_minor * MOST_UNITS / 100
    if min(stage.rules.limit_usd, stage.rules.approval_threshold_usd) < dearest_usd:
        raise GuardrailsTooTight(stage.rules, dearest_usd)
    if events >= ROOM_FOR_RARE:
        for story in RARE:
            story(stage)
    while (left := events - len(stage.plan)) > 0:
        if left >= LONGEST_STORY:
            (story,) = stage.random.choices([*USUAL], [*USUAL.values()])
            story(stage)
        else:
            stage.buy()
    return stage.plan


def buy(stage: Stage) -> None:
    """Pay with a payment intent alone."""
    stage.buy()


def check_out(stage: Stage) -> None:
    """Two events tell of one payment, and whichever comes first grants it."""
    payment = stage.order()
    stage.send(stripe.checkout_session_completed, payment, endings=GRANTED_BY_EITHER)
    stage.send(stripe.payment_intent_succeeded, payment, endings=GRANTED_BY_EITHER)
    stage.grant(payment)


def pay_later(stage: Stage) -> None:
    """Check out with a bank transfer that comes through afterwards."""
    payment = stage.order()
    stage.send(
        stripe.checkout_session_completed,
        payment,
        changes={"payment_status": "unpaid"},
        endings=(Ending("ignored", "unpaid"),),
    )
    stage.send(stripe.checkout_session_async_payment_succeeded, payment)
    stage.grant(payment)


def refund_in_full(stage: Stage) -> None:
    """One refund of the whole, told three times over."""
    payment = stage.buy()
    _refund(stage, payment, "refund.created", status="pending")
    stage.send(stripe.charge_refunded, payment, amount_refunded=payment.amount_minor)
    _refund(stage, payment, "refund.updated", status="succeeded")
    stage.take_back(payment, payment.amount_minor)


def refund_in_part(stage: Stage) -> None:
    """Two partial refunds, of which the charge tells the sum."""
    payment = stage.buy()
    first = payment.amount_minor // 3
    both = first + payment.amount_minor // 5
    stage.send(stripe.charge_refunded, payment, amount_refunded=first)
    stage.send(stripe.charge_refunded, payment, amount_refunded=both)
    stage.take_back(payment, both)


def fail_to_refund(stage: Stage) -> None:
    """The buyer's bank sends the refund back: the coins stay."""
    payment = stage.buy()
    _refund(stage, payment, "refund.created", status="pending")
    _refund(stage, payment, "refund.failed", status="failed")


def lose_dispute(stage: Stage) -> None:
    """The buyer's bank takes the money back for good."""
    payment = stage.buy()
    moved = {"out": -payment.amount_minor}
    stage.dispute(payment, "created", status="needs_response", moved=moved)
    stage.dispute(payment, "closed", status="lost", moved=moved)
    stage.take_back(payment, payment.amount_minor)


def win_dispute(stage: Stage) -> None:
    """The bank takes the money and gives it back: so do the coins go and come."""
    payment = stage.buy()
    out = {"out": -payment.amount_minor}
    both = out | {"in": payment.amount_minor}
    stage.dispute(payment, "funds_withdrawn", status="needs_response", moved=out)
    stage.dispute(payment, "funds_reinstated", status="won", moved=both)


def inquire(stage: Stage) -> None:
    """The bank asks and takes nothing."""
    payment = stage.buy()
    stage.dispute(payment, "created", status="warning_needs_response", moved={})


def give(stage: Stage) -> None:
    """Give coins that were bought before."""
    (kind,) = stage.random.choices(GIFT_TYPES, (60, 30, 10))
    quantity = stage.random.randint(1, 3)
    stage.gift(kind, quantity, sender=stage.giver(kind.coins * quantity))


def buy_and_give_all(stage: Stage) -> None:
    """A gift follows its top-up at once; which of them comes first is a race."""
    buyer = stage.person("viewer")
    payment = stage.order(HANDFUL, buyer=buyer, units=1)
    stage.send(stripe.payment_intent_succeeded, payment)
    stage.grant(payment)
    stage.gift(CAKE, 4, sender=buyer, endings=(APPLIED, SHORT_OF_COINS))


def give_and_take_back(stage: Stage) -> None:
    """Refund coins that may be spent already: what is left may be a debt."""
    buyer = stage.person("viewer")
    payment = stage.order(HANDFUL, buyer=buyer, units=1)
    stage.send(stripe.payment_intent_succeeded, payment)
    stage.grant(payment)
    stage.gift(CAKE, 2, sender=buyer, endings=(APPLIED, SHORT_OF_COINS))
    stage.send(stripe.charge_refunded, payment, amount_refunded=payment.amount_minor)
    stage.take_back(payment, payment.amount_minor)


def give_without_coins(stage: Stage) -> None:
    """A viewer who never had any."""
    stage.gift(ROSE, 1, sender=stage.person("viewer"), endings=(SHORT_OF_COINS,))


def give_to_nobody(stage: Stage) -> None:
    """The recipient is unknown."""
    endings = (Ending("rejected", "unknown_recipient"),)
    stage.gift(ROSE, 1, sender=stage.person("viewer"), recipient=uuid4(), endings=endings)


def give_to_oneself(stage: Stage) -> None:
    """A streamer fans the flames."""
    streamer = stage.streamer()
    endings = (Ending("rejected", "self_gift"),)
    stage.gift(ROSE, 1, sender=streamer, recipient=streamer, endings=endings)


def give_what_is_not_sold(stage: Stage) -> None:
    """The gift type is unknown."""
    nothing = GiftType("sim-nothing", "Nothing", coins=1, streamer_share_bps=0)
    endings = (Ending("rejected", "unknown_gift_type"),)
    stage.gift(nothing, 1, sender=stage.person("viewer"), endings=endings)


def pay_for_something_else(stage: Stage) -> None:
    """Another product on the same account: its payment and its refund are passed over."""
    payment = stage.payment(1_500, metadata={"order": "T-shirt"})
    stage.send(stripe.payment_intent_succeeded, payment, endings=(NOT_OURS,))
    stage.send(stripe.charge_refunded, payment, amount_refunded=500, endings=(NOT_OURS,))


def tell_of_something_else(stage: Stage) -> None:
    """A type of event that moves no coins."""
    payment = stage.payment(0, metadata={})
    stage.send(
        stripe.stripe_event,
        payment,
        event_type="customer.updated",
        stripe_object={"id": f"cus_{payment.key}", "object": "customer"},
        endings=(Ending("ignored", "unknown_type"),),
    )


def pay_in_the_other_mode(stage: Stage) -> None:
    """A test card pays no coins where live events count, and the other way."""
    payment = stage.order(livemode=not stage.livemode)
    endings = (Ending("rejected", "livemode_mismatch"),)
    stage.send(stripe.payment_intent_succeeded, payment, endings=endings)


def overrun_velocity(stage: Stage) -> None:
    """One purchase too many at one moment; which of them is held is a race."""
    allowed = stage.rules.per_minute
    if allowed > MOST_PER_MINUTE:
        return
    buyer = stage.person("buyer")
    orders = [stage.order(HANDFUL, buyer=buyer, units=1, apart_s=0) for _ in range(allowed + 1)]
    for order in orders:
        endings = (APPLIED, Ending("held", "velocity"))
        stage.send(stripe.payment_intent_succeeded, order, endings=endings)
    for order in orders[:allowed]:
        stage.grant(order)


def need_approval(stage: Stage) -> None:
    """The fewest vaults that cost more than the threshold, if that is within the limit."""
    units = _units_above(stage.rules.approval_threshold_usd)
    if units < _units_above(stage.rules.limit_usd):
        _hold(stage, stage.order(VAULT, units=units), "needs_approval")


def exceed_limit(stage: Stage) -> None:
    """The fewest vaults that cost more than the limit."""
    units = _units_above(stage.rules.limit_usd)
    _hold(stage, stage.order(VAULT, units=units), "over_limit")


def pay_wrong_amount(stage: Stage) -> None:
    """The price list says otherwise; an intent alone would wait for its session first."""
    cheaper = Package(VAULT.sku, coins=VAULT.coins, amount_minor=VAULT.amount_minor - 1)
    ending = Ending("held", "wrong_amount")
    stage.send(stripe.checkout_session_completed, stage.order(cheaper), endings=(ending,))


def buy_unknown_product(stage: Stage) -> None:
    """No such line on the price list."""
    _hold(stage, stage.order(Package("sim-moon", coins=1, amount_minor=100)), "unknown_product")


def buy_for_nobody(stage: Stage) -> None:
    """The buyer has no profile."""
    _hold(stage, stage.order(buyer=uuid4()), "unknown_buyer")


def pay_without_a_rate(stage: Stage) -> None:
    """No fleet has a rate for this currency: its code is kept for tests (ISO 4217)."""
    _hold(stage, stage.order(currency="xts"), "no_fx_rate")


def forget_product(stage: Stage) -> None:
    """Half of the metadata: it waits for the other half, and is held after 15 minutes."""
    payment = stage.payment(99, metadata={"profile_id": str(stage.buyer())})
    endings = (Ending("waiting", "incomplete_metadata"), Ending("held", "unknown_product"))
    stage.send(stripe.payment_intent_succeeded, payment, endings=endings)


def _refund(stage: Stage, payment: StripePayment, event_type: str, *, status: str) -> None:
    stage.send(
        stripe.refund_event,
        payment,
        event_type=event_type,
        refund_id=f"re_{payment.key}",
        amount_minor=payment.amount_minor,
        status=status,
    )


def _hold(stage: Stage, payment: StripePayment, reason: str) -> None:
    stage.send(stripe.payment_intent_succeeded, payment, endings=(Ending("held", reason),))


def _units_above(usd: Decimal) -> int:
    return int(usd * 100) // VAULT.amount_minor + 1


# A person must decide of most of these: told once a run.
RARE: tuple[Story, ...] = (
    overrun_velocity,
    need_approval,
    exceed_limit,
    pay_wrong_amount,
    buy_unknown_product,
    buy_for_nobody,
    pay_without_a_rate,
    forget_product,
    give_to_oneself,
    give_what_is_not_sold,
)
# How often each is told.
USUAL: dict[Story, int] = {
    buy: 24,
    check_out: 10,
    pay_later: 2,
    refund_in_full: 4,
    refund_in_part: 4,
    fail_to_refund: 2,
    lose_dispute: 2,
    win_dispute: 1,
    inquire: 1,
    give: 60,
    buy_and_give_all: 4,
    give_and_take_back: 2,
    give_without_coins: 4,
    give_to_nobody: 2,
    pay_for_something_else: 3,
    tell_of_something_else: 3,
    pay_in_the_other_mode: 1,
}
