-- What was held for want of something is judged again once that has come.

create table fleet.hold_judgements (
    event_id bigint primary key references fleet.inbox_events (id) on delete cascade,
    judgements integer not null default 1,
    judged_at timestamptz not null,
    constraint judgements_positive check (judgements > 0)
);
revoke all on fleet.hold_judgements from public, anon, authenticated, service_role;
comment on table fleet.hold_judgements is 'How often a held event was judged again, and when last: the pause between two doubles up to a day, so that one that stays held keeps nobody from his turn.';

alter table public.coin_packages add column listed_at timestamptz not null default now();
comment on column public.coin_packages.listed_at is 'Since when the package stands in the price list: purchases held for want of it are judged again within minutes.';
