-- A payment has one intent. Two intents under one payment are two payments, of which one was never granted; an older
-- direct call may have told of both under one event id. Delete the keys of the other one and make its event pending
-- again.
select k.payment_id, array_agg(k.key order by k.key) as intents
from fleet.payment_keys as k
where k.provider = 'stripe' and k.key ~ '^pi_'
    and not exists (select 1 from fleet.joined_purchases as j where j.payment_id = k.payment_id)
group by k.payment_id
having count(*) > 1
