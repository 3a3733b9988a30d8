"""Large streams through real sockets on uvloop: flat memory, back-pressure, clients that leave."""

import asyncio
import functools
import inspect
import socket

import psutil
import pytest
import uvloop

from jupyter_faas.wire.server import Limits
from jupyter_faas.wire.upstream import Upstream, request
from tests.wire.fakes import Recorder, Recording, served, until

MEBI = 1 << 20
SIZE = 100 * MEBI


def on_both_loops(test):
    """Run an async test on uvloop and on plain asyncio."""

    @functools.wraps(test)
    def run(runner, *arguments, **named):
        runner(test(*arguments, **named))

    parameters = inspect.signature(test).parameters.values()
    runner = inspect.Parameter("runner", inspect.Parameter.POSITIONAL_OR_KEYWORD)
    run.__signature__ = inspect.Signature([runner, *parameters])
    runners = pytest.mark.parametrize(
        "runner", [uvloop.run, asyncio.run], ids=["uvloop", "asyncio"]
    )
    return runners(run)


class Peak:
    """Follows the largest resident memory above the start, in MiB."""

    def __init__(self):
        self.process = psutil.Process()
        self.start = self.process.memory_info().rss
        self.mib = 0.0

    def look(self):
        self.mib = max(self.mib, (self.process.memory_info().rss - self.start) / MEBI)


class Forward:
    """A proxy in a few lines: what the gateway does with a call, without its head rules."""

    def __init__(self, upstream: Upstream, peak: Peak) -> None:
        self.upstream = upstream
        self.peak = peak

    def __call__(self, exchange) -> None:
        connection = self.upstream.take()
        assert connection is not None
        Forwarded(exchange, connection, self)


class Forwarded:
    def __init__(self, exchange, connection, owner) -> None:
        self.exchange, self.connection, self.owner = exchange, connection, owner
        exchange.receiver = self
        length = exchange.content_length or 0
        head = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % length
        connection.send(head, self, owed_bytes=length)

    def on_body(self, data):
        self.owner.peak.look()
        self.connection.write(data)
        if not self.connection.is_writable:
            self.exchange.pause_body()

    def on_upstream_writable(self):
        self.exchange.resume_body()

    def on_body_end(self):
        pass

    def on_gone(self):
        self.connection.close()

    def on_writable(self):
        self.connection.resume_reading()

    def on_answer_head(self, status, headers, content_length):
        self.exchange.start(status, [], content_length)

    def on_answer_body(self, data):
        self.owner.peak.look()
        self.exchange.write(data)
        if not self.exchange.is_writable:
            self.connection.pause_reading()

    def on_answer_end(self):
        self.exchange.finish()
        self.owner.upstream.give_back(self.connection)

    def on_answer_lost(self, exc):
        self.exchange.abort()


class SlowSink(Recorder):
    """Takes the body in spoonfuls: pauses at each piece, goes on a turn of the loop later."""

    def on_body(self, data):
        self.size = getattr(self, "size", 0) + len(data)
        self.exchange.pause_body()
        asyncio.get_running_loop().call_soon(self.exchange.resume_body)

    def on_body_end(self):
        self.exchange.respond(200, [], b"%d" % self.size)


class Source:
    """Writes an answer of SIZE bytes as fast as it is taken."""

    def __init__(self, exchange) -> None:
        self.exchange = exchange
        self.left = SIZE
        exchange.receiver = self

    def on_body(self, data):
        pass

    def on_body_end(self):
        self.exchange.start(200, content_length=SIZE)
        self.on_writable()

    def on_writable(self):
        while self.left and self.exchange.is_writable:
            self.exchange.write(b"y" * min(self.left, 100_000))
            self.left -= min(self.left, 100_000)
        if not self.left:
            self.exchange.finish()

    def on_gone(self):
        pass


