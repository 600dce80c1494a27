"""The guard: headers on every answer, forms of other sites refused, bodies bounded."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from starlette.datastructures import Headers
from structlog.testing import capture_logs

from tests.workers.console.site import BASE, FROM_HERE
from workers.console.guard import BODY_BYTES_MAX, FORM, is_from_here
from workers.sign_in_links import Role

if TYPE_CHECKING:
    import httpx

    from tests.workers.console.site import Site

PROXY = "https://console.example.com"


@pytest.mark.parametrize(
    ("headers", "origin", "is_ours"),
    [
        ({"sec-fetch-site": "same-origin"}, None, True),
        # A proxy that rewrites Host changes nothing of what the browser says.
        ({"sec-fetch-site": "same-origin", "origin": PROXY, "host": "10.0.0.7:8001"}, None, True),
        ({"sec-fetch-site": "same-site", "origin": BASE, "host": "127.0.0.1:8001"}, None, False),
        ({"sec-fetch-site": "cross-site", "origin": BASE}, None, False),
        ({"sec-fetch-site": "none"}, None, False),
        # A browser on plain HTTP says only this.
        ({"origin": BASE, "host": "127.0.0.1:8001"}, None, True),
        ({"origin": "http://evil.example", "host": "127.0.0.1:8001"}, None, False),
        ({"origin": "null", "host": "127.0.0.1:8001"}, None, False),
        ({"origin": PROXY, "host": "10.0.0.7:8001"}, PROXY, True),
        ({"origin": PROXY, "host": "10.0.0.7:8001"}, None, False),
        ({"origin": "http://[", "host": "["}, None, False),
        ({"host": "127.0.0.1:8001"}, None, False),
    ],
)
def test_a_form_counts_only_if_a_page_of_the_same_origin_sent_it(
    headers: dict[str, str], origin: str | None, *, is_ours: bool
) -> None:
    assert is_from_here(Headers(headers), origin=origin) is is_ours


@pytest.mark.parametrize(
    "headers",
    [{}, {"sec-fetch-site": "cross-site", "origin": BASE}, {"origin": "http://evil.example"}],
    ids=["says nothing", "cross-site", "another origin"],
)
async def test_another_sites_form_is_refused_and_signs_nobody_out(
    console: Site, headers: dict[str, str]
) -> None:
    browser = await console.signed_in(Role.VIEWER)
    assert (await browser.post("/sign-out", data={"x": ""}, headers=headers)).status_code == 403
    assert (await browser.get("/audit")).status_code == 200


@pytest.mark.parametrize("path", ["/", "/events", "/nothing", "/sign-in", "/healthz", "/events/0"])
async def test_every_answer_has_the_headers_that_a_browser_obeys(
    viewer: httpx.AsyncClient, path: str
) -> None:
    headers = (await viewer.get(path)).headers
    policy = headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self';")
    for part in ("form-action 'self'", "base-uri 'none'", "frame-ancestors 'none'"):
        assert part in policy
    assert "unsafe" not in policy
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["cache-control"] == "no-store"


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"])
async def test_other_methods_are_not_used(viewer: httpx.AsyncClient, method: str) -> None:
    assert (await viewer.request(method, "/")).status_code == 405


@pytest.mark.parametrize(
    ("content", "kind", "status"),
    [
        (b"{}", "application/json", 415),
        (b"x", "multipart/form-data; boundary=x", 415),
        (b"x" * (BODY_BYTES_MAX + 1), "application/x-www-form-urlencoded", 413),
        (b"reason=%ff", "application/x-www-form-urlencoded", 400),
        (b"&".join(b"a=1" for _ in range(2_000)), "application/x-www-form-urlencoded", 400),
    ],
    ids=["json", "multipart", "too large", "no UTF-8", "too many fields"],
)
async def test_a_body_that_is_no_form_of_ours_is_refused(
    console: Site, content: bytes, kind: str, status: int
) -> None:
    browser = await console.signed_in(Role.VIEWER)
    answer = await browser.post(
        "/sign-out", content=content, headers=FROM_HERE | {"content-type": kind}
    )
    assert answer.status_code == status


async def test_a_body_of_unknown_length_is_refused(viewer: httpx.AsyncClient) -> None:
    async def parts() -> object:
        yield b"a=1"

    headers = FROM_HERE | {"content-type": "application/x-www-form-urlencoded"}
    answer = await viewer.post("/sign-out", content=parts(), headers=headers)  # type: ignore[arg-type]
    assert answer.status_code == 411


@pytest.mark.parametrize("path", ["/events/", "/sign-in/", "/events//"])
async def test_no_answer_leads_to_the_host_that_a_request_names(console: Site, path: str) -> None:
    browser = await console.signed_in(Role.VIEWER)
    answer = await browser.get(path, headers={"host": "evil.example"})
    assert answer.status_code == 404
    assert "evil" not in str(answer.headers)


@pytest.mark.parametrize("path", ["/sign-in", "/sign-out", "/events/retry"])
async def test_who_goes_away_in_the_middle_of_a_form_fails_no_page(
    console: Site, path: str
) -> None:
    browser = await console.signed_in(Role.OPERATOR)
    cookie = f"coinfleet={browser.cookies['coinfleet']}"
    told = {**FROM_HERE, "cookie": cookie, "content-type": FORM, "content-length": "500"}
    scope = {
        "type": "http",
        "method": "POST",
        "path": path,
        "query_string": b"",
        "headers": [(name.encode(), value.encode()) for name, value in told.items()],
    }
    sent = iter(
        [{"type": "http.request", "body": b"why=", "more_body": True}, {"type": "http.disconnect"}]
    )
    answered: list[Any] = []

    async def receive() -> Any:
        return next(sent)

    async def send(message: Any) -> None:
        answered.append(message)

    with capture_logs() as logged:
        await console.app(scope, receive, send)
    assert [line for line in logged if line["event"] == "page_failed"] == []
    # Nobody is there to read an answer.
    assert answered == []
