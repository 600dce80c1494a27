-- A platform of the first generation as it looks after three years: people, money, and what went wrong.
create table public.users (
    id bigserial primary key,
    email text,
    password_hash text,
    created_at timestamp default now()
);
create table public.user_profiles (
    id bigserial primary key,
    user_id bigint,
    username varchar(80),
    display_name text,
    avatar_url text,
    bio text,
    follower_count integer default 0
);
create table public.coins (
    id bigserial primary key,
    user_id bigint,
    balance integer not null default 0
);
create table public.live_streams (
    id bigserial primary key,
    user_id bigint references public.users (id) on delete set null,
    title text,
    is_published boolean default false,
    started_at timestamp,
    ended_at timestamp
);
create table public.gift_types (
    code text primary key,
    name text,
    coin_cost integer
);
create table public.coin_purchases (
    id bigserial primary key,
    user_id bigint,
    coins integer,
    amount_cents integer,
    payment_id text,
    status text default 'completed',
    created_at timestamp default now()
);
create table public.gifts (
    id bigserial primary key,
    sender_id bigint,
    recipient_id bigint,
    stream_id bigint,
    gift_type text,
    coins integer,
    created_at timestamp default now()
);
create table public.follows (follower_id bigint, followee_id bigint, created_at timestamp default now());
create table public.user_links (user_id bigint, label text, url text, position integer);
create table public.chat_messages (
    id bigserial primary key,
    stream_id bigint,
    user_id bigint,
    body text,
    created_at timestamp default now()
);
-- Not the platform's: it stays where it is, with its foreign key.
create table public.newsletters (user_id bigint references public.users (id));
-- The name is claimed now, the rows have no home.
create table public.leaderboard_cache (user_id bigint, score integer);
-- A function whose name is claimed, and one whose isn't.
create function public.process_gift(p_sender bigint, p_recipient bigint, p_coins integer) returns bigint
language plpgsql as $$
declare v_id bigint;
begin
    insert into gifts (sender_id, recipient_id, coins) values (p_sender, p_recipient, p_coins) returning id into v_id;
    return v_id;
end $$;

create function public.update_coin_balance_on_purchase() returns trigger language plpgsql as $$
begin
    update public.coins set balance = balance + new.coins where user_id = new.user_id;
    return new;
end $$;
create function public.deduct_coins_on_gift() returns trigger language plpgsql as $$
begin
    update public.coins set balance = balance - new.coins where user_id = new.sender_id;
    return new;
end $$;

insert into auth.users (id, email)
select ('00000000-0000-4000-8000-' || lpad(n::text, 12, '0'))::uuid, 'person' || n || '@example.com'
from generate_series(1, 40) as n;
-- 41 and 42 share an address but for its case; 43 signed up after the old app was closed.
insert into auth.users (id, email) values
    ('00000000-0000-4000-8000-000000000041', 'twice@example.com'),
    ('00000000-0000-4000-8000-000000000042', 'TWICE@example.com'),
    ('00000000-0000-4000-8000-000000000043', 'new@example.com');

insert into public.users (id, email)
select n, case when n % 2 = 0 then upper('person' || n || '@example.com') else ' person' || n || '@example.com' end
from generate_series(1, 40) as n;
insert into public.users (id, email) values
    (101, 'twice@example.com'),            -- two sign-ups match
    (102, 'nobody@example.com'),           -- no sign-up matches
    (103, null), (104, '  '),              -- no address
    (105, 'pair@example.com'), (106, 'Pair@Example.com');  -- two old users, one address
insert into auth.users (id, email) values ('00000000-0000-4000-8000-000000000105', 'pair@example.com');

insert into public.user_profiles (user_id, username, display_name)
select id, 'user_' || id, 'User ' || id from public.users;
insert into public.user_profiles (user_id, username, display_name, bio) values
    (1, 'second_profile_of_1', 'Again', null),   -- a second profile
    (999, 'ghost', 'Nobody', null);              -- an orphan
update public.user_profiles set username = 'user_2' where user_id = 3 and username = 'user_3';  -- taken
update public.user_profiles set username = repeat('x', 70) where user_id = 4;
update public.user_profiles set bio = repeat('b', 3000), display_name = repeat('d', 200) where user_id = 5;

insert into public.coins (user_id, balance) select id, 100 from public.users where id not in (40, 102);
insert into public.coins (user_id, balance) values (102, 777), (999, 55), (null, 5), (6, 11);

insert into public.gift_types (code, name, coin_cost)
values ('rose', 'Rose', 1), ('cake', 'Cake', 30), ('free', 'Free', 0);

insert into public.live_streams (id, user_id, title, is_published, started_at, ended_at) values
    (1, 1, 'On air', true, now() - interval '1 hour', null),
    (2, 2, 'Long over', true, now() - interval '1 year', now() - interval '364 days'),
    (3, 102, 'Of nobody', false, null, null),
    (4, null, 'Orphan', false, null, null);

