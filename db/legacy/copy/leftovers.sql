-- Nothing of these is moved: setting them aside is all.
create or replace function upgrade.copy_leftovers(p_after bigint, p_upto bigint)
returns void
language sql
immutable
set search_path = ''
as $$ select $$;
