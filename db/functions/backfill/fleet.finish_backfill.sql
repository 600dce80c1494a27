-- Definer: the worker has no right to the table itself.
create or replace function fleet.finish_backfill(
    p_backfill_id bigint, p_attempt integer, p_now timestamptz default null
)
returns boolean
language plpgsql
volatile
security definer
set search_path = '', pg_temp
as $$
begin
    update fleet.backfills as b
    set finished_at = coalesce(p_now, clock_timestamp()), cursor = null
    where b.id = p_backfill_id and b.attempts = p_attempt and b.finished_at is null;
    return found;
end
$$;

revoke all on function fleet.finish_backfill(bigint, integer, timestamptz)
from public, anon, authenticated, service_role;
comment on function fleet.finish_backfill(bigint, integer, timestamptz) is
    'Ends a pass, all of which was stored. False if somebody else reads this history now.';
