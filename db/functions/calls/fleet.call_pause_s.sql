create or replace function fleet.call_pause_s(p_kind text, p_attempts integer, p_retry_after_s double precision)
returns double precision
language sql
volatile
security invoker
set search_path = '', pg_temp
as $$
    select case
        -- 5 s, 5 min, 30 min, 2, 5, 10, 14, 20 and 24 h, which are 75.6 h in all, each a tenth more or less.
        when p_kind = 'app.deliver' then least(
            86400,
            greatest(
                coalesce(p_retry_after_s, 0),
                (array[5, 300, 1800, 7200, 18000, 36000, 50400, 72000, 86400])[least(p_attempts, 9)]
                * (0.9 + random() * 0.2)
            )
        )
        -- 1 s, 2 s, 4 s … 5 minutes, or what the provider asks for, up to an hour.
        else least(
            3600, greatest(coalesce(p_retry_after_s, 0), least(300, 2 ^ least(p_attempts - 1, 10)))
        )
    end
$$;

revoke all on function fleet.call_pause_s(text, integer, double precision)
from public, anon, authenticated, service_role;
comment on function fleet.call_pause_s(text, integer, double precision) is
    'How many seconds pass before a call that failed for the p_attempts-th time is made again, at least as many as '
    'its provider asks for. The pauses of deliveries are those of the Standard Webhooks specification.';
