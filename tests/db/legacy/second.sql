-- A platform of the second generation: a ledger beside the balances, one global grid of boxes, and what went wrong.
create table public.profiles (
    id uuid primary key,
    username text,
    display_name text,
    coin_balance integer not null default 0,
    earnings_balance integer not null default 0,
    created_at timestamptz default now()
);
create table public.coin_ledger (
    id bigserial primary key,
    profile_id uuid,
    amount bigint not null,
    type text not null,
    reference_id text,
    created_at timestamptz default now()
);
create table public.coin_purchases (
    id bigserial primary key,
    profile_id uuid,
    provider text default 'stripe',
    provider_event_id text,
    provider_payment_id text,
    coin_amount integer,
    amount_cents integer,
    status text default 'confirmed',
    created_at timestamptz default now()
);
create table public.live_streams (
    id bigserial primary key,
    profile_id uuid references public.profiles (id) on delete cascade,
    title text,
    live_available boolean default false,
    is_published boolean default false,
    started_at timestamptz,
    ended_at timestamptz
);
create table public.gifts (
    id bigserial primary key,
    sender_id uuid,
    recipient_id uuid,
    stream_id bigint,
    gift_type text,
    box_position integer,
    coin_amount integer,
    streamer_revenue integer,
    platform_revenue integer,
    created_at timestamptz default now()
);
create table public.gift_types (code text primary key, name text, coin_cost integer, streamer_share_bps integer);
create table public.video_boxes (position integer primary key, stream_id bigint, is_locked boolean default false);
create table public.box_viewers (
    position integer references public.video_boxes (position),
    viewer_id uuid,
    last_seen_at timestamptz default now(),
    primary key (position, viewer_id)
);
create table public.active_viewers (stream_id bigint, viewer_id uuid, last_active_at timestamptz default now());

create function public.handle_new_user() returns trigger language plpgsql security definer as $$
begin
    insert into public.profiles (id, username) values (new.id, 'new') on conflict do nothing;
    return new;
end $$;
create trigger on_auth_user_created after insert on auth.users for each row execute function public.handle_new_user();
create function public.update_live_status() returns trigger language plpgsql as $$ begin return new; end $$;
create trigger trigger_update_live_status before update on public.live_streams
for each row execute function public.update_live_status();
alter table public.live_streams disable trigger trigger_update_live_status;

create function public.person(p_n integer) returns uuid language sql immutable as $$
    select ('00000000-0000-4000-8000-' || lpad(p_n::text, 12, '0'))::uuid
$$;
insert into auth.users (id, email)
select public.person(n), 'person' || n || '@example.com' from generate_series(1, 30) as n;
update public.profiles as p set username = 'user_' || n from generate_series(1, 30) as n where p.id = public.person(n);
-- Signed up somewhere else, or not at all; the foreign key was never made.
insert into public.profiles (id, username) values (public.person(901), 'lost'), (public.person(902), 'user_1');

insert into public.gift_types values ('rose', 'Rose', 1, 7000), ('cake', 'Cake', 30, 12000);
insert into public.live_streams (profile_id, title, live_available, is_published, started_at)
select public.person(n), 'Stream ' || n, n % 2 = 0, n % 2 = 0, now() - interval '1 hour'
from generate_series(1, 6) as n;
insert into public.live_streams (profile_id, title) values (public.person(901), 'Lost');
insert into public.video_boxes (position, stream_id) select n, n from generate_series(1, 12) as n;
insert into public.box_viewers (position, viewer_id)
select n % 12 + 1, public.person(n) from generate_series(1, 30) as n;
insert into public.active_viewers (stream_id, viewer_id) values (1, public.person(2)), (1, public.person(2));

insert into public.coin_purchases (profile_id, provider_event_id, provider_payment_id, coin_amount, amount_cents)
select public.person(1 + n % 30), 'evt_' || n, 'pi_' || n, 100 + n, 100 + n from generate_series(1, 120) as n;
insert into public.coin_ledger (profile_id, amount, type, reference_id)
select p.profile_id, p.coin_amount, 'purchase', p.id::text from public.coin_purchases as p;

