-- Who was erased, when and by whom: the proof that it was done, without what was erased.

create table fleet.erasures (
    id bigint generated always as identity primary key,
    profile_id uuid not null references public.profiles (id),
    requested_by text not null,
    reason text not null,
    erased_at timestamptz not null default clock_timestamp(),
    counts jsonb not null,
    constraint requested_by_somebody check (requested_by <> ''),
    constraint reason_given check (reason <> '')
);
create index erasures_profile_id_idx on fleet.erasures (profile_id, erased_at);
comment on table fleet.erasures is 'One row an erasure. A repeated one that found nothing more to clear adds none.';
comment on column fleet.erasures.counts is 'How many rows were cleared or removed, by kind.';
