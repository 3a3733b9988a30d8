"""A known head means what it meant; everything else is parsed as ever."""

from __future__ import annotations

import asyncio

import pytest

from jupyter_faas.core.model import Scaling
from jupyter_faas.gateway.repeats import RepeatedExchange, RepeatingServer
from jupyter_faas.wire.exchange import Exchange
from tests.gateway.conftest import TOKEN, until
from tests.gateway.test_invocation import Client

HEAD = (
    b"POST /a?b=c HTTP/1.1\r\nHost: x\r\nContent-Type: text/plain\r\nContent-Length: 3\r\n"
    b"X-Odd:  spaced \r\n\r\n"
)


class Transport:
    """What a protocol needs of a transport, and what was written."""

    def __init__(self):
        self.written = b""
        self.is_closed = False

    def write(self, data):
        self.written += data

    def set_write_buffer_limits(self, **_limits):
        pass

    def get_extra_info(self, _name, default=None):
        return default

    def is_closing(self):
        return self.is_closed

    def close(self):
        self.is_closed = True

    abort = close

    def can_write_eof(self):
        return False


class App:
    """Records exchanges, parsed or repeated, with their bodies."""

    def __init__(self, *, takes=True):
        self.takes = takes
        self.parsed = []
        self.repeated = []
        self.server = RepeatingServer(self.on_head, self.take)
        self.transport = Transport()
        self.server.connection_made(self.transport)

    def on_head(self, exchange):
        self.parsed.append(exchange)
        app = self

        class Receiver:
            body = b""

            def on_body(self, data):
                self.body += data

            def on_body_end(self):
                exchange.respond(200, [], self.body)

            def on_gone(self):
                app.parsed.append("gone")

        exchange.receiver = Receiver()

    def take(self, exchange, known, body):
        if self.takes:
            self.repeated.append((exchange, known, body))
            exchange.respond(200, [], body)
        return self.takes

    def answers(self):
        parts = self.transport.written.split(b"HTTP/1.1 ")[1:]
        return [(part[:3], part.split(b"\r\n\r\n", 1)[1]) for part in parts]


@pytest.fixture
async def app():
    made = App()
    yield made
    made.server.connection_lost(None)


async def test_the_second_time_is_known_and_means_the_same(app):
    app.server.data_received(HEAD + b"one")
    app.server.data_received(HEAD + b"two")
    (parsed,), ((repeated, _, body),) = app.parsed, app.repeated
    assert body == b"two"
    own = {"_connection", "_state", "receiver", "held", "is_body_complete"}
    for name in set(Exchange.__slots__) - own:
        assert getattr(repeated, name) == getattr(parsed, name), name
    assert set(RepeatedExchange.__slots__) == set()
    assert app.answers() == [(b"200", b"one"), (b"200", b"two")]


async def test_what_the_app_does_not_take_is_parsed(app):
    app.takes = False
    for _ in range(3):
        app.server.data_received(HEAD + b"one")
    assert len(app.parsed) == 3
    assert app.answers() == [(b"200", b"one")] * 3


@pytest.mark.parametrize(
    "data",
    [
        HEAD.replace(b"/a", b"/b") + b"one",
        HEAD.replace(b"Length: 3", b"Length: 4") + b"four",
        HEAD.replace(b"Host", b"HOST") + b"one",
        HEAD.replace(b"Content-Length: 3", b"Transfer-Encoding: chunked")
        + b"3\r\none\r\n0\r\n\r\n",
    ],
)
async def test_another_head_is_parsed(app, data):
    app.server.data_received(HEAD + b"one")
    app.server.data_received(data)
    assert len(app.parsed) == 2
    assert not app.repeated


async def test_a_request_in_pieces_is_parsed(app):
    app.server.data_received(HEAD + b"one")
    for piece in (HEAD[:10], HEAD[10:], b"tw", b"o"):
        app.server.data_received(piece)
    app.server.data_received(HEAD + b"six")
    assert app.answers() == [(b"200", b"one"), (b"200", b"two"), (b"200", b"six")]


async def test_pipelined_requests_are_parsed(app):
    app.server.data_received(HEAD + b"one")
    app.server.data_received(HEAD + b"two" + HEAD + b"six")
    assert app.answers() == [(b"200", b"one"), (b"200", b"two"), (b"200", b"six")]
    assert not app.repeated