insert into public.gifts (
    sender_id, recipient_id, stream_id, gift_type, box_position, coin_amount, streamer_revenue, platform_revenue
)
select public.person(1 + n % 30), public.person(1 + (n * 7 + 1) % 30), 1 + n % 6, 'rose', 1 + n % 14, 10, 7, 3
from generate_series(1, 150) as n
where n % 30 <> (n * 7 + 1) % 30;
insert into public.coin_ledger (profile_id, amount, type, reference_id)
select g.sender_id, -g.coin_amount, 'gift_sent', g.id::text from public.gifts as g;
insert into public.coin_ledger (profile_id, amount, type, reference_id)
select g.recipient_id, g.streamer_revenue, 'gift_received', g.id::text from public.gifts as g;

insert into public.coin_purchases
    (id, profile_id, provider_event_id, provider_payment_id, coin_amount, amount_cents, status) values
    (1001, public.person(1), 'evt_dup_1', 'pi_dup', 500, 499, 'confirmed'),
    (1002, public.person(1), 'evt_dup_2', 'pi_dup', 500, 499, 'confirmed'),        -- one payment twice
    (1003, public.person(2), 'evt_same', 'pi_same_1', 40, 40, 'confirmed'),
    (1004, public.person(2), 'evt_same', 'pi_same_2', 40, 40, 'confirmed'),        -- one event, two payments
    (1005, public.person(3), 'evt_r', 'pi_refunded', 90, 90, 'refunded'),
    (1006, public.person(4), 'evt_p', 'pi_partly', 100, 1000, 'confirmed'),        -- a third was refunded
    (1007, public.person(5), 'evt_c', 'pi_chargeback', 80, 80, 'chargeback'),
    (1008, public.person(6), 'evt_n', 'pi_never_booked', 70, 70, 'confirmed'),     -- the ledger never saw it
    (1009, public.person(901), 'evt_l', 'pi_lost', 60, 60, 'confirmed'),
    (1010, public.person(7), 'evt_open', 'pi_open', 60, 60, 'pending'),
    (1011, public.person(8), null, 'pi_huge', 2147483647, 2147483647, 'confirmed');
insert into public.coin_ledger (profile_id, amount, type, reference_id) values
    (public.person(1), 500, 'purchase', '1001'), (public.person(1), 500, 'purchase', '1002'),
    (public.person(2), 40, 'purchase', '1003'), (public.person(2), 40, 'purchase', '1004'),
    (public.person(3), 90, 'purchase', '1005'), (public.person(3), -90, 'refund', '1005'),
    (public.person(4), 100, 'purchase', '1006'),
    (public.person(4), -13, 'refund', '1006'), (public.person(4), -20, 'refund', '1006'),
    (public.person(5), 80, 'purchase', '1007'), (public.person(5), -80, 'chargeback', '1007'),
    (public.person(901), 60, 'purchase', '1009'),
    (public.person(8), 2147483647, 'purchase', '1011'),
    (public.person(8), 9000000000000000, 'bonus', null),   -- more than anybody can have
    (public.person(9), 25, 'bonus', null), (public.person(9), -500, 'correction', null),
    (public.person(10), 0, 'nothing', null),
    (public.person(11), -100000, 'payout', null),          -- paid out more than was earned
    (public.person(12), -3, 'payout', null),
    (public.person(999), 33, 'bonus', null), (null, 44, 'bonus', null),
    (public.person(13), -10, 'gift_sent', '1'), (public.person(13), -10, 'gift_sent', '99999'),
    (public.person(14), 5, 'purchase', '14');              -- not what that purchase was
insert into public.coin_ledger (profile_id, amount, type, reference_id)
select l.profile_id, l.amount, l.type, l.reference_id
from public.coin_ledger as l
where l.type = 'gift_sent'
order by l.id
limit 1;

insert into public.gifts
    (
        id, sender_id, recipient_id, stream_id, gift_type, box_position, coin_amount, streamer_revenue, platform_revenue
    ) values
    (2001, public.person(1), public.person(1), 1, 'rose', 1, 5, 3, 2),
    (2002, public.person(901), public.person(2), 1, 'rose', 1, 5, 3, 2),
    (2003, public.person(1), public.person(2), 7, 'rose', 0, 5, 9, -4),
    (2004, public.person(1), public.person(2), 7, 'cake', null, 5, null, null),
    (2005, public.person(1), public.person(2), 1, 'cake', -2147483648, 6, 4, null);

-- The cached balances drifted; nobody reads them any more.
update public.profiles as p
set coin_balance = least(2147483647, greatest(-2147483648, 7 + coalesce(
    (select sum(l.amount) from public.coin_ledger as l where l.profile_id = p.id and l.amount < 10000), 0)));
drop function public.person(integer);
