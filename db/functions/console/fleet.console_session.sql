-- Definer: the console has no right to write these tables.
create or replace function fleet.console_session(p_token_hash bytea)
returns table (
    session_id bigint,
    subject text,
    person text,
    role text,
    aal text,
    reads_payloads boolean,
    expires_at timestamptz
)
language plpgsql
volatile
security definer
set search_path = '', pg_temp
as $$
begin
    -- Where nothing can be written, on a standby or a full disk, people still have to see how things are.
    if not current_setting('transaction_read_only')::boolean then
        -- Once per minute is often enough to know whether somebody is there.
        update fleet.console_sessions as s
        set last_seen_at = clock_timestamp()
        where s.token_hash = p_token_hash
            and s.revoked_at is null
            and s.last_seen_at < clock_timestamp() - interval '1 minute';
    end if;
    return query
    select s.id, s.subject, p.person, s.role, s.aal, s.reads_payloads, s.expires_at
    from fleet.console_sessions as s
    join fleet.console_people as p on p.subject = s.subject
    where s.token_hash = p_token_hash and s.revoked_at is null and s.expires_at > clock_timestamp()
        -- One that a clock which was ahead began would last too long.
        and s.created_at < clock_timestamp() + interval '1 minute';
end
$$;

revoke all on function fleet.console_session(bytea) from public, anon, authenticated, service_role;
comment on function fleet.console_session(bytea) is
    'The session of the console with this token, if it is good now, and who is signed in; notes that it was used.';
