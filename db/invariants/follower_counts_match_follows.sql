-- profiles.follower_count is the number of the profile's rows in follows.
select pr.id as profile_id, pr.follower_count, coalesce(f.followers, 0) as followers
from public.profiles as pr
left join (
    select f.followee_id, count(*) as followers from public.follows as f group by f.followee_id
) as f on f.followee_id = pr.id
where pr.follower_count <> coalesce(f.followers, 0)
