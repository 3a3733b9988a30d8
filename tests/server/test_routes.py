"""Every route over a real Jupyter server and a real gateway: its answers, and its refusals."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from jupyter_server.auth import Authorizer
from tornado.httpclient import HTTPClientError

from tests.e2e.gateway import Gateway
from tests.server import functions
from tests.server.conftest import ended, kill
from tests.support import is_alive, wait_until

ROUTES = [
    ("GET", "status", "read"),
    ("GET", "state", "read"),
    ("POST", "start", "write"),
    ("GET", "v1/functions", "read"),
    ("HEAD", "v1/blobs/0", "read"),
    ("PUT", "v1/functions/double/traffic", "write"),
    ("PATCH", "v1/functions/double/scaling", "write"),
    ("DELETE", "v1/functions/double", "write"),
    ("POST", "function/double", "execute"),
    ("POST", "async-function/double", "execute"),
]


def problem(answer: Any) -> dict[str, Any]:
    assert answer.headers["Content-Type"] == "application/problem+json"
    return dict(json.loads(answer.body))


def body_of(method: str) -> bytes | None:
    return b"{}" if method in ("POST", "PUT", "PATCH") else None


def started(gateway: Gateway) -> bool:
    return (gateway.state_dir / "gateway.json").exists()


async def test_looking_starts_no_gateway(ask, gateway):
    for path in ("status", "state"):
        told = json.loads((await ask("GET", path)).body)
        assert told["gateway"]["state"] == "none"
        assert told["gateway"]["reason"] == "None running: it starts with the first call."
    assert told["state"] is None
    answer = await ask("GET", "v1/functions")
    assert (answer.code, problem(answer)["code"]) == (503, "gateway_unavailable")
    assert not started(gateway)


async def test_start_starts_one_and_tells_where_it_is(ask, gateway):
    told = json.loads((await ask("POST", "start", b"")).body)
    assert (told["state"], told["provider"]) == ("live", "local")
    assert told["url"] == gateway.info["url"]
    pid = gateway.pid
    assert json.loads((await ask("POST", "start", b"")).body)["state"] == "live"
    assert gateway.pid == pid


async def test_a_gateway_that_was_killed_is_started_again_by_the_next_action(ask, gateway):
    await asyncio.to_thread(functions.double.deploy)
    for path, body in (("function/double", {"x": 4}), ("start", b"")):
        assert (await ask("POST", "function/double", {"x": 4})).code == 200
        pid = gateway.pid
        gateway.processes()
        kill(pid)
        await ended(pid)
        answer = await ask("POST", path, body)
        assert answer.code == 200, answer.body
        assert gateway.pid != pid
    assert json.loads(answer.body)["state"] == "live"


async def test_a_start_that_fails_says_why(ask, gateway, monkeypatch):
    monkeypatch.setenv("FAAS_PORT", "1")
    (gateway.state_dir / "faas.toml").write_text("start_timeout_s = 10\nhost = '203.0.113.1'\n")
    answer = await ask("POST", "start", b"")
    assert answer.code == 503
    assert "could not be started" in problem(answer)["detail"]


async def test_a_write_starts_one(ask, gateway):
    answer = await ask("PATCH", "v1/functions/nothing/scaling", {"minContainers": 1})
    assert (answer.code, problem(answer)["code"]) == (404, "function_not_found")
    assert is_alive(gateway.pid)


async def test_a_function_is_looked_at_called_changed_and_deleted(ask, gateway):
    await asyncio.to_thread(functions.double.deploy)
    state = json.loads((await ask("GET", "state")).body)
    assert state["gateway"]["state"] == "live"
    assert [one["name"] for one in state["state"]["functions"]] == ["double"]
    listed = json.loads((await ask("GET", "v1/functions")).body)
    assert listed["functions"][0]["name"] == "double"

    called = await ask("POST", "function/double", {"x": 4})
    assert (called.code, json.loads(called.body)) == (200, 8)
    assert called.headers["Faas-Revision"] == "1"
    assert called.headers["Faas-Invocation-Id"]
    assert called.headers["Content-Type"].startswith("application/json")

    wrong = await ask("POST", "function/double", {"y": 4})
    assert wrong.headers["Faas-Fault"] == "user"
    assert problem(wrong)["code"] == "bad_request"

    answer = await ask("PATCH", "v1/functions/double/scaling", {"maxContainers": 3})
    assert json.loads(answer.body)["maxContainers"] == 3
    assert (await ask("DELETE", "v1/functions/double")).code == 200
    assert json.loads((await ask("GET", "v1/functions")).body)["functions"] == []


async def test_large_bodies_go_both_ways(ask, gateway):
    await asyncio.to_thread(functions.size_of.deploy)
    size = 30 << 20
    answer = await ask(
        "POST",
        "function/size-of",
        bytes(size),
        headers={"Content-Type": "application/octet-stream"},
    )
    assert json.loads(answer.body) == size


async def test_a_stream_comes_piece_by_piece(server, gateway, jp_fetch, tmp_path):
    await asyncio.to_thread(functions.answers_back.deploy)
    pieces: list[bytes] = []

    def take(piece: bytes) -> None:
        pieces.append(piece)
        (tmp_path / "come").touch()

    answer = await jp_fetch(
        "jupyter-faas/api/function/answers-back",
        method="POST",
        body=json.dumps({"path": str(tmp_path / "come")}),
        streaming_callback=take,
        request_timeout=60,
    )
    assert answer.code == 200
    assert b"".join(pieces).split() == [b"0", b"1"]


async def test_what_a_function_answers_is_no_page_of_jupyter(ask, gateway):
    await asyncio.to_thread(functions.page.deploy)
    answer = await ask("POST", "function/page", b"x")
    assert b"<script>" in answer.body
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert "sandbox" in answer.headers["Content-Security-Policy"]
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]


async def test_a_page_that_leaves_cancels_its_call(
    server, gateway, jp_http_port, jp_base_url, jp_auth_header
):
    await asyncio.to_thread(functions.waits.deploy)
    body = b'{"seconds": 60}'
    head = (
        f"POST {jp_base_url}jupyter-faas/api/function/waits HTTP/1.1",
        f"Host: 127.0.0.1:{jp_http_port}",
        f"Authorization: {jp_auth_header['Authorization']}",
        f"Content-Length: {len(body)}",
    )

    def is_running() -> bool:
        return any(row.get("inFlight") for row in gateway.replicas("waits"))

    def outcomes() -> list[str]:
        listed = gateway.request("GET", "/v1/functions/waits/invocations").json()
        return [one["outcome"] for one in listed["invocations"]]

    _, page = await asyncio.open_connection("127.0.0.1", jp_http_port)
    page.write("\r\n".join([*head, "", ""]).encode() + body)
    await asyncio.to_thread(wait_until, is_running)
    page.close()
    await page.wait_closed()
    await asyncio.to_thread(wait_until, lambda: "cancelled" in outcomes(), seen=outcomes)


async def test_an_answer_that_is_cut_does_not_look_whole(server, gateway, jp_fetch):
    await asyncio.to_thread(functions.count.deploy)
    begun = asyncio.Event()
    call = asyncio.ensure_future(
        jp_fetch(
            "jupyter-faas/api/function/count",
            method="POST",
            body=b'{"n": 500}',
            streaming_callback=lambda _: begun.set(),
        )
    )
    await asyncio.wait_for(begun.wait(), 20)
    pid = gateway.pid
    gateway.processes()
    kill(pid)
    with pytest.raises(Exception, match=r"(?i)closed|599"):
        await call


async def test_nobody_gets_in_without_logging_in(ask, gateway):
    for method, path, _ in ROUTES:
        answer = await ask(method, path, body_of(method), headers={"Authorization": "token wrong"})
        assert answer.code == 403, path
        if method != "HEAD":
            assert problem(answer)["code"] == "forbidden"
    assert not started(gateway)


class Recorder(Authorizer):
    """Allows what it is told to, and remembers what it was asked."""

    asked: list[tuple[str, str]] = []
    allowed: frozenset[str] = frozenset()

    def is_authorized(self, handler: Any, user: Any, action: str, resource: str) -> bool:
        self.asked.append((action, resource))
        return action in self.allowed


async def test_the_authorizer_is_asked_on_every_route(ask, gateway, server, monkeypatch):
    monkeypatch.setitem(server.web_app.settings, "authorizer", Recorder(parent=server))
    for method, path, action in ROUTES:
        monkeypatch.setattr(Recorder, "asked", [])
        assert (await ask(method, path, body_of(method))).code == 403
        assert Recorder.asked == [(action, "jupyter_faas")]
    assert not started(gateway)


async def test_the_authorizer_is_asked_for_the_socket_too(server, watch, monkeypatch):
    monkeypatch.setattr(Recorder, "asked", [])
    monkeypatch.setitem(server.web_app.settings, "authorizer", Recorder(parent=server))
    with pytest.raises(HTTPClientError, match="403"):
        await watch()
    assert Recorder.asked == [("read", "jupyter_faas")]


async def test_the_socket_is_for_who_is_logged_in_and_from_our_own_pages(watch, jp_http_port):
    with pytest.raises(HTTPClientError, match="403"):
        await watch(headers={"Authorization": "token wrong"})
    cookie = {"Authorization": "", "Origin": "http://evil.example"}
    with pytest.raises(HTTPClientError, match="403"):
        await watch(headers=cookie)


@pytest.fixture
async def cookies(server, jp_fetch, jp_auth_header, http_server_client, jp_base_url):
    """Headers of a page that logged in: its cookies, not the token."""
    token = jp_auth_header["Authorization"].split()[1]
    jar: list[str] = []
    for path in (f"login?token={token}", "no-such-page"):
        answer = await http_server_client.fetch(
            jp_base_url + path,
            headers={"Cookie": "; ".join(jar)},
            follow_redirects=False,
            raise_error=False,
        )
        jar += [line.split(";")[0] for line in answer.headers.get_list("Set-Cookie")]
    return {"Cookie": "; ".join(jar), "Authorization": ""}


async def test_a_page_with_cookies_may_read_and_needs_the_xsrf_token_to_write(
    ask, gateway, cookies, watch, jp_http_port
):
    assert (await ask("GET", "status", headers=dict(cookies))).code == 200
    xsrf = next(part for part in cookies["Cookie"].split("; ") if part.startswith("_xsrf="))
    for method, path, action in ROUTES:
        if action == "read":
            continue
        refused = await ask(method, path, body_of(method), headers=dict(cookies))
        assert refused.code == 403, (method, path)
        assert "_xsrf" in problem(refused)["detail"]
    assert not started(gateway)
    allowed = cookies | {"X-XSRFToken": xsrf.removeprefix("_xsrf=")}
    assert (await ask("POST", "start", b"", headers=dict(allowed))).code == 200
    foreign = allowed | {"Origin": "http://evil.example"}
    for method, path, _ in ROUTES:
        answer = await ask(method, path, body_of(method), headers=dict(foreign))
        assert answer.code == 404, path
    host = f"127.0.0.1:{jp_http_port}"
    here = cookies | {"Host": host, "Origin": f"http://{host}"}
    page = await watch(headers=dict(here))
    assert (await page.until_gateway("live"))["provider"] == "local"
    with pytest.raises(HTTPClientError, match="403"):
        await watch(headers=here | {"Origin": "http://evil.example"})


async def test_no_token_is_in_any_answer(ask, gateway, watch, jp_auth_header):
    await asyncio.to_thread(functions.double.deploy)
    page = await watch()
    await page.say(type="watch", calls=["double"], logs=["double"])
    await page.until_snapshot()
    seen = [page]
    texts: list[str] = []
    for method, path, _ in ROUTES:
        answer = await ask(method, path, body_of(method))
        texts.append(str(dict(answer.headers.get_all())) + answer.body.decode())
    for path in (
        "v1/functions/double",
        "v1/functions/double/revisions",
        "v1/state",
        "v1/peers/link",
    ):
        texts.append((await ask("GET", path)).body.decode())
    await asyncio.sleep(0)
    everything = "".join(texts) + "".join(one.text for one in seen)
    assert gateway.token not in everything
    assert jp_auth_header["Authorization"].split()[1] not in everything


async def test_what_is_jupyters_does_not_reach_the_gateway(ask, gateway, jp_auth_header):
    await asyncio.to_thread(gateway.start)
    token = jp_auth_header["Authorization"].split()[1]
    answer = await ask("GET", "v1/functions", params={"token": token, "namespace": "other"})
    assert json.loads(answer.body) == {"functions": []}
    two = await ask("GET", "v1/functions", params=[("namespace", "a"), ("namespace", "b")])
    assert two.code == 400


async def test_no_path_leads_out_of_the_control_api(ask, gateway):
    await asyncio.to_thread(gateway.start)
    for path in ("v1/../metrics", "v1/%2e%2e/metrics", "v1/functions/a%20b", "v1/nothing"):
        answer = await ask("GET", path)
        assert answer.code in (404, 422), path
        assert b"faas_" not in answer.body


async def test_a_body_without_a_length_is_refused(server, jp_fetch, gateway):
    async def produce(write: Any) -> None:
        await write(b"{}")

    answer = await jp_fetch(
        "jupyter-faas/api/function/double",
        method="POST",
        body_producer=produce,
        raise_error=False,
    )
    assert answer.code == 411


async def test_any_gateway_can_be_named_by_its_address(ask, gateway, monkeypatch, watch):
    await asyncio.to_thread(functions.double.deploy)
    url, token = gateway.info["url"], gateway.token
    with_url = {"FAAS_GATEWAY_URL": url, "FAAS_GATEWAY_TOKEN": token}
    for name, value in with_url.items():
        monkeypatch.setenv(name, value)
    told = json.loads((await ask("GET", "status")).body)["gateway"]
    assert (told["state"], told["url"]) == ("live", url)
    page = await watch()
    assert (await page.until_snapshot())["functions"][0]["name"] == "double"
    assert json.loads((await ask("POST", "function/double", {"x": 1})).body) == 2
    monkeypatch.setenv("FAAS_GATEWAY_TOKEN", "wrong")
    refused = json.loads((await ask("GET", "status")).body)["gateway"]
    assert refused["state"] in ("live", "connecting", "reconnecting")


async def test_a_gateway_that_does_not_answer_is_told_with_the_reason(ask, monkeypatch, watch):
    monkeypatch.setenv("FAAS_GATEWAY_URL", "http://127.0.0.1:9")
    told = json.loads((await ask("GET", "state")).body)
    assert told["gateway"]["state"] == "connecting"
    assert "No gateway answers" in told["gateway"]["reason"]
    assert told["state"] is None
    answer = await ask("POST", "start", b"")
    assert json.loads(answer.body)["state"] == "connecting"
    page = await watch()
    await page.until(lambda one: "No gateway answers" in one["gateway"]["reason"])


async def test_it_is_one_of_jupyters_extensions_that_are_in_order(server):
    manager = server.extension_manager
    assert manager.extensions["jupyter_faas.server"].enabled
    assert "jupyter_faas.server" in manager.linked_extensions
    await asyncio.sleep(0)
