-- Definer: the worker has no right to the table itself.
create or replace function fleet.fail_backfill(
    p_backfill_id bigint,
    p_attempt integer,
    p_error text,
    p_from_the_beginning boolean,
    p_now timestamptz default null
)
returns double precision
language plpgsql
volatile
security definer
set search_path = '', pg_temp
as $$
declare
    v_now timestamptz := coalesce(p_now, clock_timestamp());
    v_failing_since timestamptz;
begin
    update fleet.backfills as b
    set
        cursor = case when not p_from_the_beginning then b.cursor end,
        failing_since = coalesce(b.failing_since, v_now),
        last_error = p_error
    where b.id = p_backfill_id and b.attempts = p_attempt and b.finished_at is null
    returning b.failing_since into v_failing_since;
    return extract(epoch from v_now - v_failing_since);
end
$$;

revoke all on function fleet.fail_backfill(bigint, integer, text, boolean, timestamptz)
from public, anon, authenticated, service_role;
comment on function fleet.fail_backfill(bigint, integer, text, boolean, timestamptz) is
    'Records why a provider''s history could not be read on. The pass goes on at its cursor or, with '
    'p_from_the_beginning, reads all of its range again. Returns for how many seconds it has been failing; null if '
    'somebody else reads this history now.';
