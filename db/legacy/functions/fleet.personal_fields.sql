create or replace function fleet.personal_fields(p_source_table text, p_row jsonb)
returns jsonb
language sql
immutable
security invoker
set search_path = '', pg_temp
as $$
    select coalesce(jsonb_object_agg(f.key, null), '{}')
    from jsonb_each(p_row) as f
    where f.value <> 'null'
        and not case
            when p_source_table in ('users', 'user_profiles', 'profiles')
                then f.key in ('id', 'user_id', 'created_at') or f.key ~ '(balance|coins|total|count)'
            when jsonb_typeof(f.value) in ('number', 'boolean') then true
            -- Values that machines chose.
            when f.key in (
                'provider', 'provider_event_id', 'provider_payment_id', 'payment_id', 'currency', 'status', 'gift_type',
                'type', 'account', 'reference_id'
            ) then true
            -- Ids and times, which are strings here.
            else jsonb_typeof(f.value) = 'string' and f.value #>> '{}' ~* concat(
                '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$', '|',
                '^\d{4,6}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?([+-]\d\d(:\d\d){0,2})?( BC)?$'
            )
        end
$$;

revoke all on function fleet.personal_fields(text, jsonb) from public, anon, authenticated, service_role;
comment on function fleet.personal_fields(text, jsonb) is
    'The fields of an older generation''s row that may tell something about a person, each with the value null. A '
    'platform''s other columns are not known here, so everything counts except, in a person''s own row, ids, sums and '
    'created_at, and in any other row numbers, ids, times and values that machines chose.';
