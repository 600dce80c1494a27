-- A refund of a purchase that was recorded as `Stripe` waited for 35 days for one of `stripe`. It is judged again.
update fleet.inbox_events as e
set next_attempt_at = clock_timestamp()
from public.coin_purchases as cp
join fleet.payment_keys as k on k.key = cp.provider_payment_id and k.provider = lower(btrim(cp.provider))
where cp.provider not in ('stripe', 'apple', 'google', 'app')
    and e.state = 'waiting' and e.reason = 'no_purchase_yet' and e.payment_id = k.payment_id;
