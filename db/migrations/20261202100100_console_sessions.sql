-- Who is signed in to the console, and what the audit log of the console reads by time.

create table fleet.console_people (
    subject text primary key,
    person text not null,
    first_seen_at timestamptz not null default clock_timestamp(),
    constraint subject_of_bounded_length check (char_length(subject) between 1 and 300),
    constraint person_of_bounded_length check (btrim(person) <> '' and char_length(person) <= 200)
);
create unique index console_people_person_idx on fleet.console_people (lower(person));
revoke all on fleet.console_people from public, anon, authenticated, service_role;
comment on table fleet.console_people is
    'Each person who ever signed in to the console. Decisions keep the name, and nobody decides twice: so a name stays '
    'with its subject, also if the person''s address changes at the sign-in service.';
comment on column fleet.console_people.subject is 'The way of signing in and the id of the person there.';

create table fleet.console_sessions (
    id bigint generated always as identity primary key,
    token_hash bytea not null,
    subject text not null references fleet.console_people (subject),
    role text not null,
    aal text not null,
    reads_payloads boolean not null,
    created_at timestamptz not null default clock_timestamp(),
    expires_at timestamptz not null,
    last_seen_at timestamptz not null default clock_timestamp(),
    revoked_at timestamptz,
    revoked_by text,
    constraint hash_is_sha256 check (octet_length(token_hash) = 32),
    constraint role_known check (role in ('viewer', 'operator', 'approver')),
    constraint aal_known check (aal in ('aal1', 'aal2')),
    constraint revoked_by_somebody check ((revoked_at is null) = (revoked_by is null))
);
create unique index console_sessions_token_hash_idx on fleet.console_sessions (token_hash);
create index console_sessions_subject_idx on fleet.console_sessions (subject, revoked_at);
create index console_sessions_created_at_idx on fleet.console_sessions (created_at, id);
revoke all on fleet.console_sessions from public, anon, authenticated, service_role;
comment on table fleet.console_sessions is
    'The sessions of the console, one row each, kept as the record of who signed in. A browser holds a random token; '
    'here is only its SHA-256.';
comment on column fleet.console_sessions.aal is 'aal2: with a second factor.';
comment on column fleet.console_sessions.reads_payloads is
    'Whether the person may read payloads, which no role includes.';

-- The audit log walks back by time through what people did.
create index if not exists operator_actions_acted_at_idx on fleet.operator_actions (acted_at, id);
create index if not exists decisions_decided_at_idx on fleet.decisions (decided_at, id);
create index if not exists adjustments_adjusted_at_idx on fleet.adjustments (adjusted_at);
create index if not exists erasures_erased_at_idx on fleet.erasures (erased_at, id);
