-- Definer: the console has no right to write these tables.
create or replace function fleet.end_console_session(p_token_hash bytea)
returns void
language sql
volatile
security definer
set search_path = '', pg_temp
as $$
    select fleet.commit_durably();
    update fleet.console_sessions as s
    set revoked_at = clock_timestamp(),
        revoked_by = (select p.person from fleet.console_people as p where p.subject = s.subject),
        ended_origin = nullif(current_setting('coinfleet.origin', true), '')
    where s.token_hash = p_token_hash and s.revoked_at is null
$$;

revoke all on function fleet.end_console_session(bytea) from public, anon, authenticated, service_role;
comment on function fleet.end_console_session(bytea) is 'Ends the session with this token: its person signs out.';
