"""HTTP to a provider: an answer is bounded in time and size, and comes from the one address."""

from __future__ import annotations

import asyncio
import gzip
from email.utils import formatdate
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse, RedirectResponse, Response, StreamingResponse
from starlette.routing import Route

from tasks.providers import http
from tasks.providers.base_address import check_base_address
from tasks.providers.calls import ProviderUnreachable
from tasks.providers.http import ANSWER_BYTES_MAX, HttpApi, read_retry_after
from workers.mock_providers.serving import serving

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from starlette.requests import Request

SECRET = "Bearer rk_test_secret"
NOW_S = 1_795_000_000.0


class Server:
    """A provider that answers well, badly, or not at all."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.base = ""
        self.body, self.coding = b"", ""
        self.is_over = asyncio.Event()

    async def answer(self, request: Request) -> Response:
        self.asked.append(request.url.path)
        if self.coding:
            return Response(self.body, headers={"content-encoding": self.coding})
        match request.url.path:
            case "/redirect":
                return RedirectResponse(f"{self.base}/elsewhere")
            case "/largest" | "/large" as path:
                return Response(b"x" * (ANSWER_BYTES_MAX + (path == "/large")))
            case "/drip":
                return StreamingResponse(self._drip())
            case "/silent":
                await self.is_over.wait()
            case "/busy":
                return Response(status_code=429, headers={"Retry-After": "12"})
        return PlainTextResponse(request.headers.get("authorization", ""))

    async def _drip(self) -> AsyncIterator[bytes]:
        """A byte now and then: each read gets one, and the body never ends."""
        while not self.is_over.is_set():
            yield b" "
            await asyncio.sleep(0.01)


@pytest_asyncio.fixture
async def server() -> AsyncIterator[Server]:
    server = Server()
    routes = [Route("/{path:path}", server.answer, methods=["GET", "POST"])]
    async with serving(Starlette(routes=routes)) as server.base:
        yield server
        server.is_over.set()


@pytest_asyncio.fixture
async def api(server: Server) -> AsyncIterator[HttpApi]:
    api = HttpApi(server.base, headers={"Authorization": SECRET}, requests_per_s=1_000)
    yield api
    await api.close()


async def test_an_answer_has_its_status_and_its_headers_by_lower_case_name(api: HttpApi) -> None:
    answer = await api.send("GET", "/busy")
    assert (answer.status, answer.headers["retry-after"], answer.body) == (429, "12", b"")
    assert answer.retry_after_s == 12


@pytest.mark.parametrize("path", ["/drip", "/silent"])
async def test_a_server_that_does_not_end_its_answer_is_unreachable(
    server: Server, path: str
) -> None:
    api = HttpApi(server.base, headers={}, requests_per_s=1_000, timeout_s=0.3)
    with pytest.raises(ProviderUnreachable, match="no answer in time"):
        await api.send("GET", path)
    await api.close()


async def test_a_server_that_is_not_there_is_unreachable() -> None:
    api = HttpApi("http://127.0.0.1:1", headers={"Authorization": SECRET}, requests_per_s=1)
    with pytest.raises(ProviderUnreachable, match=r"^ConnectError$") as raised:
        await api.send("GET", "/v1/refunds?payment_intent=pi_1")
    # Nothing of the request is in what a log may show.
    assert raised.value.__cause__ is None
    assert raised.value.__suppress_context__
    await api.close()


async def test_an_answer_is_read_up_to_a_limit(api: HttpApi) -> None:
    assert len((await api.send("GET", "/largest")).body) == ANSWER_BYTES_MAX
    with pytest.raises(ProviderUnreachable, match="too large"):
        await api.send("GET", "/large")


async def test_an_answer_is_decoded(api: HttpApi, server: Server) -> None:
    server.body, server.coding = gzip.compress(b"x" * ANSWER_BYTES_MAX), "gzip"
    assert (await api.send("GET", "/coded")).body == b"x" * ANSWER_BYTES_MAX


async def test_an_answer_is_decoded_no_further_than_it_is_read(
    api: HttpApi, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.body, server.coding = gzip.compress(bytes(8 * ANSWER_BYTES_MAX)), "gzip"
    most = 0

    def watched(*arguments: Any) -> bytes:
        nonlocal most
        part = unzip(*arguments)
        most = max(most, len(part))
        return part

    unzip = http._unzip
    monkeypatch.setattr("tasks.providers.http._unzip", watched)
    with pytest.raises(ProviderUnreachable, match="too large"):
        await api.send("GET", "/coded")
    assert 0 < most <= ANSWER_BYTES_MAX + 1


async def test_an_answer_that_is_coded_otherwise_is_not_read(api: HttpApi, server: Server) -> None:
    server.body = b"{}"
    for server.coding in ("deflate", "br", "gzip, gzip", "gzip"):
        with pytest.raises(ProviderUnreachable, match=r"coding|decoded"):
            await api.send("GET", "/coded")


async def test_where_only_the_status_counts_no_coding_matters(server: Server) -> None:
    server.body, server.coding = gzip.compress(bytes(8 * ANSWER_BYTES_MAX)), "gzip, br"
    api = HttpApi(server.base, headers={}, requests_per_s=1_000, reads_only_bytes=10)
    assert (await api.send("GET", "/coded")).status == 200
    await api.close()


async def test_no_redirect_is_followed(api: HttpApi, server: Server) -> None:
    with pytest.raises(ProviderUnreachable, match="a redirect"):
        await api.send("GET", "/redirect")
    assert server.asked == ["/redirect"]


async def test_a_proxy_of_the_environment_is_not_used(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    api = HttpApi(server.base, headers={"Authorization": SECRET}, requests_per_s=1_000)
    assert (await api.send("GET", "/")).body == SECRET.encode()
    await api.close()


async def test_requests_are_spread_over_time(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    pauses: list[float] = []

    async def pause(seconds: float) -> None:
        pauses.append(seconds)

    api = HttpApi(server.base, headers={}, requests_per_s=0.01)
    monkeypatch.setattr("tasks.providers.http.asyncio.sleep", pause)
    for _ in range(3):
        await api._turn()
    assert [round(each, -1) for each in pauses] == [100, 200]


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (None, None),
        ("120", 120),
        ("0", 0),
        ("1.5", 1.5),
        ("-3", 0),
        (formatdate(NOW_S + 90, usegmt=True), 90),
        (formatdate(NOW_S - 90, usegmt=True), 0),
        # Apple's, in milliseconds since 1970.
        (str(int(NOW_S * 1_000) + 45_000), 45),
        ("soon", None),
        ("nan", None),
        ("", None),
        ("Mon, 99 Foo 2026", None),
    ],
)
def test_retry_after_is_read_in_all_its_forms(value: str | None, seconds: float | None) -> None:
    assert read_retry_after(value, now_s=NOW_S) == seconds


@pytest.mark.parametrize(
    "base",
    [
        "https://api.stripe.com",
        "https://api.stripe.com:8443",
        "http://127.0.0.1:12111",
        "http://localhost:12111",
        "http://[::1]:12111",
    ],
)
def test_a_base_address_is_https_or_on_this_machine(base: str) -> None:
    assert check_base_address(base) == base
    assert check_base_address(base + "/") == base


@pytest.mark.parametrize(
    "base",
    [
        "http://api.stripe.com",
        "http://127.0.0.1.example.com",
        "http://10.0.0.1",
        "ftp://127.0.0.1",
        "api.stripe.com",
        "https://",
        "https://user:secret@api.stripe.com",
        "https://api.stripe.com/v1",
        "https://api.stripe.com?a=b",
        "https://api.stripe.com:99999",
        "https://[::1",
    ],
)
def test_any_other_base_address_is_refused_without_being_quoted(base: str) -> None:
    with pytest.raises(ValueError, match="must ") as raised:
        check_base_address(base)
    assert "stripe" not in str(raised.value)
    with pytest.raises(ValueError, match="must "):
        HttpApi(base, headers={}, requests_per_s=1)


async def test_a_client_that_was_closed_opens_again(api: HttpApi) -> None:
    await api.send("GET", "/")
    await api.close()
    assert (await api.send("GET", "/")).status == 200
