-- Clocks: which run of which job is due, who did it and what came of it; proofs; signs of life.

create table fleet.ticks (
    job text not null,
    tick bigint not null,
    missed bigint not null default 0,
    enqueued_at timestamptz not null default clock_timestamp(),
    started_at timestamptz,
    finished_at timestamptz,
    claimable_at timestamptz not null default clock_timestamp(),
    attempts integer not null default 0,
    outcome text,
    last_error text,
    primary key (job, tick),
    constraint outcome_known check (outcome in ('done', 'failed')),
    constraint finished_with_an_outcome check ((finished_at is null) = (outcome is null)),
    constraint missed_not_negative check (missed >= 0)
);
-- At most one a job: a job isn't opened again while a run of it is unfinished.
create unique index ticks_unfinished_idx on fleet.ticks (job) where finished_at is null;
comment on table fleet.ticks is 'One row a run of a periodic job. tick = floor((epoch - offset) / cadence) by the database''s clock, so any number of schedulers opens it once.';
comment on column fleet.ticks.missed is 'How many ticks before this one were never opened: nobody fired, or the run before took longer.';
comment on column fleet.ticks.claimable_at is 'When a worker may claim it next: set a little ahead by each claim, so that nobody steps between the claim and its row lock.';

create table fleet.schedules (
    job text primary key,
    cadence_s integer not null,
    offset_s integer not null,
    fired_at timestamptz not null default clock_timestamp(),
    missed_total bigint not null default 0,
    failed_total bigint not null default 0,
    constraint cadence_positive check (cadence_s > 0)
);
comment on table fleet.schedules is 'One row a job of the timetable, written each time a scheduler fires it.';

create table fleet.proofs (
    id bigint generated always as identity primary key,
    kind text not null,
    from_xid xid8,
    upto_xid xid8,
    entries_checked bigint not null default 0,
    violations bigint not null,
    detail jsonb not null default '{}',
    started_at timestamptz not null,
    finished_at timestamptz not null default clock_timestamp(),
    constraint kind_known check (kind in ('new', 'full')),
    constraint violations_not_negative check (violations >= 0)
);
create index proofs_kind_idx on fleet.proofs (kind, id);
comment on table fleet.proofs is 'What each proof of the books covered and found. new: ledger entries of transactions from from_xid up to, not including, upto_xid. full: every view of schema invariants.';
comment on column fleet.proofs.detail is 'The first violations by check, ids and amounts only.';

create table fleet.worker_reports (
    worker text primary key,
    started_at timestamptz not null,
    reported_at timestamptz not null default clock_timestamp(),
    last_doorbell_at timestamptz,
    batches bigint not null default 0,
    events bigint not null default 0,
    apply_ms_total double precision not null default 0,
    apply_buckets bigint[] not null default '{}'
)
with (fillfactor = 50);
comment on table fleet.worker_reports is 'A sign of life of each worker process, every 2 s: what it applied since it started.';
comment on column fleet.worker_reports.apply_buckets is 'Batches by duration; the bounds are tasks.context.APPLY_BUCKETS_MS and one bucket beyond.';

create table fleet.payload_horizon (
    only_row boolean primary key default true,
    upto_id bigint not null default 0,
    kept_ids bigint[] not null default '{}',
    constraint one_row check (only_row)
);
insert into fleet.payload_horizon default values;
comment on table fleet.payload_horizon is 'Up to which inbox event payloads were dropped, and the older ones whose payload was kept because they were still open.';
