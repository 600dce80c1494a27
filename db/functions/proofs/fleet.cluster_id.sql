create or replace function fleet.cluster_id()
returns bigint
language sql
stable
security invoker
set search_path = '', pg_temp
as $$
    select c.system_identifier from pg_control_system() as c
$$;

revoke all on function fleet.cluster_id() from public, anon, authenticated, service_role;
comment on function fleet.cluster_id() is
    'The identifier of this database cluster. A transaction id means something only in the cluster that gave it, but a '
    'dump carries it into others.';