create trigger trigger_update_coin_balance_on_purchase
after insert on public.coin_purchases for each row execute function public.update_coin_balance_on_purchase();
create trigger trigger_deduct_coins_on_gift
after insert on public.gifts for each row execute function public.deduct_coins_on_gift();

insert into public.coin_purchases (user_id, coins, amount_cents, payment_id, status, created_at)
select 1 + n % 40, 100 + n, 99 + n, 'pi_' || n, 'completed', timestamp '2024-01-01' + n * interval '1 hour'
from generate_series(1, 200) as n;
insert into public.coin_purchases (id, user_id, coins, amount_cents, payment_id, status) values
    (1001, 1, 500, 499, 'pi_dup', 'completed'), (1002, 1, 500, 499, 'pi_dup', 'completed'),  -- a webhook twice
    (1003, 2, 500, 499, 'pi_dup', 'completed'),           -- and somebody else's with the same id
    (1004, 3, 70, 70, null, 'completed'), (1005, 3, 70, 70, '', 'completed'),  -- no payment id
    (1006, 4, 80, 80, 'pi_pending', 'pending'), (1007, 4, 80, 80, 'pi_failed', 'failed'),
    (1008, 5, 90, 90, 'pi_refunded', 'refunded'), (1009, 6, 90, 90, 'pi_charged_back', 'chargeback'),
    (1010, 999, 60, 60, 'pi_orphan', 'completed'), (1011, null, 60, 60, 'pi_null', 'completed'),
    (1012, 102, 60, 60, 'pi_unmatched', 'completed'),
    (1013, 7, -20, 10, 'pi_negative', 'completed'), (1014, 7, 0, 10, 'pi_zero', 'completed'),
    (1015, 7, 20, -10, 'pi_minus', 'completed'), (1016, 7, 20, 10, 'pi_odd', 'weird'),
    (1017, 8, 2000000000, 2147483647, 'pi_huge', 'completed'),
    (1018, 9, 30, 30, 'pi_timeless', 'completed');
update public.coin_purchases set created_at = null where id = 1018;

insert into public.gifts (sender_id, recipient_id, stream_id, gift_type, coins, created_at)
select 1 + n % 40, 1 + (n * 7 + 1) % 40, 1 + n % 2, case n % 3 when 0 then 'rose' when 1 then 'cake' else 'retired' end,
    1 + n % 50, timestamp '2024-02-01' + n * interval '1 minute'
from generate_series(1, 300) as n
where (n * 7 + 1) % 40 <> n % 40;
insert into public.gifts (id, sender_id, recipient_id, stream_id, gift_type, coins) values
    (2001, 10, 10, 1, 'rose', 5),        -- to oneself
    (2002, 102, 1, 1, 'rose', 100),      -- its sender has no match, its recipient earned
    (2003, 1, 102, 1, 'rose', 100),      -- its recipient has no match
    (2004, 999, 998, 77, 'rose', 9),     -- orphans on both sides
    (2005, 2, 3, 77, null, 10),          -- stream and type unknown
    (2006, 2, 3, 3, 'rose', 0), (2007, 2, 3, null, 'rose', -10),
    (2008, 8, 9, 1, 'cake', 1999999999);
update public.gifts set created_at = null where id = 2008;

-- Drift: somebody wrote balances by hand. 11 owes coins, 12 is at the limit of an integer.
update public.coins set balance = -250 where user_id = 11;
update public.coins set balance = 2147483647 where user_id = 12;
update public.coins set balance = balance + 13 where user_id = 13;

insert into public.follows (follower_id, followee_id) values
    (1, 2), (1, 2), (2, 1), (3, 3), (4, 999), (102, 1), (5, 1);
insert into public.user_links (user_id, label, url, position) values
    (1, 'Home', 'https://example.com', 7), (1, 'More', 'https://example.com/more', 7),
    (2, 'Bad', 'javascript:alert(1)', 0), (102, 'Lost', 'https://example.com', 0);
insert into public.chat_messages (stream_id, user_id, body)
select 1 + n % 2, 1 + n % 40, 'hello ' || n from generate_series(1, 150) as n;
insert into public.chat_messages (stream_id, user_id, body) values
    (77, 1, 'no stream'), (1, 102, 'no match'), (1, 1, ''), (1, 1, repeat('x', 2001)), (3, 1, 'a lost stream');
insert into public.leaderboard_cache values (1, 100), (2, 50);
insert into public.newsletters (user_id) values (1), (102);
select
    setval('public.coin_purchases_id_seq', 1100),
    setval('public.gifts_id_seq', 2100),
    setval('public.users_id_seq', 200);
