-- Definer: the console has no right to write these tables.
create or replace function fleet.open_console_session(
    p_token_hash bytea,
    p_subject text,
    p_name text,
    p_role text,
    p_aal text,
    p_reads_payloads boolean,
    p_lasts_s integer,
    p_issued_s double precision default null
)
returns text
language plpgsql
volatile
security definer
set search_path = '', pg_temp
as $$
declare
    v_name text := left(btrim(p_name), 180);
    v_person text;
begin
    insert into fleet.console_people (subject, person)
    values (p_subject, v_name)
    on conflict do nothing;
    select p.person into v_person from fleet.console_people as p where p.subject = p_subject for update;
    if v_person is null then
        -- Somebody else has the name: another account with this address, of before or of another sign-in service.
        v_person := v_name || ' (' || left(encode(sha256(convert_to(p_subject, 'UTF8')), 'hex'), 8) || ')';
        insert into fleet.console_people (subject, person) values (p_subject, v_person);
    end if;
    -- A clock that was ahead dated these ends. It was set right meanwhile, so they are no later than now.
    update fleet.console_sessions as s
    set revoked_at = clock_timestamp()
    where s.subject = p_subject and s.revoked_at > clock_timestamp() + interval '1 minute';
    -- A token that a proxy keeps sending must not bring back a session that was ended after it was issued, nor, where
    -- the proxy's clock is ahead, the session that it began.
    if exists (
        select from fleet.console_sessions as s
        where s.subject = p_subject and s.revoked_at is not null
            and greatest(s.revoked_at, s.issued_at) >= to_timestamp(p_issued_s)
    ) then
        return null;
    end if;
    insert into fleet.console_sessions (token_hash, subject, role, aal, reads_payloads, expires_at, issued_at)
    values (
        p_token_hash, p_subject, p_role, p_aal, p_reads_payloads,
        clock_timestamp() + make_interval(secs => least(p_lasts_s, 86400)), to_timestamp(p_issued_s)
    );
    return v_person;
end
$$;

revoke all on function fleet.open_console_session(
    bytea, text, text, text, text, boolean, integer, double precision
) from public, anon, authenticated, service_role;
comment on function fleet.open_console_session(
    bytea, text, text, text, text, boolean, integer, double precision
) is
    'Begins a session of the console for somebody whom it has verified; returns the name under which the person acts, '
    'which stays with the subject. Null, and no session, if one of the subject was ended after the token was issued.';
