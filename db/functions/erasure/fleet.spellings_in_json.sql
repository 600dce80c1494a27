create or replace function fleet.spellings_in_json(p_text text)
returns text
language sql
stable
security invoker
set search_path = '', pg_temp
as $$
    select string_agg(
        case
            when c.letter ~ '^[A-Za-z0-9_]$' collate "C" then lower(c.letter collate "C")
            else '(' || f.patterns || ')'
        end,
        ''
        order by c.no
    )
    from regexp_split_to_table(p_text, '') with ordinality as c (letter, no)
    cross join lateral (
        -- A backslash of JSON is two here, because encode doubles it; what is not ASCII is octal.
        select string_agg(distinct regexp_replace(w.written, '([^a-z0-9_])', '\\\1', 'g'), '|') as patterns
        from (values (c.letter), (lower(c.letter)), (upper(c.letter))) as v (letter)
        cross join lateral (values (ascii(v.letter) - 65536)) as a (astral)
        cross join lateral (
            values
            (lower(encode(convert_to(v.letter, 'UTF8'), 'escape') collate "C")),
            (case when v.letter in ('"', '/') then '\\' || v.letter when v.letter = '\' then '\\\\' end),
            (
                case
                    when a.astral < 0 then '\\u' || lpad(to_hex(a.astral + 65536), 4, '0')
                    else '\\u' || to_hex(55296 + (a.astral >> 10)) || '\\u' || to_hex(56320 + (a.astral & 1023))
                end
            )
        ) as w (written)
        where w.written is not null and char_length(v.letter) = 1
    ) as f
$$;

revoke all on function fleet.spellings_in_json(text) from public, anon, authenticated, service_role;
comment on function fleet.spellings_in_json(text) is
    'A regular expression that matches each way in which JSON may write a text, for use on lower(encode(<body>, '
    '''escape'')): each character that is no ASCII letter or digit is written as itself or as its escape (\u00fc, \/), '
    'in upper or lower case.';
