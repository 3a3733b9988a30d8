"""Connections over tunnels that end: what was sent is lost, what was not goes on elsewhere."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from jupyter_faas.client.kube.carry import Carrier, is_whole

REQUEST = b"POST /function/f HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc"
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class FakeTunnel:
    """A tunnel whose other end answers each request at once, until it is cut."""

    def __init__(self, answer: bytes = ANSWER) -> None:
        self.sent: list[bytes] = []
        self.has_sent = asyncio.Event()
        self.is_open = True
        self._answer = answer
        self._ready: asyncio.Queue[bytes | None] = asyncio.Queue()

    async def send(self, data: bytes) -> None:
        self.sent.append(data)
        self.has_sent.set()
        if self._answer:
            self._ready.put_nowait(self._answer)

    async def receive(self) -> memoryview | None:
        data = await self._ready.get()
        return None if data is None else memoryview(data)

    def cut(self) -> None:
        self.is_open = False
        self._ready.put_nowait(None)


class Side:
    """The caller's end of a connection, and the carrier of the other one."""

    def __init__(self, caller: socket.socket, carrier: Carrier) -> None:
        self.caller, self.carrier = caller, carrier
        self.good = True

    async def says(self, data: bytes) -> None:
        await asyncio.get_running_loop().sock_sendall(self.caller, data)

    async def hears(self) -> bytes:
        return await asyncio.get_running_loop().sock_recv(self.caller, 65536)


@pytest.fixture
async def side() -> AsyncIterator[Side]:
    accepted: asyncio.Queue[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = asyncio.Queue()
    with TemporaryDirectory(prefix="faas-c-", dir="/tmp") as directory:
        path = Path(directory) / "s"
        server = await asyncio.start_unix_server(
            lambda reader, writer: accepted.put_nowait((reader, writer)), path
        )
        caller = socket.socket(socket.AF_UNIX)
        caller.setblocking(False)
        await asyncio.get_running_loop().sock_connect(caller, str(path))
        reader, writer = await accepted.get()

        async def is_good(tunnel: FakeTunnel) -> bool:
            return tunnel.is_open and made.good

        made = Side(caller, Carrier(reader, writer, is_good))  # type: ignore[arg-type]
        yield made
        caller.close()
        writer.close()
        server.close()


Start = Callable[[FakeTunnel], "asyncio.Task[bool]"]


@pytest.fixture
def start(side: Side) -> Start:
    return lambda tunnel: asyncio.ensure_future(side.carrier.carry(tunnel))  # type: ignore[arg-type]


async def test_bytes_go_both_ways_until_the_caller_leaves(side: Side, start: Start):
    tunnel = FakeTunnel()
    carrying = start(tunnel)
    for _ in range(3):
        await side.says(REQUEST)
        assert await side.hears() == ANSWER
    side.caller.close()
    assert await carrying is False
    assert tunnel.sent == [REQUEST] * 3


async def test_what_was_sent_into_a_tunnel_that_ends_is_not_sent_again(side: Side, start: Start):
    tunnel = FakeTunnel(answer=b"")
    carrying = start(tunnel)
    await side.says(REQUEST)
    await tunnel.has_sent.wait()
    tunnel.cut()
    assert await carrying is False
    assert not side.carrier.has_cut


async def test_a_request_that_an_untrusted_tunnel_did_not_get_goes_over_the_next(
    side: Side, start: Start
):
    first, second = FakeTunnel(), FakeTunnel()
    side.good = False
    carrying = start(first)
    await side.says(REQUEST)
    assert await carrying is True
    side.good = True
    carrying = start(second)
    assert await side.hears() == ANSWER
    assert (first.sent, second.sent) == ([], [REQUEST])
    side.caller.close()
    assert await carrying is False


async def test_a_request_that_crosses_with_the_end_of_its_tunnel_goes_over_the_next(
    side: Side, start: Start
):
    first, second = FakeTunnel(), FakeTunnel()
    first.cut()
    side.caller.setblocking(True)
    side.caller.sendall(REQUEST)
    side.caller.setblocking(False)
    assert await start(first) is True
    carrying = start(second)
    assert await side.hears() == ANSWER
    assert second.sent == [REQUEST]
    second.cut()
    assert await carrying is False


async def test_after_the_end_of_its_tunnel_a_caller_cannot_send(side: Side, start: Start):
    tunnel = FakeTunnel()
    carrying = start(tunnel)
    await side.says(REQUEST)
    assert await side.hears() == ANSWER
    tunnel.cut()
    assert await carrying is False
    with pytest.raises(BrokenPipeError):
        side.caller.send(REQUEST)


async def test_a_part_of_a_request_that_came_too_late_is_told_to_be_cut(side: Side):
    await side.says(REQUEST[:-1])
    await side.carrier._late_request()
    assert side.carrier.has_cut


@pytest.mark.parametrize(
    ("request_", "whole"),
    [
        (REQUEST, True),
        (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", True),
        (REQUEST[:-1], False),
        (REQUEST + b"d", False),
        (b"GET / HTTP/1.1\r\nHost: x\r\n", False),
        (b"the rest of a body\r\n\r\n", False),
        (b"", False),
    ],
)
def test_only_one_whole_request_is_whole(request_: bytes, whole: bool):
    assert is_whole(request_) is whole
