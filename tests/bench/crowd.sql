-- An audience by numbers: who a number is, where they watch, and how a million of them come in within seconds.
-- bench.streams() says on how many streams. A tenth of them hold more than half of the audience; 2 % of it are
-- people on five streams each, one more than count.

create function bench.dice(n bigint) returns double precision language sql immutable
as $$ select ('x' || left(md5(n::text), 8))::bit(32)::bigint / 4294967296.0::double precision $$;

create function bench.viewer(n bigint) returns uuid language sql immutable
as $$ select md5(case when n % 250 < 5 then 'busy ' || n / 250 else n::text end)::uuid $$;

create function bench.stream(n bigint) returns bigint language sql immutable
as $$
    select 1 + case
        when n % 250 < 5
            then (floor(bench.dice(n / 250) * bench.streams())::bigint + n % 250 * (bench.streams() / 5))
                % bench.streams()
        else floor(bench.streams() * power(bench.dice(n), 4))::bigint
    end
$$;

create function bench.add_profiles(first bigint, behind bigint) returns void language sql
as $$
    insert into auth.users (id) select distinct bench.viewer(n) from generate_series(first, behind - 1) as n;
    insert into public.profiles (id) select distinct bench.viewer(n) from generate_series(first, behind - 1) as n;
$$;

-- One profile has all the streams: nothing here asks whose they are.
create function bench.add_streams() returns void language sql
as $$
    select bench.add_profiles(0, 1);
    insert into public.live_streams (id, profile_id, live_available)
    select n, bench.viewer(0), true from generate_series(1, bench.streams()) as n;
$$;

create function bench.add_viewers(
    first bigint, behind bigint, begun_at timestamptz, heard_at timestamptz, unmuted boolean
)
returns void language sql
as $$
    insert into public.active_viewers (
        stream_id, viewer_id, is_active, is_unmuted, is_visible, is_subscribed, last_active_at, activated_at
    )
    select
        bench.stream(n), bench.viewer(n), true, unmuted, true, true,
        coalesce(heard_at, begun_at - bench.dice(-n) * interval '15 s'),
        case when unmuted then begun_at - interval '1 minute' - bench.dice(-n) * interval '1 hour' end
    from generate_series(first, behind - 1) as n
$$;

-- Indexes are made faster than they are filled. Gives what makes them again.
create function bench.drop_indexes() returns setof text language plpgsql
as $$
declare
    v_drop text;
    v_make text;
begin
    for v_drop, v_make in
        select
            format('alter table public.active_viewers drop constraint %I', k.conname),
            format('alter table public.active_viewers add constraint %I %s', k.conname, pg_get_constraintdef(k.oid))
        from pg_constraint as k
        where k.conrelid = 'public.active_viewers'::regclass and k.contype = 'p'
        union all
        select format('drop index %s', i.indexrelid::regclass), pg_get_indexdef(i.indexrelid)
        from pg_index as i
        where i.indrelid = 'public.active_viewers'::regclass and not i.indisprimary
    loop
        execute v_drop;
        return next v_make;
    end loop;
end
$$;

create function bench.count_viewers() returns void language sql
as $$
    update public.live_streams as s
    set active_viewer_count = c.viewers, is_published = true
    from (
        select v.stream_id, count(v.activated_at) as viewers from public.active_viewers as v group by v.stream_id
    ) as c
    where s.id = c.stream_id and c.viewers > 0
$$;

-- What gateways say of these numbers, a call a row.
create function bench.gateway_calls(numbers bigint[], unmuted boolean[], calls bigint) returns setof jsonb language sql
as $$
    select jsonb_agg(jsonb_build_object(
        'stream_id', bench.stream(m.n), 'viewer_id', bench.viewer(m.n),
        'is_active', true, 'is_unmuted', m.is_unmuted, 'is_visible', true, 'is_subscribed', true
    ))
    from unnest(numbers, unmuted) as m (n, is_unmuted)
    group by m.n % calls
$$;

-- The textbook: no trigger and no mark, so it looks at everything each time.
create table textbook.live_streams (like public.live_streams including defaults) with (fillfactor = 80);
create table textbook.active_viewers (like public.active_viewers including defaults) with (fillfactor = 70);

create function textbook.copy() returns void language sql
as $$
    insert into textbook.live_streams select s.* from public.live_streams as s;
    insert into textbook.active_viewers select v.* from public.active_viewers as v;
    alter table textbook.live_streams add primary key (id);
    alter table textbook.active_viewers add primary key (stream_id, viewer_id);
$$;

create function textbook.heartbeat(numbers bigint[], unmuted boolean[], now timestamptz) returns void language sql
as $$
    insert into textbook.active_viewers (
        stream_id, viewer_id, is_active, is_unmuted, is_visible, is_subscribed, last_active_at
    )
    select bench.stream(m.n), bench.viewer(m.n), true, m.is_unmuted, true, true, now
    from unnest(numbers, unmuted) as m (n, is_unmuted)
    on conflict (stream_id, viewer_id) do update
    set is_unmuted = excluded.is_unmuted, last_active_at = excluded.last_active_at
$$;
