"""What the console may read: these columns, and no other of any table.

Written from what an operator has to see. Left out are payloads, what providers were asked and
answered, hashes of tokens, and of people everything but the profile's id.
"""

from __future__ import annotations

# By table, the columns with a blank between two.
READABLE: dict[str, str] = {
    "fleet.adjustments": "idempotency_key profile_id amount who reason adjusted_at origin",
    "fleet.backfills": (
        "id provider is_scheduled from_at to_at reached_at found missed seen attempts worker "
        "started_at read_at finished_at failing_since last_error begins_at"
    ),
    "fleet.call_pauses": "kind reason paused_at",
    "fleet.console_people": "subject person first_seen_at",
    "fleet.console_sessions": (
        "id subject role aal reads_payloads created_at expires_at last_seen_at revoked_at "
        "revoked_by origin ended_origin"
    ),
    "fleet.decisions": (
        "id purchase_id event_id verb outcome who reason hold_reason coins profile_id "
        "needs_second decided_at origin"
    ),
    "fleet.disputes": (
        "provider dispute_id payment_id amount_minor told_at status currency payment_rate due_at"
    ),
    "fleet.erasures": "id profile_id requested_by reason erased_at counts",
    "fleet.found_events": "event_id backfill_id provider event_type made_at found_at is_missed",
    "fleet.freezes": (
        "provider source source_id payment_id opened_at told_at is_open released_at released_by "
        "is_released_by_person release_reason"
    ),
    "fleet.frozen_purchases": "purchase_id profile_id",
    "fleet.hold_judgements": "event_id judgements judged_at",
    "fleet.inbox_events": (
        "id provider provider_event_id event_type state reason attempts starts payment_id "
        "received_at next_attempt_at processed_at last_error traceparent"
    ),
    "fleet.joined_purchases": (
        "purchase_id payment_id joined_by joined_at is_taken_back closed_at closed_by closed_reason"
    ),
    "fleet.operator_actions": (
        "id action who typed_by client_address reason detail event_ids acted_at call_ids origin"
    ),
    "fleet.payment_halves": (
        "provider provider_event_id payment_id profile_id sku quantity currency is_attributed"
    ),
    "fleet.payment_keys": "provider key payment_id",
    "fleet.payments": (
        "id is_foreign refund_total_minor refund_total_at held_minor held_currency held_event_id "
        "held_reason charge_minor charge_currency total_minor total_currency rejection"
    ),
    "fleet.provider_calls": (
        "id kind key state attempts next_attempt_at lease_until created_at provider event_id "
        "worker first_attempt_at finished_at give_up_at failures last_error"
    ),
    "fleet.publish_changes": "id stream_id is_published changed_at",
    "fleet.refunds": "provider refund_id payment_id amount_minor status created_at undone_at",
    "fleet.refused_sign_ins": "id refused_at subject cause origin",
    "fleet.replay_trials": "id asked_by asked_at finished_at outcome last_error",
    "fleet.schedule_pauses": "job paused_at paused_by reason",
    "fleet.schedules": "job cadence_s offset_s fired_at missed_total failed_total",
    "fleet.settings": "hold_expires_days",
    "fleet.set_aside_events": "event_id failing_since setbacks sqlstate",
    "fleet.store_inquiries": (
        "id provider inquiry_id event_id payment_key store_app asked_at deadline reason is_sandbox"
    ),
    "fleet.store_line_items": "payment_id product_id quantity reversed_quantity unit_coins",
    "fleet.store_payments": (
        "payment_id provider store_app provider_payment_id profile_id is_attributed_by_person "
        "quantity told_at reversed_milli_percent is_sandbox is_acknowledged is_consumed"
    ),
    "fleet.store_voids": "payment_id told_at voided_quantity",
    "fleet.ticks": (
        "job tick missed enqueued_at started_at finished_at claimable_at attempts outcome "
        "last_error asked_at"
    ),
    "fleet.worker_reports": "worker started_at reported_at last_doorbell_at detail",
    "public.coin_packages": (
        "provider sku product_id coin_amount amount_minor currency active listed_at"
    ),
    "public.coin_purchases": (
        "id payment_id profile_id provider provider_event_id provider_payment_id sku quantity "
        "coin_amount amount_minor currency usd_amount status requires_approval hold_reason "
        "decision max_purchase_limit refunded_coins purchased_at granted_at created_at "
        "refund_requested"
    ),
    "public.fx_rates": "currency usd_per_unit as_of",
    "public.gift_types": "code name coin_cost streamer_share_bps active",
    "public.gifts": (
        "id provider_event_id sender_id recipient_id stream_id gift_type quantity slot_index "
        "coin_amount platform_revenue streamer_revenue created_at"
    ),
    "public.ledger_entries": (
        "id transaction_id leg profile_id account amount balance_after seq reason idempotency_key "
        "created_at"
    ),
    "public.live_streams": (
        "id profile_id live_available is_published active_viewer_count recent_gift_coins "
        "started_at ended_at"
    ),
    "public.profiles": (
        "id coin_balance earnings_balance coin_seq earnings_seq total_purchased total_spent "
        "total_gifts_sent total_gifts_received follower_count created_at"
    ),
}
