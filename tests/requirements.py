"""Which tests prove which requirement, and docs/requirements.md, made of it:

    .venv/bin/python -m tests.requirements

A proof is a test, `db/test_gifts.py::test_a_gift_to_oneself_is_refused`, several of a file by a
pattern, `db/test_gifts.py::*slot*`, or a file as a whole. A row that isn't built or proved yet says
what is missing.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass
from fnmatch import fnmatch
from functools import cache
from pathlib import Path

TESTS = Path(__file__).parent
PAGE = TESTS.parent / "docs" / "requirements.md"
HEAD = """\
# What is required, and what proves it

Made by `python -m tests.requirements` from `tests/requirements.py`; a test says when it is stale.
A name says the rule that its test proves.

"""


@dataclass(frozen=True, slots=True)
class Row:
    """A requirement, in short; `missing` says what isn't built or proved yet."""

    id: str
    rule: str
    proofs: tuple[str, ...] = ()
    missing: str = ""


ROWS = (
    Row(
        "B1",
        "profiles is the only table of users; every other reference is a uuid key to it",
        ("db/test_catalog.py::test_every_user_is_a_uuid_that_references_profiles",),
    ),
    Row(
        "B2",
        "On Supabase its own auth schema and roles stand; elsewhere a shim is like them",
        (
            "db/test_supabase.py",
            "db/test_migrate.py::test_a_first_release_makes_the_roles_it_needs",
        ),
    ),
    Row(
        "B3",
        "All tables of the platform, and the fleet's own",
        (
            "db/test_access.py::test_each_table_of_the_api_has_a_row_in_the_matrix",
            "db/test_catalog.py::test_every_table_view_function_and_schema_has_a_comment",
        ),
    ),
    Row(
        "B4",
        "Every quantity of coins is a bigint",
        ("db/test_catalog.py::test_every_coin_quantity_is_a_bigint",),
    ),
    Row(
        "B5",
        "Each viewer has a grid of their own, slots 1 to 12",
        ("db/test_access.py", "db/test_erasure.py::test_another_persons_traces_stay"),
    ),
    Row(
        "B6",
        "PostgreSQL 15 to 18",
        (
            "db/test_advisors.py::test_the_advisors_find_nothing_that_is_not_explained",
            "db/test_export.py::test_what_the_files_make_is_what_a_release_makes",
        ),
    ),
    Row(
        "C1",
        "The ledger is the truth and never changes; balances are caches of its sums",
        (
            "db/test_catalog.py::test_exactly_one_function_inserts_ledger_entries",
            "db/test_catalog.py::test_exactly_one_function_updates_a_balance",
            "db/test_gifts.py::test_earnings_cannot_be_given_away",
            "db/test_reconciliation.py::test_a_drifted_balance_is_found",
            "db/test_ledger.py",
            "db/test_ledger_machine.py",
        ),
    ),
    Row(
        "C2",
        "A balance moves in one function, with its entry, under a row lock",
        (
            "db/test_catalog.py::test_exactly_one_function_updates_a_balance",
            "db/test_attacks_on_money.py::test_no_path_leads_a_client_to_a_balance",
            "db/test_gifts.py::test_senders_of_a_batch_do_not_share_a_balance",
            "db/test_races.py",
        ),
    ),
    Row(
        "C3",
        "A purchase is credited once by its event and once by its payment",
        (
            "db/test_purchases.py::test_a_second_event_of_a_payment_credits_nothing",
            "db/test_purchases.py::test_of_two_events_of_a_payment_in_a_batch_the_first_grants",
            "workers/test_webhooks.py::test_a_second_delivery_is_acknowledged_and_stores_nothing",
        ),
    ),
    Row(
        "C4",
        "A purchase is pending, confirmed, then refunded or charged back",
        (
            "db/test_reversals.py::test_a_full_refund_takes_all_coins_back",
            "db/test_reversals.py::test_a_full_refund_of_a_held_purchase_closes_its_status",
            "db/test_reversals.py::test_a_refunded_payment_whose_dispute_is_won_becomes_refunded",
        ),
    ),
    Row(
        "C5",
        "A gift checks the balance, splits its coins and is written to the ledger once",
        (
            "db/test_gifts.py",
            "db/test_rpcs.py::*gift*",
        ),
    ),
    Row(
        "C6",
        "Refunds and disputes take coins back, partial ones in proportion",
        ("db/test_reversals.py",),
    ),
    Row(
        "C7",
        "A limit a purchase, five a minute, a person's approval above a threshold",
        (
            "db/test_purchases.py::*limit*",
            "db/test_purchases.py::*velocity*",
            "db/test_purchases.py::test_a_cent_above_a_limit_is_above_it",
            "db/test_purchases.py::test_the_sixth_purchase_in_a_minute_is_held",
        ),
        missing="the desk at which a person approves or rejects",
    ),
    Row(
        "C8",
        "A purchase keeps address, country and user agent; velocity has an index",
        (
            "db/test_purchases.py::test_a_purchase_keeps_where_it_came_from",
            "tasks/providers/test_stripe_purchases.py::test_metadata_say_where_a_buyer_sat",
        ),
    ),
    Row(
        "C9",
        "Purchases of $25,000 and more are exact",
        (
            "db/test_purchases.py::test_a_large_purchase_is_exact_to_the_coin",
            "db/test_purchases.py::test_coins_beyond_bigint_are_held_not_failed",
        ),
    ),
    Row(
        "C10",
        "The ledger is indexed by profile and time; its sums are proved",
        (
            "db/test_reconciliation.py",
            "db/test_plans.py::test_a_page_of_somebodys_ledger_is_read_by_its_index",
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
        ("db/test_gifts.py::test_a_gift_records_stream_and_slot",),
    ),
    Row(
        "D1",
        "Who really watches: four flags and a sign of life, streamers included",
        (
            "db/test_presence.py::test_a_viewer_counts_only_while_all_four_flags_hold",
            "db/test_presence.py::test_a_streamer_who_watches_their_own_stream_counts",
        ),
    ),
    Row(
        "D2",
        "A heartbeat is an upsert of the signed-in viewer's own row",
        ("db/test_heartbeats.py", "db/test_gateways.py", "db/test_presence.py::*heartbeat*"),
    ),
    Row(
        "D3",
        "Published only while somebody counts, on at most four streams a viewer",
        (
            "db/test_presence.py::*publish*",
            "db/test_heartbeats.py::*publishes*",
            "db/test_presence.py::*four*",
            "schedules/test_timetable.py::test_publish_state_is_recomputed_every_10_to_15_seconds",
        ),
    ),
    Row(
        "D4",
        "Viewers silent for 60 s are removed",
        (
            "db/test_presence.py::*sweep*",
            "db/test_heartbeats.py::*sweep*",
            "db/test_gateways.py::*swe*p*",
            "schedules/test_timetable.py::test_stale_viewers_are_swept_every_30_to_60_seconds",
        ),
    ),
    Row(
        "D5",
        "No stream stays published for nobody, and a short gap unpublishes none",
        (
            "db/test_presence.py::test_a_gap_shorter_than_60_seconds_does_not_unpublish",
            "db/test_presence.py::*even_if_no_recompute_saw_the_silence",
        ),
    ),
    Row("D6", "Leaderboards are refreshed on a cadence", missing="its tests"),
    Row("E followers", "The follower count follows follows", ("db/test_follows.py",)),
    Row(
        "E gifts",
        "Gift totals on profiles, by the money function itself",
        ("db/test_gifts.py::test_a_gift_counts_in_both_sides_totals",),
    ),
    Row(
        "E live",
        "A stream switched off is unpublished at once",
        ("db/test_presence.py::test_switching_a_stream_off_unpublishes_it_at_once",),
    ),
    Row("E viewers", "The viewer count follows viewers", ("db/test_stream_counters.py::*viewer*",)),
    Row("E recent", "Recent gifts follow gifts", ("db/test_stream_counters.py::*gift*",)),
    Row(
        "F",
        "Who may read and write what, table by table, by privilege and by row",
        (
            "db/test_access.py",
            "db/test_attacks.py",
            "db/test_attacks_on_money.py",
            "db/test_catalog.py::test_row_level_security_is_on_for_every_public_table",
            "db/test_advisors.py",
        ),
    ),
    Row(
        "G1",
        "The way up from the first generation",
        ("db/test_upgrades.py", "db/test_upgrade_runs.py", "db/test_upgrade_command.py"),
    ),
    Row(
        "G2",
        "The way up from the second generation",
        ("db/test_upgrades.py", "db/test_upgrade_runs.py", "db/test_upgrade_supabase.py"),
    ),
    Row("I1", "An operator adjusts a balance", missing="the command"),
    Row("I2", "The app learns what became of its event", missing="all of it"),
    Row(
        "I3",
        "A person is erased, the books stay whole",
        ("db/test_erasure.py", "workers/test_erase_command.py"),
    ),
    Row(
        "I4",
        "Payloads go after 90 days, keys never",
        ("db/test_housekeeping.py::*payload*", "db/test_housekeeping.py::*keys*"),
    ),
    Row(
        "H1",
        "A webhook delivered twice",
        (
            "workers/test_webhooks.py::test_a_second_delivery_is_acknowledged_and_stores_nothing",
            "workers/test_webhooks.py::test_deliveries_at_the_same_moment_are_stored_once",
            "journeys/test_simulate.py::*duplicates*",
        ),
    ),
    Row(
        "H2",
        "Purchases and gifts at once",
        (
            "db/test_gifts.py::test_a_top_up_counts_for_the_gift_before_it_in_its_batch",
            "journeys/test_pooled_fleet.py",
            "db/test_races.py",
        ),
    ),
    Row(
        "H3",
        "Viewers join and leave",
        (
            "db/test_presence.py::test_one_viewer_of_two_is_enough",
            "db/test_presence.py::test_a_viewer_who_comes_back_publishes_again",
        ),
    ),
    Row(
        "H4",
        "A heartbeat's time-out at 60 s",
        (
            "db/test_presence.py::test_a_viewer_counts_until_exactly_60_seconds_of_silence",
            "db/test_presence.py::test_the_sweep_removes_viewers_after_60_seconds_of_silence",
        ),
    ),
    Row(
        "H5",
        "The ledger's sum is the cached balance",
        ("db/test_reconciliation.py::test_right_books_are_proved_entry_by_entry",),
    ),
    Row(
        "H6",
        "A purchase of $25,000 and more",
        (
            "db/test_purchases.py::test_a_large_purchase_is_exact_to_the_coin",
            "db/test_purchases.py::*exactly_the_limit_is_within",
        ),
    ),
    Row("H7", "Refund and chargeback", ("db/test_reversals.py",)),
    Row("H8", "Row level security as each role", ("db/test_access.py",)),
    Row("H9", "Five purchases a minute", ("db/test_purchases.py::*velocity*",)),
    Row(
        "H10",
        "The approval workflow",
        ("db/test_purchases.py::test_a_cent_above_a_limit_is_above_it",),
        missing="the desk",
    ),
    Row("H11", "Each viewer's own grid", ("db/test_access.py",)),
    Row(
        "H12",
        "Published for active viewers only",
        ("db/test_presence.py::test_a_stream_is_published_while_somebody_watches",),
    ),
)


@cache
def tests_of(path: str) -> tuple[str, ...]:
    """Give the names of the tests in a file below tests/, in order; none if there is no file."""
    file = TESTS / path
    if not file.is_file():
        return ()
    nodes = ast.walk(ast.parse(file.read_text(encoding="utf-8")))
    functions = (each for each in nodes if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef))
    return tuple(each.name for each in functions if each.name.startswith("test_"))


def found_by(proof: str) -> list[str]:
    """Give the tests that a proof names."""
    path, _, pattern = proof.partition("::")
    return [name for name in tests_of(path) if fnmatch(name, pattern or "*")]


def page() -> str:
    """Write the page."""
    return HEAD + "\n".join(_section(row) for row in ROWS)


def _section(row: Row) -> str:
    lines = [f"## {row.id} · {row.rule}", ""]
    for proof in row.proofs:
        path, _, pattern = proof.partition("::")
        if pattern:
            lines += [f"- `tests/{path}` {_words(name)}" for name in found_by(proof)]
        else:
            lines.append(f"- `tests/{path}`, all of it")
    if row.missing:
        lines.append(f"- *missing: {row.missing}*")
    return "\n".join([*lines, ""])


def _words(name: str) -> str:
    return name.removeprefix("test_").replace("_", " ")


def main() -> None:
    """Write docs/requirements.md."""
    PAGE.parent.mkdir(exist_ok=True)
    PAGE.write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main()
