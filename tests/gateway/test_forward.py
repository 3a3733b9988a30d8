"""A forwarded request byte by byte: framing, back-pressure, what is sent again and what is not."""

from __future__ import annotations

import asyncio

import msgspec
import pytest

from jupyter_faas.gateway import forward, forwarding, peer_link
from jupyter_faas.wire.connection import AnswerLost
from tests.gateway.cluster import Clock
from tests.gateway.conftest import TOKEN, problem, until
from tests.gateway.several import PEER_TOKEN, group
from tests.gateway.test_several import deployed


class Raw:
    """One connection, byte by byte."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    @classmethod
    async def to(cls, bench) -> Raw:
        return cls(*await asyncio.open_connection("127.0.0.1", bench.service.listeners.port))

    def say(self, text: str, body: bytes = b"") -> None:
        lines = "\r\n".join(line.strip() for line in text.strip().splitlines())
        self.writer.write(lines.encode() + b"\r\n\r\n" + body)

    async def head(self) -> tuple[int, dict[str, str]]:
        head = (await self.reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        pairs = (line.partition(": ") for line in head[1:] if line)
        return int(head[0].split()[1]), {name.lower(): value for name, _, value in pairs}

    async def answer(self) -> tuple[int, dict[str, str], bytes]:
        status, headers = await self.head()
        return status, headers, await self.reader.readexactly(int(headers["content-length"]))

    async def close(self) -> None:
        self.writer.close()
        await asyncio.gather(self.writer.wait_closed(), return_exceptions=True)


HEAD = f"Host: x\r\nAuthorization: Bearer {TOKEN}"


async def test_chunks_of_a_small_body_are_joined_and_those_of_a_large_one_pass():
    async with group("a", "b") as gateways:
        name = await deployed(gateways, "b")
        raw = await Raw.to(gateways.benches["a"])
        raw.say(f"POST /function/{name} HTTP/1.1\n{HEAD}\nTransfer-Encoding: chunked")
        raw.writer.write(b"2\r\n[1\r\n1\r\n]\r\n0\r\n\r\n")
        assert (await raw.answer())[2] == b"[1]"
        (small,) = await gateways.benches["b"].calls(1)
        assert small.headers[b"content-length"] == b"3"
        raw.say(f"POST /function/{name} HTTP/1.1\n{HEAD}\nTransfer-Encoding: chunked")
        piece = bytes(50_000)
        for _ in range(20):
            raw.writer.write(b"%x\r\n%b\r\n" % (len(piece), piece))
            await raw.writer.drain()
        raw.writer.write(b"0\r\n\r\n")
        status, headers = await raw.head()
        assert status == 200
        assert len(await raw.reader.readexactly(int(headers["content-length"]))) == 1_000_000
        await raw.close()


async def test_who_waits_to_be_asked_for_its_body_is_asked():
    async with group("a", "b") as gateways:
        name = await deployed(gateways, "b")
        raw = await Raw.to(gateways.benches["a"])
        size = 300_000
        raw.say(
            f"POST /function/{name} HTTP/1.1\n{HEAD}\nContent-Length: {size}\nExpect: 100-continue"
        )
        assert (await raw.head())[0] == 100
        raw.writer.write(bytes(size))
        status, _, body = await raw.answer()
        assert (status, len(body)) == (200, size)
        # One that is refused from its head is not asked for it.
        raw.say(
            f"""POST /function/{name} HTTP/1.1
            Host: x
            Authorization: Bearer wrong
            Content-Length: {size}
            Expect: 100-continue"""
        )
        assert (await raw.head())[0] == 401
        await raw.close()


async def test_a_gateway_that_goes_away_in_the_middle_of_a_body_has_run_nothing():
    async with group("a", "b") as gateways:
        name = await deployed(gateways, "b")
        raw = await Raw.to(gateways.benches["a"])
        raw.say(f"POST /function/{name} HTTP/1.1\n{HEAD}\nContent-Length: 10000000", bytes(400_000))
        b = gateways.benches["b"]
        await until(lambda: b.service.calls.active, "it is on its way")
        await until(b.all_calls, "the front has its head")
        await gateways.kill("b")
        status, headers, body = await raw.answer()
        assert status == 503
        assert headers["retry-after"]
        assert msgspec.json.decode(body)["code"] == "gateway_unavailable"
        await raw.close()


async def test_a_large_body_that_a_leaving_gateway_refuses_goes_to_the_next_owner():
    async with group("a", "b") as gateways:
        a, b = gateways.benches["a"], gateways.benches["b"]
        name = await deployed(gateways, "b")
        b.service.door.is_leaving = True
        # b would pass it on to a, which does not know yet: it refuses, and a has it then.
        b.service.several.peers.leave()
        body = bytes(5_000_000)
        answer = await a.call(name, body)
        assert answer.status == 200
        assert answer.body == body
        assert a.ledger()["done"] == 1
        assert b.ledger()["accepted"] == 0
        b.service.door.is_leaving = False


async def test_a_streamed_answer_comes_as_it_is_made_and_a_cut_one_never_looks_complete():
    async with group("a", "b") as gateways:
        a, b = gateways.benches["a"], gateways.benches["b"]
        name = await deployed(gateways, "b")

        def begin(call):
            call.exchange.start(200, [(b"Faas-Running", b"1")])
            call.exchange.write(b"1\n")

        front = b.fronts(b.entry(name))[0]
        front.on_call = begin
        raw = await Raw.to(a)
        raw.say(f"POST /function/{name} HTTP/1.1\n{HEAD}\nContent-Length: 1", b"1")
        status, headers = await raw.head()
        assert status == 200
        assert headers["transfer-encoding"] == "chunked"
        assert await raw.reader.readexactly(7) == b"2\r\n1\n\r\n"
        (call,) = await b.calls(1)
        call.exchange.write(b"2\n")
        assert await raw.reader.readexactly(7) == b"2\r\n2\n\r\n"
        await gateways.kill("b")
        with pytest.raises((asyncio.IncompleteReadError, ConnectionError)):
            await raw.reader.readexactly(5)  # no last chunk
        assert a.service.several.forwarder.lost == 1
        await raw.close()


async def test_a_caller_that_reads_slowly_holds_back_the_owner():
    async with group("a", "b") as gateways:
        a, b = gateways.benches["a"], gateways.benches["b"]
        name = await deployed(gateways, "b")
        size = 64 << 20
        b.fronts(b.entry(name))[0].on_call = lambda call: call.answer(bytes(size))
        raw = await Raw.to(a)
        raw.writer.transport.pause_reading()
        raw.say(f"POST /function/{name} HTTP/1.1\n{HEAD}\nContent-Length: 1", b"1")
        (passing,) = await until(lambda: a.service.several.forwarder.active, "on its way")
        await until(lambda: not passing.exchange.is_writable, "the caller's side is full")
        transport = passing.exchange._connection.transport
        await asyncio.sleep(0.1)
        assert transport.get_write_buffer_size() < 4 << 20
        raw.writer.transport.resume_reading()
        _, _, body = await raw.answer()
        assert len(body) == size
        await raw.close()


async def test_heads_and_refused_methods_have_the_framing_they_should():
    async with group("a", "b") as gateways:
        name = await deployed(gateways, "b")
        raw = await Raw.to(gateways.benches["a"])
        raw.say(f"HEAD /function/{name} HTTP/1.1\n{HEAD}")
        assert (await raw.head())[0] == 405
        raw.say(f"POST /function/{name} HTTP/1.1\n{HEAD}\nContent-Length: 0")
        assert (await raw.answer())[::2] == (200, b"null")
        await raw.close()


async def test_hop_by_hop_headers_end_here_and_the_rest_goes_along():
    async with group("a", "b") as gateways:
        name = await deployed(gateways, "b")
        b = gateways.benches["b"]
        heads = []
        inner = b.service.door
        calls = inner._calls

        def watch(exchange, namespace, function):
            heads.append(dict(exchange.headers))
            calls(exchange, namespace, function)

        inner._calls = watch
        raw = await Raw.to(gateways.benches["a"])
        raw.say(
            f"""POST /function/{name} HTTP/1.1
            {HEAD}
            Connection: keep-alive, X-Own
            X-Own: 1
            X-Theirs: 2
            TE: trailers
            Content-Length: 1""",
            b"1",
        )
        assert (await raw.answer())[0] == 200
        inner._calls = calls
        (head,) = heads
        assert b"x-own" not in head
        assert b"te" not in head
        assert head[b"x-theirs"] == b"2"
        assert head[b"host"] == b"x"
        assert head[b"faas-forwarded"] == b"1"
        assert head[b"faas-peer-token"] == PEER_TOKEN.encode()
        await raw.close()


async def test_logs_are_followed_at_the_owner_until_it_changes():
    async with group("a", "b") as gateways:
        a, b = gateways.benches["a"], gateways.benches["b"]
        name = await deployed(gateways, "b")
        raw = await Raw.to(a)
        raw.say(f"GET /v1/functions/{name}/logs?follow=1 HTTP/1.1\n{HEAD}")
        assert (await raw.head())[0] == 200
        b.fronts(b.entry(name))[0].log("", b"hello\n")
        assert b"hello" in await raw.reader.readuntil(b"hello")
        b.service.several.peers.leave()
        rest = await asyncio.wait_for(raw.reader.readuntil(b"0\r\n\r\n"), 20)
        assert rest.endswith(b"0\r\n\r\n")
        await raw.close()


async def test_a_gateway_that_hangs_is_given_up(monkeypatch):
    clock, reader = Clock(), peer_link._Reader
    monkeypatch.setattr(peer_link, "_Reader", lambda tell, _clock: reader(tell, clock))
    async with group("a", "b") as gateways:
        a, b = gateways.benches["a"], gateways.benches["b"]
        name = await deployed(gateways, "b")
        b.fronts(b.entry(name))[0].on_call = lambda call: None
        asked = a.calling(name)
        await b.calls(1)
        b.service.several.door._is_open = False
        b.service.several.door._events.wait = never
        clock.ahead_s = peer_link.SILENCE_S
        answer = await asked
        assert problem(answer)["code"] == "gateway_lost"
        assert (await a.call(name)).status == 200
        del b.service.several.door._events.wait


async def never(*_: object) -> bool:
    await asyncio.Event().wait()
    return False


async def test_what_a_peer_says_is_not_believed_blindly():
    async with group("a", "b") as gateways:
        a, b = gateways.benches["a"], gateways.benches["b"]
        peer = next(iter(a.service.several.peers._peers.values()))
        reader = peer_link._Reader(lambda _event: 1 / 0, a.service.clock)
        reader.on_answer_head(200, [], None)
        with pytest.raises(ZeroDivisionError):  # a defect of ours is no word of the peer's
            reader.on_answer_body(b"event: x\ndata: {}\n\n")
        links = a.service.several.links
        reader = peer_link._Reader(lambda event: links._take(peer, event), a.service.clock)
        reader.on_answer_body(b"event: replica\ndata: not json\n\n")
        with pytest.raises(ValueError, match="cannot be read"):
            await reader.ended(1.0)
        reader = peer_link._Reader(lambda event: links._take(peer, event), a.service.clock)
        reader.on_answer_body(
            b'event: hello\ndata: {"id": "z", "prefix": "q", "isLeaving": false}\n\n'
        )
        with pytest.raises(ValueError, match="is z"):
            await reader.ended(1.0)
        reader = peer_link._Reader(print, a.service.clock)
        reader.on_answer_head(503, [], 0)
        with pytest.raises(AnswerLost):
            await reader.ended(1.0)
        assert b.service.several.door._token == PEER_TOKEN.encode()


async def test_a_deadline_that_is_none_or_passes_on_the_way_is_told(monkeypatch):
    async with group("a", "b") as gateways:
        a = gateways.benches["a"]
        name = await deployed(gateways, "b")
        wrong = await a.call(name, b"1", {"Faas-Deadline-Ms": "soon"})
        assert problem(wrong)["code"] == "bad_request"
        peer = a.service.several.peers.owner_of(("default", name))
        peer.upstream.close()  # no idle connection
        slow = Slow(peer.upstream)
        monkeypatch.setattr(type(peer), "upstream", slow, raising=False)
        late = a.calling(name, b"1", {"Faas-Deadline-Ms": "20"})
        await until(lambda: slow.asked, "on its way")
        asyncio.get_running_loop().call_later(0.03, slow.may_connect.set)
        assert problem(await late)["code"] == "timeout"


class Slow:
    """Connections that are made when the test lets them."""

    def __init__(self, upstream) -> None:
        self.upstream = upstream
        self.may_connect = asyncio.Event()
        self.asked = self.given_back = 0

    def take(self):
        return None

    async def connect(self):
        self.asked += 1
        await self.may_connect.wait()
        return await self.upstream.connect()

    def give_back(self, connection) -> None:
        self.given_back += 1
        connection.close()

    def close(self) -> None:
        self.upstream.close()


async def test_a_peer_that_cannot_be_reached_in_time_has_run_nothing(monkeypatch):
    async with group("a", "b") as gateways:
        a = gateways.benches["a"]
        name = await deployed(gateways, "b")
        peer = a.service.several.peers.owner_of(("default", name))
        slow = Slow(peer.upstream)
        monkeypatch.setattr(type(peer), "upstream", slow, raising=False)
        monkeypatch.setattr(forward, "CONNECT_S", 0.02)
        answer = await a.call(name)
        assert problem(answer)["code"] == "gateway_unavailable"
        assert answer.status == 503
        # A caller that leaves while it is connected to is forgotten.
        monkeypatch.setattr(forward, "CONNECT_S", 20.0)
        asked = a.calling(name)
        await until(lambda: a.service.several.forwarder.active, "on its way")
        asked.cancel()
        await until(lambda: not a.service.several.forwarder.active, "forgotten")
        slow.may_connect.set()
        await until(lambda: slow.given_back == 1, "what it does not need is not its own")


async def test_a_body_that_stops_coming_is_given_up(monkeypatch):
    monkeypatch.setattr(forwarding, "BODY_PAUSE_S", 0.05)
    monkeypatch.setattr(forward, "CHECK_S", 0.02)
    async with group("a", "b") as gateways:
        name = await deployed(gateways, "b")
        raw = await Raw.to(gateways.benches["a"])
        raw.say(f"POST /function/{name} HTTP/1.1\n{HEAD}\nContent-Length: 10", b"12345")
        status, _, body = await raw.answer()
        assert status == 408
        assert msgspec.json.decode(body)["code"] == "bad_request"
        await raw.close()


async def test_an_owner_that_does_not_keep_the_deadline_is_not_waited_for(monkeypatch):
    monkeypatch.setattr(forwarding, "LATE_S", 0.0)
    monkeypatch.setattr(forward, "CHECK_S", 0.02)
    async with group("a", "b") as gateways:
        a, b = gateways.benches["a"], gateways.benches["b"]
        name = await deployed(gateways, "b")
        b.fronts(b.entry(name))[0].on_call = lambda call: None
        monkeypatch.setattr(b.service.calls, "_check", lambda: None)
        answer = await a.call(name, b"1", {"Faas-Deadline-Ms": "100"})
        assert problem(answer)["code"] == "timeout"


async def test_who_talks_to_a_leaving_gateway_is_answered_and_told_to_go():
    async with group("a", "b", leave_quiet_s=0.01) as gateways:
        a, b = gateways.benches["a"], gateways.benches["b"]
        name = await deployed(gateways, "b")
        quiet, may_be_quiet = b.service.several._quiet, asyncio.Event()

        async def quiet_at_last(quiet_s: float) -> None:
            await may_be_quiet.wait()
            await quiet(quiet_s)

        b.service.several._quiet = quiet_at_last
        kept, idle = await Raw.to(b), await Raw.to(b)
        request = f"POST /function/{name} HTTP/1.1\n{HEAD}\nContent-Length: 1"
        for _ in range(3):
            kept.say(request, b"1")
            assert "connection" not in (await kept.answer())[1]
        leaving = asyncio.ensure_future(gateways.stop("b"))
        await until(lambda: b.service.door.is_leaving, "it leaves")
        fresh = await Raw.to(b)
        for raw in (kept, fresh):
            raw.say(request, b"2")
            status, headers, body = await raw.answer()
            assert (status, body) == (200, b"2")
            assert headers["connection"] == "close"
            assert headers["faas-invocation-id"].startswith(a.service.ids.prefix)
            assert await raw.reader.read() == b""
        assert not idle.reader.at_eof()  # its next request would have been answered
        fresh.say("GET /readyz HTTP/1.1\nHost: x")
        may_be_quiet.set()
        await leaving
        assert await idle.reader.read() == b""
        for raw in (kept, fresh, idle):
            await raw.close()
