create or replace function fleet.erase_profile(p_profile_id uuid, p_requested_by text, p_reason text)
returns jsonb
language plpgsql
volatile
security invoker
set search_path = '', pg_temp
as $$
declare
    v_cleared jsonb;
    v_is_upgraded boolean;
    v_old_rows bigint := 0;
    v_purchases bigint;
    v_messages bigint;
    v_links bigint;
    v_follows bigint;
    v_slots bigint;
    v_viewers bigint;
    v_streams bigint;
    v_profiles bigint;
begin
    if not exists (select 1 from public.profiles as pr where pr.id = p_profile_id) then
        perform fleet.raise_refusal('unknown_profile');
    end if;
    -- Only an upgraded database has old rows, and the functions that erase them (db/legacy/functions).
    v_is_upgraded := to_regclass('fleet.upgrade_runs') is not null;
    if v_is_upgraded then
        if exists (select 1 from fleet.upgrade_runs as r where r.finished_at is null) then
            raise exception 'an upgrade of this database has not finished: it would count what is erased as lost'
                using errcode = 'object_not_in_prerequisite_state';
        end if;
    end if;
    perform fleet.commit_durably();
    -- These read whole tables, so they come first, before rows are locked that others wait for.
    if v_is_upgraded then
        v_old_rows := fleet.erase_old_rows(fleet.old_user_ids(p_profile_id));
    end if;
    v_cleared := jsonb_build_object('old_rows', v_old_rows) || fleet.erase_payloads(p_profile_id);

    -- The lock order of every writer: profiles by id, then purchases, then streams. The profiles that this one
    -- follows are locked too, because their counters are written below.
    perform 1
    from public.profiles as pr
    where pr.id = p_profile_id
        or pr.id in (select f.followee_id from public.follows as f where f.follower_id = p_profile_id)
    order by pr.id
    for no key update;
    perform 1 from public.coin_purchases as cp where cp.profile_id = p_profile_id order by cp.id for no key update;
    perform 1
    from public.live_streams as s
    where s.profile_id = p_profile_id
        or s.id in (select v.stream_id from public.active_viewers as v where v.viewer_id = p_profile_id)
    order by s.id
    for no key update;

    update public.coin_purchases as cp
    set ip_address = null, country_code = null, user_agent = null
    where cp.profile_id = p_profile_id and num_nonnulls(cp.ip_address, cp.country_code, cp.user_agent) > 0;
    get diagnostics v_purchases = row_count;
    delete from public.chat_messages as m where m.profile_id = p_profile_id;
    get diagnostics v_messages = row_count;
    delete from public.user_links as l where l.profile_id = p_profile_id;
    get diagnostics v_links = row_count;
    delete from public.follows as f where p_profile_id in (f.follower_id, f.followee_id);
    get diagnostics v_follows = row_count;
    delete from public.user_grid_slots as g where p_profile_id in (g.viewer_id, g.streamer_id);
    get diagnostics v_slots = row_count;
    delete from public.active_viewers as v where v.viewer_id = p_profile_id;
    get diagnostics v_viewers = row_count;
    -- A stream that is live ends with the profile.
    update public.live_streams as s
    set title = null, live_available = false
    where s.profile_id = p_profile_id and (s.title is not null or s.live_available);
    get diagnostics v_streams = row_count;
    update public.profiles as pr
    set username = null, display_name = null, avatar_url = null, bio = null
    where pr.id = p_profile_id and num_nonnulls(pr.username, pr.display_name, pr.avatar_url, pr.bio) > 0;
    get diagnostics v_profiles = row_count;

    v_cleared := v_cleared || jsonb_build_object(
        'purchases', v_purchases, 'chat_messages', v_messages, 'links', v_links, 'follows', v_follows,
        'grid_slots', v_slots, 'viewers', v_viewers, 'streams', v_streams, 'profiles', v_profiles,
        'sign_ins', fleet.erase_sign_in(p_profile_id)
    );
    insert into fleet.erasures (profile_id, requested_by, reason, counts)
    select p_profile_id, p_requested_by, p_reason, v_cleared
    where exists (
            select 1
            from jsonb_each_text(v_cleared - array['open_events', 'open_calls', 'open_messages']) as c
            where c.value::bigint > 0
        )
        or not exists (select 1 from fleet.erasures as e where e.profile_id = p_profile_id);
    return v_cleared;
end
$$;

revoke all on function fleet.erase_profile(uuid, text, text) from public, anon, authenticated, service_role;
comment on function fleet.erase_profile(uuid, text, text) is
    'Clears everything that tells who a profile was. Returns how many rows that were, by kind, and how many events, '
    'calls and messages to the app are still open. The id, balances, purchases, gifts and ledger entries stay, so the '
    'ledger stays whole. May be repeated. Refuses an unknown profile (CF006).';
