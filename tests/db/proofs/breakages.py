"""Damage to the books that invariants must find; only a superuser can do it."""

from __future__ import annotations

LEDGER = "public.ledger_entries"


def told(event_type: str, said: str, *, refund_id: str = "re_stored") -> str:
    """Let an event have told this of the payment that has a refund, which is known by this id."""
    return (
        f"update fleet.refunds set refund_id = '{refund_id}' where payment_id in"
        " (select payment_id from public.coin_purchases);"
        f" update fleet.inbox_events as e set event_type = '{event_type}', payload = convert_to("
        f' \'{{"created": 1, "data": {{"object": {{"payment_intent": "\' || k.key'
        f" || '\", {said}}}}}}}', 'UTF8')"
        " from fleet.refunds as r join fleet.payment_keys as k on k.payment_id = r.payment_id"
        " where e.payment_id = r.payment_id and e.state = 'applied' and k.key like 'pi_%'"
        f" and r.refund_id = '{refund_id}'"
    )


HELD_PAYMENT = (
    "update fleet.payments as p set {} from fleet.inbox_events as e"
    " where e.payment_id = p.id and e.state = 'held' and p.held_minor is not null"
)
AN_HOUR_AGO = (
    "update fleet.inbox_events set received_at = now() - interval '1 hour',"
    " processed_at = now() - interval '1 hour';"
    " update public.profiles set created_at = now() - interval '1 hour'"
)
IGNORED = (
    "update fleet.inbox_events set state = 'ignored', reason = '{0}', payment_id = null,"
    ' event_type = \'checkout.session.completed\', payload = convert_to(\'{{"data": {{"object":'
    ' {{"id": "cs_1", "mode": "payment", "metadata": {{"sku": "coins_100"}}, {1}}}}}}}\', \'UTF8\')'
    " where state = 'held' and reason = 'unknown_buyer'"
)
# For each invariant one way to break it, which only a superuser can do.
BREAKAGES = {
    "amounts_paid_are_as_told": (
        "update fleet.inbox_events as e set event_type = 'payment_intent.succeeded', payload ="
        ' convert_to(\'{"data": {"object": {"amount_received": 1, "currency": "usd"}}}\', \'UTF8\')'
        " from public.coin_purchases as cp where cp.provider_event_id = e.provider_event_id"
    ),
    "adjustments_are_in_the_ledger": "update fleet.adjustments set amount = amount + 1",
    "accounts_have_no_gaps": (
        f"update {LEDGER} set seq = seq + 1 where id = (select max(id) from {LEDGER}"
        " where account = 'coins')"
    ),
    "applied_gift_events_have_a_gift": (
        "update fleet.inbox_events set state = 'rejected', reason = 'self_gift'"
        " where state = 'applied'"
    ),
    "applied_purchase_events_have_a_purchase": (
        "update fleet.inbox_events set event_type = 'payment_intent.succeeded', state = 'applied',"
        " reason = null where state = 'held' and reason = 'unknown_buyer'"
    ),
    "balances_match_ledger": ("update public.profiles set earnings_balance = earnings_balance + 1"),
    "decisions_are_carried_out": (
        "update public.coin_purchases set decision = 'rejected' where status = 'pending'"
    ),
    "event_tallies_match_inbox": "update fleet.event_tallies set delta = delta + 1",
    "final_events_are_finished": "update fleet.inbox_events set processed_at = null",
    "follower_counts_match_follows": "delete from public.follows",
    "freezes_end_with_their_cause": "update fleet.freezes set is_open = false",
    "frozen_purchases_match_freezes": "delete from fleet.frozen_purchases",
    "gifts_match_ledger": (
        "update public.gifts set platform_revenue = platform_revenue - 1,"
        " streamer_revenue = streamer_revenue + 1"
    ),
    "held_events_are_not_refunded": (
        "update fleet.payments as p set held_minor = 40 from fleet.inbox_events as e"
        " where e.payment_id = p.id and e.state = 'held' and p.held_minor is not null"
    ),
    "held_purchases_have_a_held_event": (
        "update fleet.inbox_events set state = 'rejected' where state = 'held'"
    ),
    "holds_have_their_reason": (
        "update public.coin_packages set listed_at = now() - interval '1 hour';"
        " update public.coin_purchases set hold_reason = 'unknown_product'"
        " where hold_reason = 'needs_approval'"
    ),
    "leaderboard_sums_match_gifts": "update fleet.leaderboard_sums set coins = coins + 1",
    "google_hears_of_its_purchases": (
        "delete from fleet.provider_calls where kind = 'google.consume'"
    ),
    "ledger_has_no_orphans": "delete from public.gifts",
    "names_lead_to_one_grant": (
        "update fleet.payment_keys set payment_id = (select payment_id from public.coin_purchases"
        " where status = 'pending') where key like 'pi_%'; update public.coin_purchases"
        " set granted_at = now(), status = 'confirmed' where status = 'pending'"
    ),
    "open_events_have_no_purchase": (
        "update fleet.inbox_events set state = 'waiting' where state = 'applied'"
    ),
    "own_payments_are_not_ignored": (
        "insert into fleet.payment_halves (provider, provider_event_id, payment_id, sku)"
        " select 'stripe', 'evt_of_half', payment_id, 'coins_100' from fleet.inbox_events"
        " where state = 'held' and reason = 'unknown_buyer' on conflict do nothing;"
        " update fleet.inbox_events set event_type = 'payment_intent.succeeded',"
        " state = 'ignored', reason = 'not_ours' where state = 'held' and reason = 'unknown_buyer'"
    ),
    "payments_are_granted_once": (
        "insert into fleet.joined_purchases (purchase_id, payment_id, joined_by)"
        " select id, 0, 'evt' from public.coin_purchases;"
        " update public.coin_purchases set granted_at = now()"
    ),
    "payments_have_one_intent": (
        "insert into fleet.payment_keys (provider, key, payment_id)"
        " select 'stripe', 'pi_other', payment_id from fleet.payment_keys"
        " where key like 'pi_%' limit 1"
    ),
    "products_have_one_number_of_coins": (
        "update public.coin_packages set coin_amount = 99"
        " where provider = 'apple' and currency = 'eur'"
    ),
    "questions_have_their_call": "delete from fleet.provider_calls",
    "purchase_status_is_derived": (
        "update public.coin_purchases set status = 'chargeback' where status = 'confirmed'"
    ),
    "purchases_match_ledger": (f"update {LEDGER} set amount = amount * 2 where reason = 'refund'"),
    "recent_gift_coins_match_gifts": "update public.live_streams set recent_gift_coins = 1000",
    "answers_have_their_question": (
        "insert into fleet.provider_calls (kind, key) values"
        " ('google.review_refund', 'coinfleet:review:of_nothing')"
    ),
    "refund_calls_have_a_decision": (
        "insert into fleet.provider_calls (kind, key) values ('stripe.refund', 'by_nobody')"
    ),
    "reversals_have_a_payment": (
        "update public.coin_purchases set payment_id = -payment_id where refunded_coins > 0"
    ),
    "refunds_reach_their_purchase": (
        "update fleet.payment_keys set payment_id = 0 where payment_id in"
        " (select payment_id from fleet.refunds); update fleet.refunds set payment_id = 0"
    ),
    "reversals_meet_their_target": "update fleet.refunds set status = 'failed'",
    "sequences_match_ledger": "update public.profiles set coin_seq = coin_seq + 1",
    "sessions_are_granted_once": (
        "update public.coin_purchases set granted_at = now();"
        " update fleet.inbox_events as e set event_type = 'checkout.session.completed',"
        ' payload = convert_to(\'{"data": {"object": {"id": "cs_1", "payment_intent": "\' ||'
        " cp.provider_payment_id || '\"}}}', 'UTF8') from public.coin_purchases as cp"
        " where cp.provider_event_id = e.provider_event_id;"
        " update public.coin_purchases set provider_payment_id = 'cs_1' where id ="
        " (select min(id) from public.coin_purchases)"
    ),
    "store_purchases_have_their_buyer": (
        "update fleet.store_payments set profile_id = gen_random_uuid()"
    ),
    "store_reversals_meet_their_target": (
        "update fleet.store_payments set reversed_milli_percent = 50000 where provider = 'apple'"
    ),
    "told_states_have_their_delivery": (
        "delete from fleet.provider_calls where key like 'purchase-held-%';"
        " update public.coin_purchases set created_at = now()"
    ),
    "told_reversals_are_known": told("refund.updated", '"id": "re_unknown", "amount": 40'),
    "totals_match_ledger": (
        "update public.profiles set total_gifts_received = total_gifts_received + 1"
    ),
    "transactions_are_whole": f"update {LEDGER} set reason = 'other' where leg = 1",
    "transactions_sum_to_zero": f"update {LEDGER} set amount = amount - 1 where leg = 1",
    "viewer_counts_match_viewers": "delete from public.active_viewers",
    "waits_end": (
        "update fleet.inbox_events set state = 'waiting', next_attempt_at = 'infinity'"
        " where state = 'held'"
    ),
    "awaited_sessions_have_not_come": (
        "with come as (update fleet.payment_halves set told_by = 'session')"
        " update fleet.inbox_events set state = 'waiting', reason = 'no_session_yet'"
        " where state = 'held'"
    ),
}

