-- A purchase is frozen, and found by its buyer, if and only if its payment has an open freeze.
select coalesce(w.purchase_id, z.purchase_id) as purchase_id, w.profile_id, z.profile_id as found_by
from (
    select cp.id as purchase_id, cp.profile_id
    from fleet.freezes as f
    join public.coin_purchases as cp on cp.payment_id = f.payment_id
    where f.released_at is null
        and not exists (
            select 1 from fleet.joined_purchases as j where j.purchase_id = cp.id and j.payment_id <> f.payment_id
        )
    union
    select cp.id, cp.profile_id
    from fleet.freezes as f
    join fleet.joined_purchases as j on j.payment_id = f.payment_id
    join public.coin_purchases as cp on cp.id = j.purchase_id
    where f.released_at is null
) as w
full join fleet.frozen_purchases as z on z.purchase_id = w.purchase_id and z.profile_id = w.profile_id
where w.purchase_id is null or z.purchase_id is null
