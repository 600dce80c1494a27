"""Supabase's database advisors in our own words: what each looks for, as a query of the catalog.

The public list is github.com/supabase/splinter; the names here are its names. Each query returns
the objects that it objects to, as text. NOT_HERE names the advisors that look at other things than
a schema.
"""

from __future__ import annotations

# What people of a project make. The schemas of Supabase itself are not ours.
_MADE_HERE = "(nspname !~ '^pg_' and nspname not in ('information_schema', 'auth', 'extensions'))"
_TABLES = f"""
    select n.nspname, n.nspname || '.' || c.relname as name, c.*
    from pg_class c join pg_namespace n on n.oid = c.relnamespace
    where relkind in ('r', 'p') and {_MADE_HERE}
"""
_RELATIONS = _TABLES.replace("('r', 'p')", "('r', 'p', 'v', 'm', 'f')")
_FUNCTIONS = f"""
    select n.nspname, p.oid::regprocedure::text as name, p.*
    from pg_proc p join pg_namespace n on n.oid = p.pronamespace
    where {_MADE_HERE}
"""
_POLICIES = f"""
    select t.name || ' ' || p.polname as name, t.name as of_table, t.relrowsecurity, p.*,
        coalesce(pg_get_expr(polqual, polrelid), '') as reads,
        coalesce(pg_get_expr(polwithcheck, polrelid), '') as writes
    from pg_policy p join ({_TABLES}) t on t.oid = polrelid
"""
_OPEN_TO_CLIENTS = (
    "(has_table_privilege('anon', r.oid, 'select')"
    " or has_any_column_privilege('authenticated', r.oid, 'select'))"
)
_FOR_CLIENTS = (
    "polpermissive and (polroles = '{0}'"
    " or polroles && array['anon'::regrole::oid, 'authenticated'::regrole::oid])"
)
_PER_ROW = r"{0} ~ 'auth\.(uid|role|jwt|email)\(\)' and {0} !~* 'select auth\.'"


def _executable_definer(role: str) -> str:
    return (
        f"select name from ({_FUNCTIONS}) f"
        f" where prosecdef and has_function_privilege('{role}', oid, 'execute')"
    )


