-- What a provider suspects of a payment: its coins stay where they are and can't be given away.
alter type fleet.fact
add attribute source text,
add attribute source_id text,
add attribute opened_at timestamptz,
add attribute is_open boolean;
comment on type fleet.fact is
    'What interpretation says of one event. kind: purchase, gift, refund, refund_total, dispute, charge_failed, '
    'freeze, store_purchase, store_snapshot, store_void, store_inquiry, names, question or verdict; event_id is null '
    'in a direct call. hold_reason and told_whole are set by fleet.combine_halves; call is the kind, key and request '
    'of a question''s call. db/facts.py says what each kind tells.';

create table fleet.freezes (
    provider text not null,
    source text not null,
    source_id text not null,
    payment_id bigint not null,
    opened_at timestamptz not null,
    told_at timestamptz not null,
    is_open boolean not null,
    released_at timestamptz,
    released_by text,
    is_released_by_person boolean not null default false,
    release_reason text,
    primary key (provider, source, source_id),
    constraint source_known check (source in ('early_fraud_warning', 'review', 'inquiry')),
    constraint released_by_somebody check ((released_at is null) = (released_by is null)),
    constraint persons_release_has_a_reason check (
        not is_released_by_person or (released_at is not null and release_reason is not null)
    )
);
create index freezes_payment_id_idx on fleet.freezes (payment_id);
create index freezes_open_idx on fleet.freezes (source, opened_at) where released_at is null;
revoke all on fleet.freezes from public, anon, authenticated, service_role;
comment on table fleet.freezes is
    'What freezes the coins of a payment: early fraud warnings, reviews and inquiries, each as its newest event tells '
    'it. It takes nothing.';
comment on column fleet.freezes.source_id is 'The provider''s id of the warning, the review or the dispute.';
comment on column fleet.freezes.opened_at is
    'When the provider opened it. A refund of before does not release it; a warning ends 120 days later.';
comment on column fleet.freezes.told_at is 'The time of the newest event that told of it.';
comment on column fleet.freezes.is_open is 'Whether that event says that it is still open at the provider.';
comment on column fleet.freezes.released_at is 'Since when it freezes nothing; null while it does.';
comment on column fleet.freezes.released_by is
    'review or inquiry (the provider ended it), dispute, refund, expiry, or the person who released it.';
comment on column fleet.freezes.is_released_by_person is 'What a person released stays released.';
comment on column fleet.freezes.release_reason is 'Why a person released it.';

create table fleet.frozen_purchases (
    purchase_id bigint primary key references public.coin_purchases (id),
    profile_id uuid not null references public.profiles (id)
);
create index frozen_purchases_profile_id_idx on fleet.frozen_purchases (profile_id);
revoke all on fleet.frozen_purchases from public, anon, authenticated, service_role;
comment on table fleet.frozen_purchases is
    'The purchases whose payments have an open freeze, so that a gift finds what of its sender''s coins is frozen '
    'without reading history. Kept by fleet.settle_freezes.';

-- Inquiries that are open already freeze from now on.
insert into fleet.freezes (provider, source, source_id, payment_id, opened_at, told_at, is_open)
select d.provider, 'inquiry', d.dispute_id, d.payment_id, d.told_at, d.told_at, true
from fleet.disputes as d
where d.status in ('warning_needs_response', 'warning_under_review') and d.told_at is not null
    and not exists (select from fleet.refunds as r where r.payment_id = d.payment_id)
    and not exists (select from fleet.payments as p where p.id = d.payment_id and p.refund_total_minor > 0)
    and not exists (
        select from fleet.disputes as o
        where o.payment_id = d.payment_id and coalesce(o.status, 'unknown') not like 'warning\_%'
    );
insert into fleet.frozen_purchases (purchase_id, profile_id)
select cp.id, cp.profile_id
from fleet.freezes as f
join public.coin_purchases as cp on cp.payment_id = f.payment_id
union
select cp.id, cp.profile_id
from fleet.freezes as f
join fleet.joined_purchases as j on j.payment_id = f.payment_id
join public.coin_purchases as cp on cp.id = j.purchase_id;
