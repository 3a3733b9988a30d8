"""Starlette on an exchange: bodies, streams, disconnects, failures."""

import asyncio
import json

import pytest
from starlette.applications import Starlette
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from jupyter_faas.wire.aio import AsyncConnection
from jupyter_faas.wire.asgi import AsgiBridge
from jupyter_faas.wire.upstream import request
from tests.wire.fakes import connect, served, until

log: list[str] = []


async def echo(request):
    body = await request.body()
    return JSONResponse([request.method, request.url.path, request.url.query, len(body)])


async def count(request):
    total = 0
    async for piece in request.stream():
        total += len(piece)
    return Response(str(total))


async def ticks(request):
    async def forever():
        try:
            while True:
                yield b"data: tick\n\n"
                await asyncio.sleep(0.001)
        finally:
            log.append("stream over")

    return StreamingResponse(forever(), media_type="text/event-stream")


async def silent(request):
    async def never():
        await asyncio.Event().wait()
        yield b""

    return StreamingResponse(never(), media_type="text/event-stream")


async def flood(request):
    return StreamingResponse(bytes(100_000) for _ in range(100))


async def slow(request):
    log.append("slow begins")
    try:
        await asyncio.Event().wait()
    finally:
        log.append("slow over")


async def wait_for_disconnect(request):
    await request.body()
    log.append("it waits")
    while not await request.is_disconnected():  # noqa: ASYNC110 - what is asked of ASGI
        await asyncio.sleep(0.001)
    log.append("saw the disconnect")
    return Response()


async def boom(request):
    raise ZeroDivisionError


async def half(request):
    async def broken():
        yield b"half"
        raise ZeroDivisionError

    return StreamingResponse(broken())


ROUTES = [
    Route("/echo/{rest:path}", echo, methods=["GET", "POST", "PUT"]),
    Route("/count", count, methods=["POST"]),
    Route("/ticks", ticks),
    Route("/silent", silent),
    Route("/flood", flood),
    Route("/slow", slow),
    Route("/wait", wait_for_disconnect, methods=["POST"]),
    Route("/boom", boom),
    Route("/half", half),
    Route("/sized", lambda request: Response(headers={"Content-Length": "12"})),
    Route("/nothing", lambda request: Response(status_code=204)),
]


@pytest.fixture
async def address():
    log.clear()
    bridge = AsgiBridge(Starlette(routes=ROUTES))
    await bridge.start()
    async with served(bridge) as address:
        yield address
    await bridge.stop()


async def test_a_request_with_a_body(address):
    answer = await request(address, "POST", "/echo/a%20b?q=1&r", [], b"x" * 300_000, timeout_s=20)
    assert json.loads(answer.body) == ["POST", "/echo/a b", "q=1&r", 300_000]
    assert answer.header(b"content-type") == b"application/json"
    assert answer.header(b"content-length") == b"%d" % len(answer.body)


async def test_a_streamed_body_is_read_with_back_pressure(address):
    answer = await request(address, "POST", "/count", [], [bytes(100_000)] * 100, timeout_s=20)
    assert answer.body == b"10000000"


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/nothing", 204),
        ("GET", "/nowhere", 404),
        ("POST", "/boom", 405),
        ("HEAD", "/echo/", 200),
    ],
)
async def test_statuses(address, method, path, status):
    answer = await request(address, method, path, timeout_s=20)
    assert answer.status == status


async def test_head_has_the_length_and_no_body(address):
    answer = await request(address, "HEAD", "/echo/", timeout_s=20)
    assert int(answer.header(b"content-length")) > 0
    assert answer.body == b""


async def test_head_says_the_length_the_application_says(address):
    answer = await request(address, "HEAD", "/sized", timeout_s=20)
    assert (answer.status, answer.header(b"content-length"), answer.body) == (200, b"12", b"")


async def test_a_stream_begins_at_once_and_ends_with_its_reader(address):
    connection = AsyncConnection(address)
    response = await connection.request("GET", "/ticks", timeout_s=20)
    assert response.headers["content-type"].startswith("text/event-stream")
    assert b"data: tick" in await anext(response.iter_body())
    connection.close()
    await until(lambda: "stream over" in log)


async def test_the_head_of_a_stream_does_not_wait_for_its_first_event(address):
    connection = AsyncConnection(address)
    response = await connection.request("GET", "/silent", timeout_s=20)
    assert response.status == 200
    connection.close()


async def test_a_large_stream_is_whole(address):
    connection = AsyncConnection(address)
    response = await connection.request("GET", "/flood", timeout_s=20)
    total = 0
    async for piece in response.iter_body():
        total += len(piece)
    assert total == 10_000_000
    connection.close()


