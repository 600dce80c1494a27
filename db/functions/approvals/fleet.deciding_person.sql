create or replace function fleet.deciding_person(p_who text)
returns text
language plpgsql
stable
security invoker
set search_path = '', pg_temp
as $$
declare
    v_who text := session_user::text;
begin
    -- The login itself, which no function and no `set role` changes. Only the console speaks for others.
    if pg_has_role(session_user, 'coinfleet_console', 'member')
        and not pg_has_role(session_user, 'coinfleet_operator', 'member')
        and session_user <> (
            select n.nspowner::regrole::text from pg_catalog.pg_namespace as n where n.nspname = 'fleet'
        )
    then
        v_who := btrim(p_who);
        if coalesce(v_who, '') = '' or char_length(v_who) > 200 then
            raise exception 'say who decides, in at most 200 characters' using errcode = 'invalid_parameter_value';
        end if;
    end if;
    if lower(v_who) = 'expiry' then
        raise exception 'expiry is nobody''s name' using errcode = 'invalid_parameter_value';
    end if;
    return v_who;
end
$$;

revoke all on function fleet.deciding_person(text) from public, anon, authenticated, service_role;
comment on function fleet.deciding_person(text) is
    'Who decides: the login role of the session, whatever p_who says; for the console p_who, which it has verified.';
