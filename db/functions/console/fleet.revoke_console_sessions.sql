create or replace function fleet.revoke_console_sessions(p_person text, p_by text)
returns bigint
language sql
volatile
security invoker
set search_path = '', pg_temp
as $$
    select fleet.commit_durably();
    with revoked as (
        update fleet.console_sessions as s
        set revoked_at = clock_timestamp(), revoked_by = p_by
        from fleet.console_people as p
        where p.subject = s.subject
            and lower(p.person) = lower(btrim(p_person))
            and s.revoked_at is null
            and s.expires_at > clock_timestamp()
        returning s.id
    )
    select count(*) from revoked
$$;

revoke all on function fleet.revoke_console_sessions(text, text) from public, anon, authenticated, service_role;
comment on function fleet.revoke_console_sessions(text, text) is
    'Ends all sessions of a person of the console at once; returns how many there were. For the schema''s owner.';