# Facts of payments that went wrong, and the invariant that finds each.
OF_FACTS = [
    # A total and a dispute that nothing is known of; refunds that are known otherwise.
    (
        told("charge.dispute.closed", '"id": "dp_unknown", "amount": 40, "status": "lost"'),
        "told_reversals_are_known",
    ),
    (
        told("charge.refunded", '"id": "ch_1", "amount_refunded": 40'),
        "told_reversals_are_known",
    ),
    (
        told("refund.updated", '"id": "re_stored", "amount": 41'),
        "told_reversals_are_known",
    ),
    (
        told("refund.failed", '"id": "re_stored", "amount": 40, "status": "failed"'),
        "told_reversals_are_known",
    ),
    # Held although a total or a dispute says that all of it went back.
    (
        HELD_PAYMENT.format("refund_total_minor = 100, refund_total_at = now()"),
        "held_events_are_not_refunded",
    ),
    (
        (
            "insert into fleet.disputes (provider, dispute_id, payment_id, amount_minor,"
            " status) select 'stripe', 'dp_2', payment_id, 60, 'lost' from fleet.inbox_events"
            " where state = 'held' and reason = 'unknown_buyer'"
        ),
        "held_events_are_not_refunded",
    ),
    # Closed although only a part went back, and rejected by nobody.
    (
        (
            "update fleet.inbox_events set state = 'applied', reason = 'refunded_while_held'"
            " where state = 'held' and reason = 'unknown_buyer'"
        ),
        "held_events_are_not_refunded",
    ),
    (
        (
            "update fleet.inbox_events set state = 'rejected', reason = 'by_decision'"
            " where state = 'held' and reason = 'unknown_buyer'"
        ),
        "decisions_are_carried_out",
    ),
    # All coins taken for want of a rate that has come since.
    (
        (
            "insert into fleet.disputes (provider, dispute_id, payment_id, amount_minor,"
            " status, currency) select 'stripe', 'dp_' || id, payment_id, 60, 'lost', 'sek'"
            " from public.coin_purchases; insert into public.fx_rates (currency, usd_per_unit,"
            " as_of) values ('sek', 0.1, now() - interval '2 hours'); update"
            " fleet.inbox_events set event_type = 'charge.dispute.closed',"
            " reason = 'no_fx_rate' where state = 'applied'"
        ),
        "holds_have_their_reason",
    ),
    # Another half of its payment names the buyer.
    (
        (
            "insert into fleet.payment_halves (provider, provider_event_id, payment_id,"
            " profile_id) select 'stripe', 'evt_half', e.payment_id, p.id"
            " from fleet.inbox_events as e cross join (select id from public.profiles limit 1)"
            " as p where e.state = 'held' and e.reason = 'unknown_buyer';"
            f" {AN_HOUR_AGO}"
        ),
        "holds_have_their_reason",
    ),
    # Another half of its payment names the quantity that was paid for.
    (
        (
            "update public.coin_purchases set hold_reason = 'wrong_amount'"
            " where hold_reason = 'needs_approval' and provider = 'stripe';"
            " update fleet.payment_halves set quantity = null;"
            " insert into fleet.payment_halves (provider, provider_event_id, payment_id,"
            " quantity) select 'stripe', 'evt_half', payment_id, quantity + 1"
            " from public.coin_purchases where hold_reason = 'wrong_amount';"
            f" {AN_HOUR_AGO}"
        ),
        "holds_have_their_reason",
    ),
    # The release before held it for an amount, and this one has not judged it.
    (
        (
            "delete from fleet.payment_halves;"
            " update public.coin_purchases set hold_reason = 'wrong_amount'"
            " where hold_reason = 'needs_approval' and provider = 'stripe';"
            " update fleet.schema_objects set applied_at = now() - interval '1 hour';"
            f" {AN_HOUR_AGO}"
        ),
        "holds_have_their_reason",
    ),
    # An order of ours, of which a release before this one made nothing.
    (
        IGNORED.format("unpaid", '"payment_status": "no_payment_required", "amount_total": 0'),
        "own_payments_are_not_ignored",
    ),
    (
        IGNORED.format("not_ours", '"payment_status": "paid", "amount_total": 100'),
        "own_payments_are_not_ignored",
    ),
    # Housekeeping ran, and an event still waits.
    (
        (
            "insert into fleet.ticks (job, tick, finished_at, outcome)"
            " values ('housekeeping', 1, now(), 'done'); update fleet.inbox_events set"
            " state = 'waiting', next_attempt_at = now() - interval '1 hour'"
            " where state = 'held'"
        ),
        "waits_end",
    ),
    # A charge and its intent were granted, and the event that names both was not read.
    (
        (
            BREAKAGES["sessions_are_granted_once"]
            .replace("cs_1", "ch_1")
            .replace("checkout.session.completed", "charge.succeeded")
        ),
        "sessions_are_granted_once",
    ),
]
OF_FACTS_IDS = [
    "unknown dispute",
    "unknown total",
    "smaller refund",
    "failed refund",
    "held and refunded in total",
    "held and charged back",
    "closed and not refunded",
    "rejected by nobody",
    "disputed without a rate",
    "buyer in another half",
    "quantity in another half",
    "held by the release before",
    "free and ignored",
    "paid and ignored",
    "waits too long",
    "charge and intent",
]
