create or replace function fleet.inquiry_counts()
returns table (provider text, inquiries bigint, ends_in_s double precision)
language sql
volatile
security invoker
set search_path = '', pg_temp
as $$
    select o.provider, count(*), extract(epoch from min(o.deadline) - clock_timestamp())::double precision
    from fleet.open_inquiries() as o
    where not o.is_sandbox
    group by o.provider
    order by o.provider
$$;

revoke all on function fleet.inquiry_counts() from public, anon, authenticated, service_role;
comment on function fleet.inquiry_counts() is
    'Open questions of stores by provider, and the seconds until the first can''t be answered any more; what cost '
    'nothing (sandbox) is left out.';
