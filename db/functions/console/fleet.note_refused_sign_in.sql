-- Definer: the console has no right to write these tables.
create or replace function fleet.note_refused_sign_in(p_name text, p_cause text)
returns void
language sql
volatile
security definer
set search_path = '', pg_temp
as $$
    insert into fleet.refused_sign_ins (subject, cause)
    select (select p.subject from fleet.console_people as p where lower(p.person) = lower(btrim(p_name))), p_cause
    -- Whoever goes on guessing fills no table.
    where (
        select count(*)
        from (
            select from fleet.refused_sign_ins as r
            -- In a query of its own, because what changes while a statement runs is no bound for an index.
            where r.refused_at > (select clock_timestamp() - interval '1 hour')
            limit 200
        ) as recent
    ) < 200
$$;

revoke all on function fleet.note_refused_sign_in(text, text) from public, anon, authenticated, service_role;
comment on function fleet.note_refused_sign_in(text, text) is
    'Notes that somebody could not sign in to the console, and why; the name is kept only if it is that of a person '
    'who has signed in before. At most 200 per hour.';
