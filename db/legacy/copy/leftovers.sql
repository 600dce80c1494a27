-- None of these rows is moved: they are only set aside.
create or replace function upgrade.copy_leftovers(p_after bigint, p_upto bigint)
returns void
language sql
immutable
set search_path = ''
as $$ select $$;