async def test_a_body_that_looks_like_the_end_of_a_head_is_a_body(app):
    head = HEAD.replace(b"Length: 3", b"Length: 4")
    app.server.data_received(head + b"\r\n\r\n")
    app.server.data_received(head + b"\r\n\r\n")
    assert app.answers() == [(b"200", b"\r\n\r\n")] * 2


async def test_what_follows_a_refusal_is_not_heard(app):
    app.server.data_received(HEAD + b"one")
    app.server.data_received(b"GET x HTTP/1.1\r\n\r\n")
    app.server.data_received(HEAD + b"two")
    assert [status for status, _ in app.answers()] == [b"200", b"400"]


async def test_a_connection_that_retires_closes_after_a_repeated_request(app):
    app.server.data_received(HEAD + b"one")
    app.server.retire()
    app.server.data_received(HEAD + b"two")
    assert app.answers() == [(b"200", b"one")]


async def test_an_app_that_fails_on_a_repeated_request_is_a_500(app):
    app.server.data_received(HEAD + b"one")

    def fails(*_arguments):
        raise RuntimeError("no")

    app.server._take = fails
    app.server.data_received(HEAD + b"two")
    assert [status for status, _ in app.answers()] == [b"200", b"500"]


# -- over the whole gateway ---------------------------------------------------------------------


async def repeat(client, body=b"1"):
    client.head(f"Content-Length: {len(body)}")
    client.writer.write(body)
    await client.writer.drain()
    return await client.answer()


async def test_repeated_calls_reach_new_code_and_see_a_deletion(bench):
    await bench.ready()
    async with Client(bench) as client:
        for _ in range(4):
            assert "Faas-Revision: 1" in (await repeat(client))[1]
        second = await bench.deploy()
        await until(lambda: second.is_live)
        for _ in range(4):
            assert "Faas-Revision: 2" in (await repeat(client))[1]
        await bench.service.registry.delete("default", "f")
        assert (await repeat(client))[0] == 404


async def test_repeated_calls_have_their_own_ids_and_times(bench):
    front = await bench.ready()
    async with Client(bench) as client:
        heads = [(await repeat(client))[1] for _ in range(6)]
    ids = {call.id for call in front.calls}
    assert len(ids) == 6
    assert all(sum(one in head for one in ids) == 1 for head in heads)
    assert all("Faas-Run-Ms: 1.5" in head or "faas-run-ms: 1.5" in head for head in heads)
    assert len(await bench.records(6)) == 6


async def test_answers_may_change_from_one_call_to_the_next(bench):
    front = await bench.ready()
    kinds = [
        (200, b"one", ()),
        (200, b"three", ()),
        (500, b"{}", ((b"Faas-Fault", b"user"),)),
        (200, b"", ()),
        (200, b"x" * 70_000, ()),
        (200, b"one", ((b"X-More", b"1"),)),
    ]
    async with Client(bench) as client:
        for status, body, headers in [kind for kind in kinds for _ in range(4)]:
            front.on_call = lambda call: call.exchange.respond(
                status,  # noqa: B023
                [(b"Content-Type", b"text/plain"), *headers, (b"Faas-Run-Ms", b"2.250")],  # noqa: B023
                body,  # noqa: B023
            )
            answer = await repeat(client)
            assert (answer[0], answer[2]) == (status, body)
            assert ("x-more" in answer[1]) == (headers[:1] == ((b"X-More", b"1"),))
            assert ("user" in answer[1]) == (status == 500)
    records = await bench.records(24)
    assert sum(record.outcome == "error" for record in records) == 4
    assert {record.run_ms for record in records} == {2.25}


async def test_a_repeated_call_waits_its_turn(bench):
    front = await bench.ready(scaling=Scaling(max_containers=1))
    async with Client(bench) as client:
        for _ in range(3):
            await repeat(client)
        front.on_call = lambda call: None
        running = bench.calling()
        await bench.calls(4)
        waiting = asyncio.ensure_future(repeat(client))
        await until(lambda: bench.ledger()["queued"] == 1)
        front.on_call = lambda call: call.answer()
        front.calls[-1].answer()
        assert (await waiting)[0] == 200
        await running


async def test_a_wrong_token_stays_wrong(bench):
    await bench.ready()
    async with Client(bench) as client:
        for _ in range(4):
            client.writer.write(
                b"POST /function/f HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %b\r\n"
                b"Content-Length: 1\r\n\r\n1" % TOKEN[:-1].encode()
            )
            assert (await client.answer())[0] == 401
