-- A payment has one intent. Two under one payment are two payments of which one was never granted, as when a direct
-- call of before told of both under one event id: delete the keys of the other and send its event round again.
select k.payment_id, array_agg(k.key order by k.key) as intents
from fleet.payment_keys as k
where k.provider = 'stripe' and k.key ~ '^pi_'
    and not exists (select 1 from fleet.joined_purchases as j where j.payment_id = k.payment_id)
group by k.payment_id
having count(*) > 1
