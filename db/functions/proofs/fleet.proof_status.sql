-- Definer: the process roles have no right to the table itself.
create or replace function fleet.proof_status()
returns table (violations bigint, last_full_at timestamptz, last_new_at timestamptz, detail jsonb)
language sql
stable
security definer
set search_path = '', pg_temp
as $$
    with last_full as (
        select p.* from fleet.proofs as p where p.kind = 'full' order by p.id desc limit 1
    ),
    since as (
        select p.*
        from fleet.proofs as p
        where p.kind = 'new' and p.id > coalesce((select f.id from last_full as f), 0)
    )
    select
        coalesce((select f.violations from last_full as f), 0)
        + coalesce((select sum(s.violations) from since as s), 0)::bigint,
        (select f.finished_at from last_full as f),
        -- A run that gets no further proves nothing new: a transaction that began before it has not ended.
        coalesce(
            (
                select min(s.finished_at)
                from since as s
                where s.upto_xid = (select l.upto_xid from since as l order by l.id desc limit 1)
            ),
            (select p.finished_at from fleet.proofs as p where p.kind = 'new' order by p.id desc limit 1)
        ),
        coalesce(
            (select s.detail from since as s where s.violations > 0 order by s.id desc limit 1),
            (select f.detail from last_full as f),
            '{}'
        )
$$;

revoke all on function fleet.proof_status() from public, anon, authenticated, service_role;
comment on function fleet.proof_status() is
    'How many violations the last full proof and the continuous proof since then found: a violation stays counted '
    'until a full proof no longer finds it. last_new_at is when the continuous proof last got further: entries newer '
    'than a transaction that has not ended are not proved.';
