-- Who corrected a balance, and why. The entries themselves stand in the ledger.
create table fleet.adjustments (
    idempotency_key text primary key,
    profile_id uuid not null references public.profiles (id),
    amount bigint not null,
    who text not null,
    reason text not null,
    adjusted_at timestamptz not null default clock_timestamp(),
    constraint who_and_reason_are_said check (btrim(who) <> '' and btrim(reason) <> '')
);
create index adjustments_profile_id_idx on fleet.adjustments (profile_id);
revoke all on fleet.adjustments from public, anon, authenticated, service_role;
comment on table fleet.adjustments is
    'The corrections that operators made with `coinfleet adjust`: who and why. One row per key, never changed; '
    'the person corrected does not see it.';
