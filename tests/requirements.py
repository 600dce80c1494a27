"""Which tests prove which requirement, and docs/requirements.md, made of it:

    .venv/bin/python -m tests.requirements

A proof is a test, `db/money/test_gifts.py::test_a_gift_to_oneself_is_refused`, several of a
file by a pattern, `db/money/test_gifts.py::*slot*`, or a file as a whole.
A row that isn't built yet, or not all of it, says what is missing.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Row:
    """A requirement, in short; `missing` says what of it isn't built yet."""

    id: str
    rule: str
    more: tuple[str, ...] = ()
    missing: str = ""

    @property
    def proofs(self) -> tuple[str, ...]:
        """What proves it; an item of the platform's own test list has a test of its number."""
        is_listed = self.id.startswith("H")
        own = (f"db/test_platform_list.py::test_{self.id.lower()}_*",) if is_listed else ()
        return own + self.more


ROWS = (
    Row(
        "B1",
        "profiles is the only table of users; every other reference is a uuid key to it",
        ("db/release/test_catalog.py::test_every_user_is_a_uuid_that_references_profiles",),
    ),
    Row(
        "B2",
        "On Supabase its own auth schema and roles stand; elsewhere a shim is like them",
        (
            "db/release/test_supabase.py",
            "db/release/test_neighbours.py",
            "db/connections/test_pooler.py",
            "db/release/test_export.py",
            "db/release/test_migrate.py::test_a_first_release_makes_the_roles_it_needs",
        ),
    ),
    Row(
        "B3",
        "All tables of the platform, and the fleet's own",
        (
            "db/access/test_access.py::test_each_table_of_the_api_has_a_row_in_the_matrix",
            "db/access/test_what_clients_write.py",
            "db/access/test_client_plans.py",
            "db/release/test_catalog.py::test_every_table_view_function_and_schema_has_a_comment",
        ),
    ),
    Row(
        "B4",
        "Every quantity of coins is a bigint",
        ("db/release/test_catalog.py::test_every_coin_quantity_is_a_bigint",),
    ),
    Row(
        "B5",
        "Each viewer has a grid of their own, slots 1 to 12",
        (
            "db/access/test_what_clients_write.py::*grid*",
            "db/access/test_what_clients_write.py::*slot*",
            "db/access/test_access.py::test_each_role_reaches_of_each_table_what_the_matrix_says",
            "db/access/test_client_plans.py::test_what_is_asked_all_day_is_answered_by_an_index",
        ),
    ),
    Row(
        "B6",
        "PostgreSQL 15 to 18",
        (
            "db/access/test_advisors.py::test_the_advisors_find_nothing_that_is_not_explained",
            "db/access/test_advisors.py::test_the_advisors_find_nothing_in_a_supabase_project",
        ),
    ),
    Row(
        "C1",
        "The ledger is the truth and never changes; balances are caches of its sums",
        (
            "db/release/test_catalog.py::test_exactly_one_function_inserts_ledger_entries",
            "db/release/test_catalog.py::test_exactly_one_function_updates_a_balance",
            "db/money/test_gifts.py::test_earnings_cannot_be_given_away",
            "db/proofs/test_reconciliation.py::test_a_drifted_balance_is_found",
            "db/money/test_ledger.py",
            "db/money/test_ledger_machine.py",
        ),
    ),
    Row(
        "C2",
        "A balance moves in one function, with its entry, under a row lock",
        (
            "db/release/test_catalog.py::test_exactly_one_function_updates_a_balance",
            "db/access/test_attacks_on_money.py::test_no_path_leads_a_client_to_a_balance",
            "db/money/test_gifts.py::test_senders_of_a_batch_do_not_share_a_balance",
            "db/money/test_races.py",
        ),
    ),
    Row(
        "C3",
        "A purchase is credited once by its event and once by its payment",
        (
            "db/purchases/test_purchases.py::test_a_second_event_of_a_payment_credits_nothing",
            "db/purchases/test_purchases.py::test_of_two_events_of_a_payment_in_a_batch_the_first_grants",
            "workers/receiving/test_webhooks.py::test_a_second_delivery_is_acknowledged_and_stores_nothing",
            "db/money/test_direct_calls.py",
            "db/payments/test_granted_twice.py",
            "db/payments/test_id_conflicts.py",
            "db/payments/test_names_at_random.py",
        ),
    ),
    Row(
        "C4",
        "A purchase is pending, confirmed, then refunded or charged back",
        (
            "db/reversals/test_reversals.py::test_a_full_refund_takes_all_coins_back",
            "db/purchases/test_refunded_holds.py::test_a_held_purchase_that_is_refunded_whole_leaves_the_queue",
            "db/reversals/test_reversals.py::test_a_refunded_payment_whose_dispute_is_won_becomes_refunded",
        ),
    ),
    Row(
        "C5",
        "A gift checks the balance, splits its coins and is written to the ledger once",
        (
            "db/money/test_gifts.py",
            "db/money/test_rpcs.py::*gift*",
        ),
    ),
    Row(
        "C6",
        "Refunds and disputes take coins back, partial ones in proportion",
        (
            "db/reversals/test_reversals.py",
            "db/reversals/test_reversal_facts.py",
            "db/reversals/test_disputes.py",
        ),
    ),
    Row(
        "C7",
        "A limit a purchase, five a minute, a person's approval above a threshold",
        (
            "db/purchases/test_purchases.py::*limit*",
            "db/purchases/test_purchases.py::*velocity*",
            "db/purchases/test_purchases.py::test_a_cent_above_a_limit_is_above_it",
            "db/purchases/test_purchases.py::test_the_sixth_purchase_in_a_minute_is_held",
        ),
        missing="the desk at which a person approves or rejects what is held",
    ),
    Row(
        "C8",
        "A purchase keeps address, country and user agent; velocity has an index",
        (
            "db/purchases/test_purchases.py::test_a_purchase_keeps_where_it_came_from",
            "tasks/providers/test_stripe_purchases.py::test_metadata_say_where_a_buyer_sat",
        ),
    ),
    Row(
        "C9",
        "Purchases of $25,000 and more are exact",
        (
            "db/purchases/test_purchases.py::test_a_large_purchase_is_exact_to_the_coin",
            "db/purchases/test_purchases.py::test_coins_beyond_bigint_are_held_not_failed",
        ),
    ),
    Row(
        "C10",
        "The ledger is indexed by profile and time; its sums are proved",
        (
            "db/proofs/test_reconciliation.py",
            "db/proofs/test_invariants.py",
            "db/money/test_plans.py::test_a_page_of_somebodys_ledger_is_read_by_its_index",
        ),
    ),
    Row(
        "C11",
        "Webhooks of Stripe, Apple and Google, and their retries",
        ("tasks/providers/test_stripe_signature.py", "tasks/providers/test_stripe_events.py"),
        missing="Apple and Google",
    ),
    Row(
        "C12",
        "A gift says from which slot of the sender's grid it came",
        ("db/money/test_gifts.py::test_a_gift_records_stream_and_slot",),
    ),
    Row(
        "D1",
        "Who really watches: four flags and a sign of life, streamers included",
        (
            "db/presence/test_presence.py::test_a_viewer_counts_only_while_all_four_flags_hold",
            "db/presence/test_presence.py::test_a_streamer_who_watches_their_own_stream_counts",
        ),
    ),
    Row(
        "D2",
        "A heartbeat is an upsert of the signed-in viewer's own row",
        (
            "db/presence/test_heartbeats.py",
            "db/presence/test_gateways.py",
            "db/presence/test_tabs.py",
            "db/presence/test_presence.py::*heartbeat*",
        ),
    ),
    Row(
        "D3",
        "Published only while somebody counts, on at most four streams a viewer",
        (
            "db/presence/test_presence.py::*publish*",
            "db/presence/test_heartbeats.py::*publishes*",
            "db/presence/test_presence.py::*four*",
            "schedules/test_timetable.py::test_publish_state_is_recomputed_every_10_to_15_seconds",
        ),
    ),
    Row(
        "D4",
        "Viewers silent for 60 s are removed",
        (
            "db/presence/test_presence.py::*sweep*",
            "db/presence/test_heartbeats.py::*sweep*",
            "db/presence/test_gateways.py::*swe*p*",
            "schedules/test_timetable.py::test_stale_viewers_are_swept_every_30_to_60_seconds",
        ),
    ),
    Row(
        "D5",
        "No stream stays published for nobody, and a short gap unpublishes none",
        (
            "db/presence/test_presence.py::test_a_gap_shorter_than_60_seconds_does_not_unpublish",
            "db/presence/test_presence.py::*even_if_no_recompute_saw_the_silence",
        ),
    ),
    Row(
        "D6",
        "Leaderboards are refreshed on a cadence",
        (
            "db/social/test_leaderboard.py",
            "tasks/test_leaderboard.py",
            "schedules/test_timetable.py::test_leaderboards_are_refreshed_each_minute",
        ),
    ),
    Row(
        "E",
        "The triggers that stay keep their names, move no balance, and their counters are proved",
        (
            "db/presence/test_stream_counters.py::test_the_triggers_that_stay_keep_their_names",
            "db/release/test_catalog.py::test_exactly_one_function_updates_a_balance",
            "db/proofs/test_invariants.py::test_an_invariant_sees_what_it_is_for",
        ),
    ),
    Row("E followers", "The follower count follows follows", ("db/social/test_follows.py",)),
    Row(
        "E gifts",
        "Gift totals on profiles, by the money function itself",
        ("db/money/test_gifts.py::test_a_gift_counts_in_both_sides_totals",),
    ),
    Row(
        "E live",
        "A stream switched off is unpublished at once",
        (
            "db/presence/test_presence.py::test_switching_a_stream_off_unpublishes_it_at_once",
            "db/access/test_what_clients_write.py::test_an_owner_switches_their_stream_and_no_other",
        ),
    ),
    Row(
        "E viewers",
        "The viewer count follows viewers",
        (
            "db/presence/test_stream_counters.py::*viewer*",
            "db/presence/test_stream_counters.py::*count*",
            "db/presence/test_stream_counters.py::*swept*",
        ),
    ),
    Row(
        "E recent",
        "Recent gifts follow gifts",
        (
            "db/presence/test_stream_counters.py::*gift*",
            "db/presence/test_stream_counters.py::*ageing*",
        ),
    ),
    Row(
        "F",
        "Who may read and write what, table by table, by privilege and by row",
        (
            "db/access/test_access.py",
            "db/access/test_attacks.py",
            "db/access/test_attacks_on_money.py",
            "db/access/test_what_clients_write.py",
            "db/release/test_catalog.py::test_each_role_has_the_listed_rights_to_columns_and_no_other",
            "db/release/test_catalog.py::test_row_level_security_is_on_for_every_public_table",
            "db/access/test_advisors.py",
        ),
    ),
    Row(
        "G1",
        "The way up from the first generation",
        (
            "db/legacy/test_upgrades.py",
            "db/legacy/test_upgrade_runs.py",
            "db/legacy/test_upgrade_command.py",
        ),
    ),
    Row(
        "G2",
        "The way up from the second generation",
        (
            "db/legacy/test_upgrades.py",
            "db/legacy/test_upgrade_runs.py",
            "db/legacy/test_upgrade_supabase.py",
        ),
    ),
    Row("I1", "An operator adjusts a balance with a reason and a key", missing="the command"),
    Row("I2", "The app learns what became of its event", missing="all of it"),
    Row(
        "I3",
        "A person is erased, the books stay whole",
        (
            "db/erasure/test_erasure.py",
            "db/erasure/test_erased_payloads.py",
            "db/legacy/test_erasure_after_upgrade.py",
            "workers/cli/test_erase_command.py",
        ),
    ),
    Row(
        "I4",
        "Payloads go after 90 days, keys never",
        (
            "db/inbox/test_housekeeping.py::*payload*",
            "db/inbox/test_housekeeping.py::test_keys_and_hashes_stay_for_ever",
        ),
    ),
    Row(
        "H1",
        "A webhook delivered twice",
        (
            "workers/receiving/test_webhooks.py::test_a_second_delivery_is_acknowledged_and_stores_nothing",
            "workers/receiving/test_webhooks.py::test_deliveries_at_the_same_moment_are_stored_once",
            "journeys/test_simulate.py::*duplicates*",
        ),
    ),
    Row(
        "H2",
        "Purchases and gifts at once",
        (
            "db/money/test_gifts.py::test_a_top_up_counts_for_the_gift_before_it_in_its_batch",
            "journeys/test_pooled_fleet.py",
            "db/money/test_races.py",
        ),
    ),
    Row(
        "H3",
        "Viewers join and leave",
        (
            "db/presence/test_presence.py::test_one_viewer_of_two_is_enough",
            "db/presence/test_presence.py::test_a_viewer_who_comes_back_publishes_again",
        ),
    ),
    Row(
        "H4",
        "A heartbeat's time-out at 60 s",
        (
            "db/presence/test_presence.py::test_a_viewer_counts_until_exactly_60_seconds_of_silence",
            "db/presence/test_presence.py::test_the_sweep_removes_viewers_after_60_seconds_of_silence",
        ),
    ),
    Row(
        "H5",
        "The ledger's sum is the cached balance",
        ("db/proofs/test_reconciliation.py::test_right_books_are_proved_entry_by_entry",),
    ),
    Row(
        "H6",
        "A purchase of $25,000 and more",
        (
            "db/purchases/test_purchases.py::test_a_large_purchase_is_exact_to_the_coin",
            "db/purchases/test_purchases.py::*exactly_the_limit_is_within",
        ),
    ),
    Row(
        "H7",
        "Refund and chargeback",
        ("db/reversals/test_reversals.py",),
    ),
    Row(
        "H8",
        "Row level security as each role",
        ("db/access/test_access.py",),
    ),
    Row(
        "H9",
        "Five purchases a minute",
        ("db/purchases/test_purchases.py::*velocity*",),
    ),
    Row(
        "H10",
        "The approval workflow",
        ("db/purchases/test_purchases.py::test_a_cent_above_a_limit_is_above_it",),
        missing="the desk at which a person approves or rejects",
    ),
    Row(
        "H11",
        "Each viewer's own grid",
        (
            "db/access/test_what_clients_write.py::*grid*",
            "db/access/test_access.py::test_each_role_reaches_of_each_table_what_the_matrix_says",
        ),
    ),
    Row(
        "H12",
        "Published for active viewers only",
        ("db/presence/test_presence.py::test_a_stream_is_published_while_somebody_watches",),
    ),
)


if __name__ == "__main__":
    from tests.requirement_page import write_page

    write_page()
