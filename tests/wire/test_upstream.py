"""The client side on the gateway's loop: sans-I/O on a fake transport, then real sockets."""

import asyncio
import socket

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jupyter_faas.wire.upstream import AnswerLost, Upstream, UpstreamConnection, request
from tests.wire.fakes import FakeTransport, Recording, served, until

OK = b"HTTP/1.1 200 OK\r\n"


class Answered:
    """A receiver that remembers."""

    def __init__(self):
        self.head = None
        self.body = bytearray()
        self.pieces = 0
        self.events = []

    def on_answer_head(self, status, headers, content_length):
        self.head = (status, headers, content_length)

    def on_answer_body(self, data):
        assert isinstance(data, bytes)
        assert data
        self.pieces += 1
        self.body += data

    def on_answer_end(self):
        self.events.append("end")

    def on_answer_lost(self, exc):
        self.events.append("lost")

    def on_upstream_writable(self):
        self.events.append("writable")


def sent(**options):
    """Return a connection on a fake transport that has sent a request, and its receiver."""
    connection, transport, receiver = UpstreamConnection(), FakeTransport(), Answered()
    connection.connection_made(transport)
    connection.send(b"head", receiver, **options)
    return connection, transport, receiver


def test_an_answer_of_known_length():
    connection, transport, receiver = sent()
    assert transport.take() == b"head"
    assert not connection.is_idle
    connection.data_received(OK + b"X-A: b\r\nContent-Length: 6\r\n\r\nabc")
    assert receiver.head == (200, [(b"x-a", b"b"), (b"content-length", b"6")], 6)
    assert receiver.events == []
    connection.data_received(b"def")
    assert (receiver.events, bytes(receiver.body)) == (["end"], b"abcdef")
    assert connection.is_idle


def test_a_chunked_answer():
    connection, _, receiver = sent()
    connection.data_received(OK + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n")
    assert receiver.head[2] is None
    assert (receiver.events, bytes(receiver.body)) == (["end"], b"abc")
    assert connection.is_idle


def test_an_answer_after_another():
    connection, _, _ = sent()
    for _ in range(3):
        connection.data_received(OK + b"Content-Length: 1000\r\n\r\n" + b"x" * 10)
        connection.data_received(b"x" * 990)
        receiver = Answered()
        connection.send(b"head", receiver)
    connection.data_received(OK + b"Content-Length: 0\r\n\r\n")
    assert receiver.events == ["end"]


def test_interim_answers_are_skipped():
    connection, _, receiver = sent()
    connection.data_received(
        b"HTTP/1.1 100 Continue\r\nX: y\r\n\r\n" + OK + b"Content-Length: 0\r\n\r\n"
    )
    assert receiver.head == (200, [(b"content-length", b"0")], 0)
    assert receiver.events == ["end"]


@pytest.mark.parametrize("head", [b"HTTP/1.1 204 No\r\n\r\n", b"HTTP/1.1 304 No\r\n\r\n"])
def test_answers_without_a_body(head):
    connection, _, receiver = sent()
    connection.data_received(head)
    assert receiver.events == ["end"]
    assert connection.is_idle


def test_the_answer_to_head_has_no_body():
    connection, transport, receiver = sent(is_head_request=True)
    connection.data_received(OK + b"Content-Length: 5\r\n\r\n")
    assert receiver.head[2] == 5
    assert receiver.events == ["end"]
    assert transport.is_closed  # the parser waits for a body that will not come


@pytest.mark.parametrize(
    "raw",
    [
        b"nonsense\r\n\r\n",
        OK + b"\r\n",  # its end could not be told from a cut
        OK + b"Transfer-Encoding: gzip\r\n\r\n",
        OK + b"Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        OK + b"Content-Length: -1\r\n\r\n",
        OK + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\n",
        OK + b"Transfer-Encoding: chunked\r\n\r\nxx\r\n",
        OK + b"X: y\r\n" * 300 + b"Content-Length: 0\r\n\r\n",
        OK + b"X y\r\n\r\n",
    ],
)
def test_what_is_not_an_answer_is_lost(raw):
    connection, transport, receiver = sent()
    connection.data_received(raw)
    assert receiver.events == ["lost"]
    assert transport.is_aborted
    connection.connection_lost(None)
    assert receiver.events == ["lost"]
    assert not connection.is_idle


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"HTT",
        OK + b"Content-Length: 6\r\n\r\nabc",
        OK + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
        OK + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n",
    ],
)
def test_a_cut_answer_never_looks_complete(raw):
    connection, _, receiver = sent()
    if raw:
        connection.data_received(raw)
    connection.connection_lost(None)
    assert receiver.events == ["lost"]