async def upload(address: str, peak: Peak) -> bytes:
    """Send SIZE bytes from one small piece and return the answer's body."""
    reader, writer = await asyncio.open_unix_connection(address.removeprefix("unix:"))
    writer.write(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % SIZE)
    piece = b"x" * (MEBI // 4)
    for _ in range(SIZE // len(piece)):
        writer.write(piece)
        await writer.drain()
        peak.look()
    head = await reader.readuntil(b"\r\n\r\n")
    body = await reader.readexactly(int(head.lower().split(b"content-length: ")[1].split()[0]))
    writer.close()
    await writer.wait_closed()
    return body


@on_both_loops
async def test_100_mb_up_through_a_proxy_in_flat_memory():
    def slow(exchange):
        exchange.receiver = SlowSink(exchange)

    async with served(slow) as behind:
        upstream, peak = Upstream(behind), Peak()
        upstream.give_back(await upstream.connect())
        async with served(Forward(upstream, peak)) as front:
            assert await upload(front, peak) == b"%d" % SIZE
        upstream.close()
    assert peak.mib < 20


@on_both_loops
async def test_100_mb_down_through_a_proxy_to_a_slow_reader_in_flat_memory():
    async with served(Source) as behind:
        upstream, peak = Upstream(behind), Peak()
        upstream.give_back(await upstream.connect())
        async with served(Forward(upstream, peak)) as front:
            path = front.removeprefix("unix:")
            reader, writer = await asyncio.open_unix_connection(path, limit=MEBI)
            writer.write(b"POST / HTTP/1.1\r\nHost: a\r\n\r\n")
            await reader.readuntil(b"\r\n\r\n")
            left = SIZE
            while left:
                piece = await reader.read(min(left, 300_000))
                assert piece.strip(b"y") == b""
                left -= len(piece)
                peak.look()
                await asyncio.sleep(0)
            writer.close()
            await writer.wait_closed()
        upstream.close()
    assert peak.mib < 20


@on_both_loops
async def test_an_answer_that_nobody_reads_stops_its_writer():
    app = Recording()
    async with served(app) as address:
        reader, writer = await asyncio.open_unix_connection(address.removeprefix("unix:"), limit=1)
        writer.write(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        await until(lambda: app.seen)
        (exchange,) = app.seen
        exchange.start(200)
        written = 0
        while exchange.is_writable:
            exchange.write(b"x" * 10_000)
            written += 10_000
            assert written < 16 * MEBI
            await asyncio.sleep(0)
        while not exchange.receiver.writable:
            assert await reader.read(100_000)
        assert exchange.is_writable
        writer.close()
        await until(lambda: "gone" in app.events)


@on_both_loops
async def test_a_client_that_leaves_while_its_body_is_paused_is_seen():
    """A call that waits for a replica has its body paused: nothing is read that could tell."""
    app = Recording()
    async with served(app) as address:
        client = socket.socket(socket.AF_UNIX)
        client.connect(address.removeprefix("unix:"))
        client.setblocking(False)
        client.send(
            b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9000000\r\n\r\n" + b"x" * 70_000
        )
        await until(lambda: app.seen)
        app.seen[0].pause_body()
        client.send(b"x" * 10_000)  # unread, so that the end of the stream lies behind it
        client.close()
        await until(lambda: "gone" in app.events)


@on_both_loops
async def test_a_client_that_leaves_behind_pipelined_requests_is_seen():
    app = Recording()
    async with served(app) as address:
        _, writer = await asyncio.open_unix_connection(address.removeprefix("unix:"))
        writer.write(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n" * 3)
        await until(lambda: app.seen)
        writer.close()
        await until(lambda: "gone" in app.events)
        assert len(app.seen) == 1


@pytest.mark.parametrize("tcp", [False, True])
@on_both_loops
async def test_the_refusal_of_an_endless_body_arrives(tcp):
    """Without lingering the connection would be reset, and the answer might be lost with it."""

    def refuse(exchange):
        exchange.respond(413, [], b"too large")

    async with served(refuse, tcp=tcp, limits=Limits(linger_s=20)) as address:
        for _ in range(5):
            answer = await request(address, "POST", "/", [], bytes(20 * MEBI), timeout_s=20)
            assert (answer.status, answer.body) == (413, b"too large")
