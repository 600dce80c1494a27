-- The tables that an upgrade keeps in the database that it upgraded, from its first transaction on and for good.

create schema if not exists fleet;

create table fleet.upgrade_runs (
    only_row boolean primary key default true,
    generation text not null,
    users_table text,
    moved_at timestamptz not null default clock_timestamp(),
    closed_doors jsonb not null default '[]',
    proof jsonb,
    finished_at timestamptz,
    constraint one_upgrade_a_database check (only_row),
    constraint generation_known check (generation in ('first', 'second')),
    constraint finished_with_a_proof check (finished_at is null or proof is not null)
);
comment on table fleet.upgrade_runs is
    'The upgrade of this database from an older generation: one row, from the moment its tables were moved aside.';
comment on column fleet.upgrade_runs.users_table is
    'The given table that maps old users to auth.users; null if e-mail addresses do.';
comment on column fleet.upgrade_runs.closed_doors is
    'Usage of schemas that was revoked from API roles and processes until the upgrade has finished.';
comment on column fleet.upgrade_runs.proof is
    'Before = after + set aside, table by table, as it was proved at the end.';

create table fleet.upgrade_steps (
    step text primary key,
    staged_rows bigint not null,
    done_rows bigint not null default 0,
    batches bigint not null default 0,
    finished_at timestamptz,
    constraint done_at_most_staged check (done_rows between 0 and staged_rows)
);
comment on table fleet.upgrade_steps is
    'How far each step of the upgrade is, written in the transaction of each batch: an interrupted upgrade goes on '
    'from here. A step is staged (each old row judged), then done in batches (copied).';

create table fleet.upgrade_tables (
    table_name text primary key,
    rows_before bigint not null,
    is_handled boolean not null
);
comment on table fleet.upgrade_tables is
    'Each old table that was moved aside, with its rows counted while everybody was locked out of it.';
comment on column fleet.upgrade_tables.is_handled is
    'Whether the current schema has a place for its rows; the others are archived.';

create table fleet.upgraded_users (
    old_id text primary key,
    profile_id uuid not null,
    constraint one_old_user_a_profile unique (profile_id)
);
comment on table fleet.upgraded_users is
    'Which profile each old user became. In the second generation both are the same.';

create table fleet.quarantine (
    id bigint generated always as identity primary key,
    source_table text not null,
    source_key text not null,
    reason text not null,
    account text,
    coins numeric,
    source_row jsonb,
    quarantined_at timestamptz not null default clock_timestamp(),
    constraint account_known check (account in ('coins', 'earnings', 'history')),
    constraint coins_of_an_account check ((coins is null) = (account is null))
);
create index quarantine_source_table_idx on fleet.quarantine (source_table, source_key);
comment on table fleet.quarantine is
    'Rows of an older generation that could not become rows of the current schema: a person decides about each. '
    'Nothing in them is lost.';
comment on column fleet.quarantine.account is
    'What the coins count: part of a profile''s coin balance, of its earnings, or a row of history whose effect the '
    'balance already has.';

create table fleet.archived_rows (
    id bigint generated always as identity primary key,
    source_table text not null,
    source_key text not null,
    reason text not null,
    coins numeric,
    source_row jsonb not null,
    archived_at timestamptz not null default clock_timestamp()
);
create index archived_rows_source_table_idx on fleet.archived_rows (source_table, source_key);
comment on table fleet.archived_rows is
    'Rows of an older generation that have no place in the current schema and need none.';

create table fleet.upgrade_notes (
    id bigint generated always as identity primary key,
    source_table text not null,
    source_key text not null,
    note text not null,
    old_value text
);
create index upgrade_notes_source_table_idx on fleet.upgrade_notes (source_table, source_key);
comment on table fleet.upgrade_notes is
    'Values that a moved row could not keep, as they were.';