def test_bytes_after_the_answer_end_the_connection():
    connection, transport, receiver = sent()
    connection.data_received(OK + b"Content-Length: 1\r\n\r\na" + OK)
    assert (receiver.events, bytes(receiver.body)) == (["end"], b"a")
    assert not connection.is_idle
    assert transport.is_closed


def test_bytes_after_a_counted_body_end_the_connection():
    connection, transport, receiver = sent()
    connection.data_received(OK + b"Content-Length: 4\r\n\r\na")
    connection.data_received(b"bcdX")
    assert (receiver.events, bytes(receiver.body)) == (["end"], b"abcd")
    assert transport.is_closed


def test_an_answer_nobody_asked_for_ends_the_connection():
    connection, transport, _ = sent()
    connection.data_received(OK + b"Content-Length: 0\r\n\r\n")
    connection.data_received(OK)
    assert transport.is_aborted
    assert not connection.is_idle
    with pytest.raises(AnswerLost):
        connection.send(b"head", Answered())


def test_a_call_sent_at_the_end_of_another_does_not_get_its_bytes():
    class Again(Answered):
        def on_answer_end(self):
            super().on_answer_end()
            if connection.is_idle:
                connection.send(b"again", second)

    connection, transport, second = UpstreamConnection(), FakeTransport(), Answered()
    connection.connection_made(transport)
    connection.send(b"head", Again())
    connection.data_received(OK + b"Content-Length: 0\r\n\r\n" + OK + b"Content-Length: 0\r\n\r\n")
    assert second.head is None
    assert transport.is_closed


def test_connection_close_is_not_kept():
    connection, transport, receiver = sent()
    connection.data_received(OK + b"Connection: close\r\nContent-Length: 0\r\n\r\n")
    assert receiver.events == ["end"]
    assert transport.is_closed
    assert not connection.is_idle


def test_an_answer_before_the_whole_request_is_not_kept():
    connection, transport, receiver = sent(owed_bytes=10)
    connection.write(b"12345")
    connection.data_received(OK + b"Content-Length: 0\r\n\r\n")
    assert receiver.events == ["end"]
    assert transport.is_closed
    connection.write(b"12345")  # dropped
    assert transport.take() == b"head12345"


def test_a_chunked_request():
    connection, transport, _ = sent(owed_bytes=-1)
    connection.write(b"abc")
    connection.write(b"")
    connection.write(b"x" * 70_000)
    connection.write_end()
    large = b"11170\r\n" + b"x" * 70_000 + b"\r\n"
    assert transport.take() == b"head3\r\nabc\r\n" + large + b"0\r\n\r\n"
    connection.data_received(OK + b"Content-Length: 0\r\n\r\n")
    assert connection.is_idle


def test_back_pressure():
    connection, transport, receiver = sent()
    connection.pause_writing()
    assert not connection.is_writable
    connection.resume_writing()
    assert connection.is_writable
    assert receiver.events == ["writable"]
    connection.pause_reading()
    connection.pause_reading()
    assert transport.is_paused
    connection.data_received(OK + b"Content-Length: 0\r\n\r\n")
    assert not transport.is_paused  # the next call starts with a reading connection


def test_a_closed_connection_does_not_tell_its_receiver():
    connection, transport, receiver = sent()
    connection.close()
    connection.connection_lost(None)
    assert receiver.events == []
    assert transport.is_aborted