async def test_the_application_can_ask_whether_its_client_left(address):
    connection = AsyncConnection(address)
    task = asyncio.create_task(connection.request("POST", "/wait", (), [b"abc"]))
    await until(lambda: "it waits" in log)
    task.cancel()
    await until(lambda: "saw the disconnect" in log)
    await asyncio.gather(task, return_exceptions=True)


async def test_a_failing_application_is_500(address, caplog):
    answer = await request(address, "GET", "/boom", timeout_s=20)
    assert answer.status == 500
    assert "ZeroDivisionError" in caplog.text


async def test_a_bare_application_that_fails_is_a_problem_document(caplog):
    async def app(scope, receive, send):
        raise ZeroDivisionError

    async with served(AsgiBridge(app)) as address:
        answer = await request(address, "GET", "/", timeout_s=20)
    assert answer.status == 500
    assert answer.header(b"content-type") == b"application/problem+json"
    assert "ZeroDivisionError" in caplog.text


async def test_a_stream_that_fails_never_looks_complete(address, caplog):
    connection = AsyncConnection(address)
    response = await connection.request("GET", "/half", timeout_s=20)
    with pytest.raises(ConnectionError):
        await response.read()


async def test_an_application_that_answers_from_the_head_does_not_read_the_body():
    async def app(scope, receive, send):
        head = {
            "type": "http.response.start",
            "status": 401,
            "headers": [(b"content-length", b"0")],
        }
        await send(head)
        await send({"type": "http.response.body"})

    async with served(AsgiBridge(app)) as address:
        answer = await request(address, "POST", "/", [], bytes(50_000_000), timeout_s=20)
    assert answer.status == 401


async def test_stop_ends_what_runs(address):
    bridge = AsgiBridge(Starlette(routes=ROUTES))
    async with served(bridge) as other:
        connection = AsyncConnection(other)
        task = asyncio.create_task(connection.request("GET", "/slow"))
        await until(lambda: log)
        await bridge.stop()
        assert log == ["slow begins", "slow over"]
        await asyncio.gather(task, return_exceptions=True)


async def test_the_scope():
    scopes = []

    async def app(scope, receive, send):
        scopes.append(scope)

    bridge = AsgiBridge(app, root_path="/r")
    protocol, _ = connect(bridge)
    protocol.data_received(b"GET /a%2Fb?c HTTP/1.1\r\nHost: h\r\nX-A: b\r\n\r\n")
    await until(lambda: scopes)
    (scope,) = scopes
    assert (scope["type"], scope["method"], scope["http_version"]) == ("http", "GET", "1.1")
    assert (scope["path"], scope["raw_path"], scope["query_string"]) == ("/a/b", b"/a%2Fb", b"c")
    assert scope["headers"] == [(b"host", b"h"), (b"x-a", b"b")]
    assert scope["root_path"] == "/r"


async def test_lifespan():
    async def app(scope, receive, send):
        if scope["type"] == "lifespan":
            assert (await receive())["type"] == "lifespan.startup"
            scope["state"]["ready"] = True
            await send({"type": "lifespan.startup.complete"})
            assert (await receive())["type"] == "lifespan.shutdown"
            log.append("shut down")
            await send({"type": "lifespan.shutdown.complete"})
        else:
            log.append(str(scope["state"]))

    log.clear()
    bridge = AsgiBridge(app, lifespan=True)
    await bridge.start()
    protocol, _ = connect(bridge)
    protocol.data_received(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
    await until(lambda: log)
    await bridge.stop()
    assert log == ["{'ready': True}", "shut down"]


async def test_a_lifespan_that_fails_and_one_that_is_not_there():
    async def failing(scope, receive, send):
        await receive()
        await send({"type": "lifespan.startup.failed", "message": "no database"})

    with pytest.raises(RuntimeError, match="no database"):
        await AsgiBridge(failing, lifespan=True).start()

    async def without(scope, receive, send):
        raise KeyError(scope["type"])

    bridge = AsgiBridge(without, lifespan=True)
    await bridge.start()
    await bridge.stop()


async def test_messages_that_are_not_understood(caplog):
    async def app(scope, receive, send):
        await send({"type": "websocket.accept"})

    async with served(AsgiBridge(app)) as address:
        assert (await request(address, "GET", "/", timeout_s=20)).status == 500
    assert "websocket.accept" in caplog.text


async def test_send_waits_for_a_slow_reader():
    sent = []

    async def app(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for number in range(3):
            await send({"type": "http.response.body", "body": b"x", "more_body": True})
            sent.append(number)
        await send({"type": "http.response.body"})

    protocol, transport = connect(AsgiBridge(app))
    protocol.pause_writing()
    protocol.data_received(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
    await until(lambda: transport.written.endswith(b"1\r\nx\r\n"))
    await asyncio.sleep(0)
    assert sent == []
    protocol.resume_writing()
    await until(lambda: transport.written.endswith(b"0\r\n\r\n"))
    assert sent == [0, 1, 2]
