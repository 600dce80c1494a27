"""What somebody may change in the catalog after a release, and what is reported of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from db.release import catalog

if TYPE_CHECKING:
    from db.connections.pool import Pool

LEDGER = "public.ledger_entries"

# What somebody does, and what the report says about it.
DAMAGES = {
    f"drop trigger ledger_entries_never_change on {LEDGER}": (
        f"trigger ledger_entries_never_change on {LEDGER}"
    ),
    f"alter table {LEDGER} disable trigger ledger_entries_are_never_truncated": (
        f"trigger ledger_entries_are_never_truncated on {LEDGER}"
    ),
    "drop trigger trigger_update_follower_count on public.follows": (
        "trigger trigger_update_follower_count on public.follows"
    ),
    "drop trigger coinfleet_makes_a_profile on auth.users": (
        "trigger coinfleet_makes_a_profile on auth.users"
    ),
    "drop function fleet.apply_events(jsonb, timestamptz)": (
        "function fleet.apply_events(jsonb,timestamp with time zone)"
    ),
    "alter function fleet.post_ledger(fleet.posting[]) security definer": (
        "function fleet.post_ledger(fleet.posting[])"
    ),
    "revoke execute on function fleet.claim_events(integer, timestamptz) from coinfleet_worker": (
        "grant execute on function fleet.claim_events(integer,timestamp with time zone)"
        " to coinfleet_worker"
    ),
    "revoke execute on all functions in schema public from authenticated": "to authenticated",
    "revoke usage on schema fleet from coinfleet_web": (
        "grant usage on schema fleet to coinfleet_web"
    ),
    "revoke select on fleet.schema_migrations from coinfleet_scheduler": (
        "grant select on fleet.schema_migrations to coinfleet_scheduler"
    ),
    "revoke usage on schema invariants from coinfleet_worker": (
        "grant usage on schema invariants to coinfleet_worker"
    ),
    "alter default privileges in schema invariants revoke select on tables from coinfleet_worker": (
        "grant select on later tables of schema invariants to coinfleet_worker"
    ),
    f"drop policy own_rows_are_read on {LEDGER}": f"policy own_rows_are_read on {LEDGER}",
    "alter policy own_rows_are_read on public.coin_purchases using (true)": (
        "policy own_rows_are_read on public.coin_purchases"
    ),
    f"alter table {LEDGER} disable row level security": f"row level security on {LEDGER}",
    "revoke select on public.profiles from anon": "grant select on public.profiles to anon",
    "revoke update (bio) on public.profiles from authenticated": (
        "grant update (bio) on public.profiles to authenticated"
    ),
    "revoke select (state) on fleet.inbox_events from coinfleet_console": (
        "grant select (state) on fleet.inbox_events to coinfleet_console"
    ),
    "drop policy console_reads on public.profiles": "policy console_reads on public.profiles",
    "drop view invariants.balances_match_ledger": "view invariants.balances_match_ledger",
    "alter role coinfleet_worker in database {database} reset all": (
        "setting of role coinfleet_worker: lock_timeout=5000"
    ),
    "alter role coinfleet_web in database {database} set statement_timeout = 1": (
        "setting of role coinfleet_web: statement_timeout=30000"
    ),
    "alter default privileges in schema public revoke all on tables from anon": (
        "grant select on later tables of schema public to anon"
    ),
    "revoke usage on schema auth from authenticated": (
        "grant usage on schema auth to authenticated"
    ),
    "drop function auth.role()": "function auth.role()",
}

ADDITIONS = {
    f"grant insert, delete on {LEDGER} to authenticated": (
        f"grant delete on {LEDGER} to authenticated"
    ),
    "grant update (coin_balance) on public.profiles to authenticated": (
        "grant update (coin_balance) on public.profiles to authenticated"
    ),
    "grant execute on function fleet.post_ledger(fleet.posting[]) to anon": (
        "grant execute on function fleet.post_ledger(fleet.posting[]) to anon"
    ),
    "grant execute on function fleet.apply_events(jsonb, timestamptz) to public": (
        "grant execute on function fleet.apply_events(jsonb,timestamp with time zone) to public"
    ),
    "grant execute on function fleet.apply_events(jsonb, timestamptz) to coinfleet_web": (
        "grant execute on function fleet.apply_events(jsonb,timestamp with time zone)"
        " to coinfleet_web"
    ),
    "grant update on sequence public.gifts_id_seq to authenticated": (
        "grant update on public.gifts_id_seq to authenticated"
    ),
    "alter role coinfleet_scheduler in database {database} set synchronous_commit = off": (
        "setting of role coinfleet_scheduler: synchronous_commit=off"
    ),
}

# Changes that no file undoes.
LEFT_TO_A_PERSON = {
    "grant select on fleet.inbox_events to anon": "grant select on fleet.inbox_events to anon",
    "grant usage on schema fleet to authenticated": "grant usage on schema fleet to authenticated",
    f"create policy all_rows_are_read on {LEDGER} for select to authenticated using (true)": (
        f"policy all_rows_are_read on {LEDGER}"
    ),
}

# Losses of what only a migration made: no release makes it again.
LOST_OF_TABLES = {
    "alter table public.gifts drop constraint gifts_sender_id_fkey": (
        "constraint gifts_sender_id_fkey on public.gifts: foreign key, valid"
    ),
    "alter table public.profiles drop constraint bio_at_most_2000_characters": (
        "constraint bio_at_most_2000_characters on public.profiles: check, valid"
    ),
    "alter table public.gifts alter coin_amount drop not null": (
        "column coin_amount of public.gifts: bigint not null"
    ),
    "alter table public.gifts alter created_at drop default": (
        "column created_at of public.gifts: timestamp with time zone not null default"
    ),
    "alter table public.user_grid_slots drop column is_muted cascade": (
        "column is_muted of public.user_grid_slots: boolean not null default"
    ),
    "drop index fleet.inbox_events_pending_idx": (
        "index fleet.inbox_events_pending_idx on fleet.inbox_events: (id) where"
    ),
    # The same names, and less than the release made.
    "drop index fleet.console_sessions_token_hash_idx; create index console_sessions_token_hash_idx"
    " on fleet.console_sessions (token_hash)": (
        "index fleet.console_sessions_token_hash_idx on fleet.console_sessions: unique (token_hash)"
    ),
    "alter table public.gifts drop constraint gifts_recipient_id_fkey, add constraint"
    " gifts_recipient_id_fkey foreign key (recipient_id) references public.profiles not valid": (
        "constraint gifts_recipient_id_fkey on public.gifts: foreign key, valid"
    ),
}

# The same in words, and another definition.
REDEFINED_IN_TABLES = {
    "drop index fleet.provider_calls_event_id_idx; create index provider_calls_event_id_idx"
    " on fleet.provider_calls (event_id) where event_id > 5": (
        "index fleet.provider_calls_event_id_idx on fleet.provider_calls: (event_id) where"
    ),
    "alter table public.coin_purchases drop constraint decision_known,"
    " add constraint decision_known check (true)": (
        "constraint decision_known on public.coin_purchases: check, valid"
    ),
    "alter table public.gift_types alter active set default false": (
        "column active of public.gift_types: boolean not null default"
    ),
    "alter table public.coin_purchases alter id set generated always": (
        "column id of public.coin_purchases: bigint not null identity"
    ),
}

# What a table must not be, whoever made it so and whenever: no release undoes it.
NEVER_OF_TABLES = {
    "alter table public.active_viewers set unlogged": "unlogged table public.active_viewers",
    "create rule nothing as on insert to fleet.inbox_events do instead nothing": (
        "rule nothing on fleet.inbox_events"
    ),
}

OPERATORS_OWN = (
    "alter table public.gifts add column mine text default '', add check (mine <> 'x')",
    f"grant select on {LEDGER} to reports",
    "create index on public.gifts (quantity)",
    "create view public.mine as select 1 as one",
    "create table public.own (id int); grant all on public.own to anon",
    "alter role coinfleet_worker in database {database} set synchronous_commit = remote_apply",
    "alter role coinfleet_worker in database {database} set work_mem = '64MB'",
)


async def told(pool: Pool) -> list[str]:
    """Return the catalog's differences in words."""
    differences = await catalog.find_differences(pool)
    assert differences is not None
    return [line for each in differences for line in (*each.lost, *each.gained)]
