"""The client side for coroutines, on plain asyncio."""

import asyncio
import socket
from contextlib import asynccontextmanager, suppress

import pytest

from jupyter_faas.core.errors import GatewayLost, GatewayUnavailable
from jupyter_faas.wire.aio import AsyncConnection
from jupyter_faas.wire.aio_stream import Streamed
from tests.support import state_dir
from tests.wire.fakes import served, until
from tests.wire.test_blocking import App

MEBI = 1 << 20
OK = b"HTTP/1.1 200 OK\r\n"


@pytest.fixture
def app():
    return App()


@pytest.fixture
async def connection(app):
    async with served(app) as address:
        connection = AsyncConnection(address)
        yield connection
        connection.close()


async def test_a_call(connection, app):
    response = await connection.request("POST", "/?q", {"A": "b"}, [b"ab", memoryview(b"c")])
    assert (response.status, response.headers["content-length"]) == (200, "1")
    assert response.is_complete
    assert await response.read() == b"3"
    assert app.events == [(b"POST", b"/?q", b"abc")]


async def test_a_connection_is_used_again(connection, app):
    for _ in range(3):
        await (await connection.request("GET", "/")).read()
        assert len(await (await connection.request("GET", "/chunks")).read()) == 1_000_000
    assert len(app.connections) == 1
    assert connection.is_idle


async def test_tcp(app):
    async with served(app, tcp=True) as address:
        connection = AsyncConnection(address)
        assert (await connection.request("HEAD", "/")).status == 200
        assert await (await connection.request("GET", "/")).read() == b"0"
        connection.close()


async def test_large_bodies_both_ways(connection):
    parts = [bytes(5 * MEBI), bytearray(20 * MEBI), b"", memoryview(b"x" * MEBI)]
    response = await connection.request("POST", "/", (), parts)
    assert await response.read() == b"%d" % (26 * MEBI)
    assert len(await (await connection.request("GET", "/large")).read()) == 30 * MEBI
    response = await connection.request("GET", "/large")
    assert sum([len(piece) async for piece in response.iter_body()]) == 30 * MEBI


async def test_a_body_may_come_piece_by_piece(connection, app):
    async def pieces():
        for _ in range(20):
            yield b"x" * MEBI

    response = await connection.request("POST", "/", (), Streamed(pieces(), 20 * MEBI))
    assert await response.read() == b"%d" % (20 * MEBI)
    assert connection.is_idle
    assert await (await connection.request("POST", "/", (), [b"ab"])).read() == b"2"


async def test_a_reader_that_waits_holds_little(connection):
    response = await connection.request("GET", "/large")
    stream = connection._stream
    await until(lambda: not stream._is_reading)
    assert stream._held_bytes < 2 * MEBI
    assert len(await response.read()) == 30 * MEBI


async def test_a_stream_yields_what_is_there_and_leaving_it_cuts(connection, app):
    response = await connection.request("GET", "/drip")
    stream = response.iter_body()
    assert await anext(stream) == b"first"
    await stream.aclose()
    await until(lambda: "gone" in app.events)
    assert await (await connection.request("GET", "/")).read() == b"0"


async def test_cancelling_closes_the_connection(connection, app):
    task = asyncio.create_task(connection.request("GET", "/hang"))
    await until(lambda: app.seen)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await until(lambda: "gone" in app.events)
    assert await (await connection.request("GET", "/")).read() == b"0"


async def test_cancelling_a_read_closes_the_connection(connection, app):
    response = await connection.request("GET", "/drip")
    task = asyncio.create_task(response.read())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await until(lambda: "gone" in app.events)
    with pytest.raises(GatewayLost):
        await response.read()


async def test_one_call_at_a_time(connection, app):
    task = asyncio.create_task(connection.request("GET", "/hang"))
    await until(lambda: app.seen)
    assert not connection.is_idle
    with pytest.raises(RuntimeError):
        await connection.request("GET", "/")
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_an_abandoned_answer_is_cut_by_the_next_request(connection, app):
    abandoned = await connection.request("GET", "/drip")
    assert not connection.is_idle
    assert await (await connection.request("GET", "/")).read() == b"0"
    await until(lambda: "gone" in app.events)
    abandoned.close()
    assert await (await connection.request("GET", "/")).read() == b"0"
    assert len(app.connections) == 2


async def test_cut_answers_are_lost(connection):
    with pytest.raises(GatewayLost):
        await (await connection.request("GET", "/cut")).read()
    assert await (await connection.request("GET", "/")).read() == b"0"


async def test_time_limits(connection):
    with pytest.raises(TimeoutError):
        await connection.request("GET", "/hang", timeout_s=0.02)
    response = await connection.request("GET", "/drip", timeout_s=60.0)
    response._deadline_s = asyncio.get_running_loop().time() + 0.02
    with pytest.raises(TimeoutError):
        await response.read()


async def test_an_early_refusal_of_a_large_body_is_read(connection):
    response = await connection.request("POST", "/refuse", (), [bytes(20 * MEBI)])
    assert (response.status, await response.read()) == (503, b"busy")


async def test_a_connection_closed_while_idle_is_opened_again(connection, app):
    await (await connection.request("GET", "/last")).read()
    await (await connection.request("GET", "/")).read()
    stream = connection._stream
    app.seen[-1]._connection.transport.abort()
    await until(lambda: not stream.is_reusable())
    assert await (await connection.request("GET", "/")).read() == b"0"


async def test_nobody_there(tmp_path):
    with pytest.raises(GatewayUnavailable, match="Nothing was sent"):
        await AsyncConnection(f"unix:{tmp_path}/nobody").request("GET", "/")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        with pytest.raises(GatewayUnavailable):
            await AsyncConnection(f"127.0.0.1:{taken.getsockname()[1]}").request("GET", "/")


@asynccontextmanager
async def scripted(*answers: bytes):
    """Accept one connection after the other; read a request, send an answer, close."""
    left = list(answers)
    played = asyncio.Semaphore(0)

    async def play(reader, writer):
        await reader.read(65536)
        writer.write(left.pop(0))
        writer.write_eof()
        with suppress(ConnectionError):  # it may have heard enough
            await reader.read(1)
        writer.close()
        await asyncio.gather(writer.wait_closed(), return_exceptions=True)
        played.release()

    with state_dir() as directory:
        server = await asyncio.start_unix_server(play, directory / "s")
        yield AsyncConnection(f"unix:{directory / 's'}")
        for _ in answers:
            await played.acquire()
        server.close()


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"nonsense\r\n\r\n",
        OK,
        OK + b"\r\n",
        OK + b"X: " + b"y" * 70_000,
        OK + b"Content-Length: 5\r\n\r\nabc",
        OK + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
        OK + b"Transfer-Encoding: chunked\r\n\r\nx\r\nabc\r\n",
    ],
)
async def test_what_is_cut_or_no_answer_is_lost(raw):
    async with scripted(raw) as connection:
        with pytest.raises(GatewayLost):
            await (await connection.request("GET", "/")).read()
        assert connection.is_idle


async def test_bytes_after_the_answer_are_not_the_next_answer():
    first = b"HTTP/1.1 103 Early\r\n\r\n" + OK + b"Content-Length: 1\r\n\r\na" + OK
    async with scripted(first, OK + b"Content-Length: 1\r\n\r\nb") as connection:
        assert await (await connection.request("GET", "/")).read() == b"a"
        assert await (await connection.request("GET", "/")).read() == b"b"
        connection.close()
