-- Definer: the process roles have no right to see what the catalog holds of each file.
create or replace function fleet.lacks_tables()
returns boolean
language sql
stable
security definer
set search_path = '', pg_temp
-- With these settings the catalog answers every caller in the same words.
set quote_all_identifiers = off
set intervalstyle = postgres
set datestyle = iso
set timezone = utc
set extra_float_digits = 1
set bytea_output = hex
set standard_conforming_strings = on
as $$
    with words (item) as (
        select i.item from fleet.schema_objects as o cross join unnest(o.items) as i (item)
        where i.item like 'column %' or i.item like 'constraint %'
    )
    -- A default or a check of another text fails no statement that worked before.
    select exists (
        select split_part(w.item, case when w.item like 'column %' then ' = ' else ': ' end, 1) from words as w
        except
        select split_part(s.item, case when s.item like 'column %' then ' = ' else ': ' end, 1)
        from fleet.structure_items() as s
    )
$$;

revoke all on function fleet.lacks_tables() from public, anon, authenticated, service_role;
comment on function fleet.lacks_tables() is
    'Whether a column or constraint that the last release left is gone, renamed or of another type: our SQL may then '
    'fail, and the event is not the cause.';