@settings(max_examples=150, deadline=None)
@given(
    st.lists(
        st.one_of(st.binary(max_size=50), st.lists(st.binary(min_size=1, max_size=9))), max_size=4
    ),
    st.lists(st.integers(0, 2000), max_size=10),
)
def test_any_cut_gives_the_same_answers(bodies, cuts):
    connection, transport = UpstreamConnection(), FakeTransport()
    connection.connection_made(transport)
    for body in bodies:
        whole = body if isinstance(body, bytes) else b"".join(body)
        if isinstance(body, bytes):
            raw = OK + b"Content-Length: %d\r\n\r\n" % len(body) + body
        else:
            chunks = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in body)
            raw = OK + b"Transfer-Encoding: chunked\r\n\r\n" + chunks + b"0\r\n\r\n"
        receiver = Answered()
        connection.send(b"", receiver)
        places = sorted({0, len(raw), *(cut % (len(raw) + 1) for cut in cuts)})
        for a, b in zip(places, places[1:]):  # noqa: B905, RUF007
            assert receiver.events == []
            connection.data_received(raw[a:b])
        assert (receiver.events, bytes(receiver.body)) == (["end"], whole)
        assert connection.is_idle


# -- real sockets


@pytest.mark.parametrize("tcp", [False, True])
async def test_request(tcp):
    app = Recording(answers=True)
    async with served(app, tcp=tcp) as address:
        answer = await request(address, "POST", "/p?q", [(b"A", b"b")], b"abc", timeout_s=20)
        assert (answer.status, answer.body) == (200, b"3")
        assert answer.header(b"content-length") == b"1"
        assert answer.header(b"nope") is None
    assert app.events == [(b"POST", b"/p?q", b"abc")]
    assert app.seen[0].header(b"a") == b"b"


async def test_request_sends_buffers_one_after_the_other():
    app = Recording(answers=True)
    async with served(app) as address:
        parts = [b"ab", memoryview(b"cd"), b"", bytearray(b"x" * 3_000_000)]
        answer = await request(address, "POST", "/", [], parts, timeout_s=20)
        assert answer.body == b"3000004"


async def test_connections_are_kept_and_taken_last_first():
    async with served(Recording(answers=True)) as address:
        upstream = Upstream(address, max_idle=2)
        assert upstream.take() is None
        first, second, third = [await upstream.connect() for _ in range(3)]
        for connection in (first, second, third):
            upstream.give_back(connection)
        assert not third.is_idle  # one too many
        assert upstream.take() is second
        upstream.give_back(second)
        await request(upstream, "GET", "/", timeout_s=20)
        assert upstream.take() is second
        assert upstream.take() is first
        upstream.close()
        upstream.give_back(first)
        assert not first.is_idle
        second.close()


async def test_a_connection_closed_while_idle_is_forgotten():
    app = Recording(answers=True)
    async with served(app) as address:
        upstream = Upstream(address)
        await request(upstream, "GET", "/", timeout_s=20)
        app.seen[0]._connection.transport.abort()
        await until(lambda: not upstream._idle)
        assert upstream.take() is None


class Short(UpstreamConnection):
    """Its other end goes as soon as it has come."""

    def connection_made(self, transport):
        super().connection_made(transport)
        transport.abort()


class ToNobody(Upstream):
    def _new(self):
        return Short(self._forget)


async def test_a_connection_that_is_gone_before_it_is_used_was_none(tmp_path):
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(f"{tmp_path}/s")
        listening.listen()
        with pytest.raises(ConnectionResetError, match="as soon as it was made"):
            await ToNobody(f"unix:{tmp_path}/s").connect()


async def test_nobody_listens(tmp_path):
    with pytest.raises(OSError):
        await request(f"unix:{tmp_path}/nobody", "GET", "/", timeout_s=20)


async def test_request_times_out_and_the_server_sees_its_client_leave(monkeypatch):
    app = Recording()
    loop = asyncio.get_running_loop()
    async with served(app) as address:
        asked = asyncio.create_task(request(address, "GET", "/", timeout_s=60.0))
        await until(lambda: app.seen)
        time = loop.time
        monkeypatch.setattr(loop, "time", lambda: time() + 60.0)
        with pytest.raises(TimeoutError):
            await asked
        await until(lambda: "gone" in app.events)


async def test_request_says_that_the_answer_was_cut():
    def app(exchange):
        exchange.start(200)
        exchange.write(b"abc")
        asyncio.get_running_loop().call_soon(exchange.abort)

    async with served(app) as address:
        with pytest.raises(AnswerLost):
            await request(address, "GET", "/", timeout_s=20)
