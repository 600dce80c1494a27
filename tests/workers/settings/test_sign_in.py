"""The settings of the app's sign-in: one of two keys, and none that anybody could read."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.strings import ROOT
from workers.processes import PROCESSES, WEB, Process
from workers.settings import RECEIVING_SECRETS, Settings, SettingsFault, load_settings
from workers.sign_in import build_access_tokens
from workers.supervisor.environment import environment_of

JWKS = "https://project.supabase.co/auth/v1/.well-known/jwks.json"
SECRET = "a secret of a project".ljust(40, ".")


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """An environment without a setting of coinfleet."""
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    return monkeypatch


def test_without_a_key_no_token_proves_anything(environment: pytest.MonkeyPatch) -> None:
    assert build_access_tokens(load_settings()) is None


async def test_either_key_will_do_and_a_secret_is_not_shown(
    environment: pytest.MonkeyPatch,
) -> None:
    environment.setenv("SUPABASE_JWKS_URL", JWKS)
    for_keys = build_access_tokens(load_settings())
    environment.delenv("SUPABASE_JWKS_URL")
    environment.setenv("SUPABASE_JWT_SECRET", SECRET)
    for_secret = build_access_tokens(load_settings())
    assert for_keys is not None
    assert for_secret is not None
    await for_keys.close()
    assert SECRET not in repr(load_settings())


def test_both_keys_stop_the_process(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("SUPABASE_JWKS_URL", JWKS)
    environment.setenv("SUPABASE_JWT_SECRET", SECRET)
    with pytest.raises(SettingsFault) as fault:
        load_settings()
    assert fault.value.faults[0].startswith("SUPABASE_JWT_SECRET: leave it unset")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SUPABASE_JWKS_URL", "http://project.supabase.co/keys"),
        ("SUPABASE_JWKS_URL", "project.supabase.co/keys"),
        ("SUPABASE_JWKS_URL", "https://user:hidden@project.supabase.co/keys"),
        ("SUPABASE_JWKS_URL", "https://project.supabase.co/keys#one"),
        ("SUPABASE_JWKS_URL", "https://[hidden/keys"),
        ("SUPABASE_JWKS_URL", "https://project.supabase.co/a b"),
        ("SUPABASE_JWT_SECRET", "hidden"),
    ],
)
def test_a_key_that_is_none_is_named_and_not_quoted(
    environment: pytest.MonkeyPatch, name: str, value: str
) -> None:
    environment.setenv(name, value)
    with pytest.raises(SettingsFault) as fault:
        load_settings()
    (told,) = fault.value.faults
    assert told.startswith(f"{name}: ")
    assert "hidden" not in told


@pytest.mark.parametrize(
    "copied",
    [
        *(
            "{}\n",
            "{}\r\n",
            " {}",
            "{} ",
            "\t{}",
            "{}\x0b",
            '"{}"',
            "'{}'",
            "`{}`",
            "\u201c{}\u201d",
        ),
        *(
            "\ufeff{}",
            "{}\u200b",
            "{}\u00a0",
            "\u00a0{}",
            "{}\u00ad{}",
            "{}\n{}",
            "{}\x1b{}",
            "{}\udcff",
        ),
        *(
            "export SUPABASE_JWT_SECRET={}",
            "SUPABASE_JWT_SECRET={}",
            "<{}>",
            "${{{}}}",
            "$(cat {})",
        ),
    ],
    ids=ascii,
)
def test_a_secret_with_anything_around_it_stops_the_process(
    environment: pytest.MonkeyPatch, copied: str
) -> None:
    environment.setenv("SUPABASE_JWT_SECRET", copied.format(SECRET, SECRET))
    with pytest.raises(SettingsFault) as fault:
        load_settings()
    (told,) = fault.value.faults
    assert told.startswith(
        ("SUPABASE_JWT_SECRET: must be the secret alone", "SUPABASE_JWT_SECRET: has a")
    )
    assert SECRET not in told


@pytest.mark.parametrize("process", PROCESSES.values(), ids=str)
def test_only_the_process_that_receives_knows_the_secret(process: Process) -> None:
    assert "SUPABASE_JWT_SECRET" in RECEIVING_SECRETS
    known = environment_of(process.name, dict.fromkeys(RECEIVING_SECRETS, "x"))
    assert ("SUPABASE_JWT_SECRET" in known) is (process is WEB)


def test_libraries_for_tokens_are_imported_only_where_they_are_read() -> None:
    program = (
        "import sys, workers.webhooks, workers.cli;"
        " from workers.sign_in import build_access_tokens; from workers.settings import Settings;"
        " build_access_tokens(Settings()); assert 'jwt' not in sys.modules;"
        f" build_access_tokens(Settings(supabase_jwt_secret='{SECRET}'));"
        " assert 'jwt' in sys.modules and 'httpx' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], check=True, env={"PYTHONPATH": str(ROOT)})
