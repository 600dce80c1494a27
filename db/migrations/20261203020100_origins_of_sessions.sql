-- From where people sign in to the console and out, and the sign-ins that were refused: the audit log tells of them.
alter table fleet.console_sessions add column origin text;
alter table fleet.console_sessions alter column origin
set default nullif(current_setting('coinfleet.origin', true), '');
comment on column fleet.console_sessions.origin is
    'From where it was begun: what the transaction says as coinfleet.origin.';
alter table fleet.console_sessions add column ended_origin text;
comment on column fleet.console_sessions.ended_origin is
    'From where its person signed out: what the transaction says as coinfleet.origin.';
-- The audit log walks back by time through sessions that were ended.
create index console_sessions_revoked_at_idx on fleet.console_sessions (revoked_at, id) where revoked_at is not null;

create table fleet.refused_sign_ins (
    id bigint generated always as identity primary key,
    refused_at timestamptz not null default clock_timestamp(),
    subject text references fleet.console_people (subject),
    cause text not null,
    origin text default nullif(current_setting('coinfleet.origin', true), ''),
    constraint cause_of_bounded_length check (char_length(cause) between 1 and 50)
);
create index refused_sign_ins_refused_at_idx on fleet.refused_sign_ins (refused_at, id);
create index refused_sign_ins_subject_idx on fleet.refused_sign_ins (subject) where subject is not null;
revoke all on fleet.refused_sign_ins from public, anon, authenticated, service_role;
comment on table fleet.refused_sign_ins is
    'Sign-ins to the console that were refused within the last 30 days, at most 200 per hour: somebody may guess.';
comment on column fleet.refused_sign_ins.subject is
    'Whose address was typed, if that person has signed in before; what a stranger types is not kept.';
