"""Whether the settings that are known here fit together. Asks nobody; shows no value."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from db.connections.address import Address
from tasks.findings import Finding, attention, broken, not_checked, ok
from workers.processes import PROCESSES
from workers.settings import DEVELOPMENT_SECRETS, lacking

if TYPE_CHECKING:
    from collections.abc import Iterator

    from workers.cli.doctor.examining import Context
    from workers.processes import Process
    from workers.settings import Settings

# The shortest that nobody guesses from outside: 16 letters and digits are 95 bits.
PASSWORD_MIN = 16
LOCAL = ("localhost", "::1")
# By setting: where the provider really is.
BASES = {
    "STRIPE_API_BASE": ".stripe.com",
    "APPLE_API_BASE": ".apple.com",
    "APPLE_SANDBOX_API_BASE": ".apple.com",
    "GOOGLE_API_BASE": ".googleapis.com",
    "GOOGLE_PUBSUB_BASE": ".googleapis.com",
    "GOOGLE_CERTIFICATES_URL": ".googleapis.com",
}
# By setting: what stands in the documentation and in examples of others.
WELL_KNOWN = {
    "SUPABASE_JWT_SECRET": (
        "super-secret-jwt-token-with-at-least-32-characters-long",
        "your-super-secret-jwt-token-with-at-least-32-characters-long",
    ),
}


async def check_needs(context: Context) -> list[Finding]:
    """Say what each process would lack if it were started with these settings."""
    known = [each for each in PROCESSES.values() if context.environment.get(each.address)]
    found = [_needs(each, context) for each in known]
    if unknown := [each.address for each in PROCESSES.values() if each not in known]:
        fix = "run `coinfleet doctor` with the settings of those processes, too"
        found.append(not_checked(f"not set here: {', '.join(unknown)}", fix=fix))
    return found


def _needs(process: Process, context: Context) -> Finding:
    missing = lacking(process, context.environment)
    if missing:
        what = f"{process.name} would not start: {'; '.join(missing)}"
        return broken("settings_missing", what, fix="set what is missing")
    return ok(f"{process.name} has all that it needs")


async def check_mode(context: Context) -> list[Finding]:
    """Say whether anything that is for tests counts in live mode, or on a public address."""
    settings = context.settings
    found = list(_development_secrets(settings))
    if settings.stripe_livemode:
        found += _not_for_live_mode(settings)
    if not found:
        found = [ok(f"all is of {'live' if settings.stripe_livemode else 'test'} mode")]
    return found


def _development_secrets(settings: Settings) -> Iterator[Finding]:
    """Yield what everybody knows; on this machine alone it does no harm."""
    development = type(settings).model_validate(
        {name.lower(): value for name, value in DEVELOPMENT_SECRETS.items()}
    )
    same = [
        name
        for name in DEVELOPMENT_SECRETS
        if _overlap(getattr(settings, name.lower()), getattr(development, name.lower()))
        or getattr(settings, name.lower()) in WELL_KNOWN.get(name, ())
    ]
    if not same:
        return
    names = ", ".join(same)
    is_public = not all(is_local(host) for host in settings.hosts) or settings.web_origin
    if settings.stripe_livemode or is_public:
        why = "in live mode" if settings.stripe_livemode else "on an address that others reach"
        yield broken(
            "development_secrets",
            f"values for development, which everybody knows, count {why}: {names}",
            fix="set those of your own accounts; until then anybody can send payments",
        )
    else:
        yield ok(f"values for development, on this machine alone: {names}")


def _overlap(found: object, development: object) -> bool:
    if isinstance(found, tuple) and isinstance(development, tuple):
        return bool(set(found) & set(development))
    return found is not None and found == development


def _not_for_live_mode(settings: Settings) -> Iterator[Finding]:
    for name, end in BASES.items():
        host = urlsplit(getattr(settings, name.lower())).hostname or ""
        if not host.endswith(end):
            yield broken(
                "base_not_of_provider",
                f"{name} names {host} in live mode, which is not the provider",
                fix=f"remove {name}",
            )
    if settings.store_sandbox == "grant":
        yield broken(
            "sandbox_grants",
            "STORE_SANDBOX=grant in live mode: anybody with a test account gets coins for nothing",
            fix="remove STORE_SANDBOX, and name the app's reviewers in SANDBOX_PROFILES",
        )


async def check_secrets(context: Context) -> list[Finding]:
    """Say which secrets are too weak, and which are the same although they must differ."""
    settings = context.settings
    found = [*_lists(settings), *_passwords(settings)]
    key = settings.stripe_api_key or ""
    if key.startswith("sk_"):
        found.append(
            attention(
                "stripe_key_unrestricted",
                "STRIPE_API_KEY is a secret key, which may do everything in the account",
                fix="make a restricted key (rk_…) with the rights that docs/providers.md lists",
            )
        )
    return found or [ok("none is too short, and none stands twice")]


def _lists(settings: Settings) -> Iterator[Finding]:
    lists = {
        name: getattr(settings, name.lower())
        for name in ("STRIPE_WEBHOOK_SECRETS", "APP_WEBHOOK_SECRETS", "APP_EVENTS_SECRETS")
    }
    for name, secrets in lists.items():
        if max(Counter(secrets).values(), default=0) > 1:
            yield attention(
                "secret_twice",
                f"{name} holds the same secret twice",
                fix="while a secret is replaced, write the old and the new one; else one of them",
            )
    where: dict[str, list[str]] = {}
    for name, secrets in lists.items():
        for secret in set(secrets):
            where.setdefault(secret, []).append(name)
    for names in sorted({tuple(each) for each in where.values() if len(each) > 1}):
        yield broken(
            "secret_shared",
            f"{' and '.join(names)} share a secret: who knows one can speak as the other",
            fix="make a secret of its own for each",
        )


def _passwords(settings: Settings) -> Iterator[Finding]:
    found = {
        process.address: Address.parse(url)
        for process in PROCESSES.values()
        if (url := getattr(settings, process.address.lower())) is not None
    }
    passwords = {name: each.password for name, each in found.items() if each.password}
    short = [
        name
        for name, password in passwords.items()
        if len(password) < PASSWORD_MIN and not all(map(is_local_host, found[name].hosts))
    ]
    setting = "REDIS_URL" if settings.broker_url is None else "BROKER_URL"
    queue = urlsplit(settings.queue_url or "")
    if settings.queue_url and not is_local(queue.hostname or "localhost"):
        if not queue.password:
            yield attention(
                "queue_without_password",
                f"{setting} has no password, and the queue is on another machine",
                fix="give the queue's user a password (docs/deploying.md)",
            )
        elif len(unquote(queue.password)) < PASSWORD_MIN:
            short.append(setting)
    if short:
        yield attention(
            "password_short",
            f"passwords of fewer than {PASSWORD_MIN} characters: {', '.join(short)}",
            fix="set longer ones: `openssl rand -hex 16`",
        )
    for names in _same(passwords):
        if {found[name].user for name in names} != {found[names[0]].user}:
            yield attention(
                "password_shared",
                f"{' and '.join(names)} have the same password",
                fix="give each role its own, so that each is worth only what its process may do",
            )


def _same(passwords: dict[str, str]) -> Iterator[list[str]]:
    for password in sorted(set(passwords.values())):
        names = [name for name, each in passwords.items() if each == password]
        if len(names) > 1:
            yield names


def is_local_host(host: object) -> bool:
    """Return whether a host of an address is this machine: a socket, or loopback."""
    name = getattr(host, "name", None)
    return name is None or name.startswith("/") or is_local(name)


def is_local(host: str) -> bool:
    """Return whether this name of a host is loopback."""
    return host in LOCAL or host.startswith("127.")


async def check_people(context: Context) -> list[Finding]:
    """Say whether people can sign in to the console, and safely."""
    settings = context.settings
    ways = [
        name
        for name, value in (
            ("a password at Supabase", settings.supabase_url),
            ("an identity-aware proxy", settings.console_jwt_header),
            ("links, on this machine", settings.console_link_secret),
        )
        if value
    ]
    if not ways:
        why = "no way to sign in to the console is set here"
        return [not_checked(why, fix="run it with the settings of console, too")]
    found = []
    is_here = all(map(is_local, settings.console_host.split(",")))
    if settings.console_origin is None and not is_here:
        found.append(
            broken(
                "console_origin_missing",
                "the console listens for other machines, and CONSOLE_ORIGIN is not set",
                fix="put a proxy with TLS before it, and set CONSOLE_ORIGIN to its address",
            )
        )
    if (
        settings.stripe_livemode
        and settings.supabase_url
        and settings.console_approval_aal < "aal2"
    ):
        found.append(
            attention(
                "second_factor_missing",
                "in live mode people approve without a second factor",
                fix="have them add one, and set CONSOLE_APPROVAL_AAL=aal2",
            )
        )
    return found or [ok(f"people sign in by {' or '.join(ways)}")]
