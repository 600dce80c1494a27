-- Definer: the console may know these words of an answer, and not read what a provider answered.
create or replace function fleet.word_of_call(p_call_id bigint, p_word text)
returns text
language sql
stable
security definer
set search_path = '', pg_temp
as $$
    select c.result ->> p_word
    from fleet.provider_calls as c
    where c.id = p_call_id and p_word in ('refund_id', 'note')
$$;

revoke all on function fleet.word_of_call(bigint, text) from public, anon, authenticated, service_role;
comment on function fleet.word_of_call(bigint, text) is
    'A word of what a call''s provider answered: the id of the refund, or our note on it; null for any other word.';