ADVISORS: dict[str, str] = {
    "unindexed_foreign_keys": f"""
        select t.name || ' ' || conname from pg_constraint k join ({_TABLES}) t on t.oid = conrelid
        where contype = 'f' and not exists (
            select from pg_index where indrelid = conrelid and indisvalid
                and (indkey::int2[])[0:cardinality(conkey) - 1] = conkey)
    """,
    "auth_users_exposed": f"""
        select distinct r.name from ({_RELATIONS}) r
        join pg_rewrite w on w.ev_class = r.oid
        join pg_depend d on d.classid = 'pg_rewrite'::regclass and d.objid = w.oid
        where nspname = 'public' and relkind in ('v', 'm') and d.refobjid = 'auth.users'::regclass
            and {_OPEN_TO_CLIENTS}
    """,
    "auth_rls_initplan": f"""
        select name from ({_POLICIES}) p
        where {_PER_ROW.format("reads")} or {_PER_ROW.format("writes")}
    """,
    "no_primary_key": f"""
        select name from ({_TABLES}) t where not exists (
            select from pg_constraint where conrelid = t.oid and contype = 'p')
    """,
    "multiple_permissive_policies": f"""
        select format('%s %s %s', of_table, role, command) from ({_POLICIES}) p,
            unnest(case when polroles = '{{0}}' then array['anon', 'authenticated']::regrole[]
                else polroles::regrole[] end) role,
            unnest(case polcmd when '*' then array['r', 'a', 'w', 'd'] else array[polcmd::text] end)
                command
        where polpermissive group by of_table, role, command having count(*) > 1
    """,
    "policy_exists_rls_disabled": f"select name from ({_POLICIES}) p where not relrowsecurity",
    "rls_enabled_no_policy": f"""
        select name from ({_TABLES}) t
        where relrowsecurity and not exists (select from pg_policy where polrelid = t.oid)
    """,
    "duplicate_index": f"""
        select t.name || ' ' || string_agg(i.relname, ', ' order by i.relname)
        from pg_index x join ({_TABLES}) t on t.oid = indrelid join pg_class i on i.oid = indexrelid
        group by t.name, replace(pg_get_indexdef(indexrelid), i.relname, '')
        having count(*) > 1
    """,
    "security_definer_view": f"""
        select name from ({_RELATIONS}) r where relkind = 'v' and {_OPEN_TO_CLIENTS}
            and not coalesce(reloptions::text ~ 'security_invoker=(1|true|yes|on)', false)
    """,
    "function_search_path_mutable": f"""
        select name from ({_FUNCTIONS}) f where prokind <> 'a' and not exists (
            select from unnest(proconfig) c where c like 'search_path=%')
    """,
    # A user who signs in anonymously is `authenticated` too.
    "auth_allow_anonymous_sign_ins": f"""
        select name from ({_POLICIES}) p
        where (polroles = '{{0}}' or 'authenticated'::regrole = any(polroles))
            and reads !~ 'is_anonymous' and writes !~ 'is_anonymous'
    """,
    "rls_disabled_in_public": f"""
        select name from ({_TABLES}) t where nspname = 'public' and not relrowsecurity
    """,
    "extension_in_public": """
        select extname from pg_extension where extnamespace = 'public'::regnamespace
    """,
    "rls_references_user_metadata": f"""
        select name from ({_POLICIES}) p where reads || writes ~ 'user_metadata'
    """,
    "materialized_view_in_api": f"""
        select name from ({_RELATIONS}) r
        where relkind = 'm' and nspname = 'public' and {_OPEN_TO_CLIENTS}
    """,
    "foreign_table_in_api": f"""
        select name from ({_RELATIONS}) r
        where relkind = 'f' and nspname = 'public' and {_OPEN_TO_CLIENTS}
    """,
    "unsupported_reg_types": f"""
        select t.name || ' ' || attname from pg_attribute a join ({_TABLES}) t on t.oid = attrelid
        where atttypid in ('regcollation'::regtype, 'regconfig'::regtype, 'regdictionary'::regtype,
            'regnamespace'::regtype, 'regoper'::regtype, 'regoperator'::regtype,
            'regproc'::regtype, 'regprocedure'::regtype)
    """,
    "fkey_to_auth_unique": f"""
        select t.name || ' ' || conname from pg_constraint k join ({_TABLES}) t on t.oid = conrelid
        join pg_class r on r.oid = confrelid join pg_index i on i.indexrelid = conindid
        where contype = 'f' and r.relnamespace = 'auth'::regnamespace and not indisprimary
    """,
    "sensitive_columns_exposed": f"""
        select r.name || ' ' || attname
        from pg_attribute join ({_RELATIONS}) r on r.oid = attrelid
        where nspname = 'public' and attnum > 0 and {_OPEN_TO_CLIENTS} and not relrowsecurity
            and attname ~ '(password|passwd|secret|token|api_?key|ssn|card_number|cvv|iban)'
    """,
    "rls_policy_always_true": f"""
        select name from ({_POLICIES}) p where {_FOR_CLIENTS} and (
            (polcmd in ('w', 'd', '*') and reads in ('true', '(1 = 1)', ''))
            or (polcmd in ('a', 'w', '*') and writes in ('true', '(1 = 1)'))
            or (polcmd = 'a' and writes = ''))
    """,
    "rls_policy_null_auth_disjunct": f"""
        select name from ({_POLICIES}) p where polcmd in ('r', '*') and {_FOR_CLIENTS}
            and reads ~* '(auth|current_setting)[^=]*is null' and reads ~* ' or '
    """,
    "anon_security_definer_function_executable": _executable_definer("anon"),
    "authenticated_security_definer_function_executable": _executable_definer("authenticated"),
    "invalid_index": f"""
        select indexrelid::regclass::text from pg_index join ({_TABLES}) t on t.oid = indrelid
        where not indisvalid
    """,
    "autovacuum_disabled": f"""
        select name from ({_TABLES}) t
        where coalesce(reloptions::text ~ 'autovacuum_enabled=(0|false|off|no)', false)
    """,
    "unused_replication_slot": "select slot_name::text from pg_replication_slots where not active",
}

# They look at a project's use, versions or other services, not at a schema.
NOT_HERE: dict[str, str] = {
    "unused_index": "counts scans; that each index serves a query is asserted by its plan",
    "table_bloat": "estimates from statistics; tables that are updated all day leave room in pages",
    "extension_versions_outdated": "we bring no extension",
    "pg17_deprecated_extensions": "as above",
    "insecure_queue_exposed_in_api": "we use no pgmq",
    "public_bucket_allows_listing": "we use no storage",
    "pg_graphql_anon_table_exposed": "only where pg_graphql is switched on: docs/supabase.md",
    "pg_graphql_authenticated_table_exposed": "as above",
}

# Each exception, by advisor and a pattern of objects, with its reason.
EXCEPTIONS: dict[tuple[str, str], str] = {
    (
        "authenticated_security_definer_function_executable",
        r"(public\.)?(process_gift|update_viewer_heartbeat)\(.*",
    ): "the clients' two calls: each acts as auth.uid(), checks all it is given, takes no time",
    (
        "auth_allow_anonymous_sign_ins",
        r"public\.\w+ (everyone_reads|own_rows_are_\w+)",
    ): "whoever signs in anonymously is a viewer like any other, of their own rows",
}
