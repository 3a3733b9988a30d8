"""The front's side of a worker that is ended, without processes: what comes in which order."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec

from jupyter_faas.core.specialisation import Specialisation
from jupyter_faas.runner.app import App
from jupyter_faas.runner.channel import WorkerEnd
from jupyter_faas.runner.replica import LOADING, READY, FrontReplica
from jupyter_faas.wire.frames import Frame, FrameKind
from tests.wire.fakes import FakeTransport, connect

SECRET = "s" * 32


class Link:
    """A worker that says nothing by itself."""

    pid = 7

    def __init__(self) -> None:
        self.sent = 0
        self.is_killed = False

    def send(self, buffers: list[Any], fds: tuple[int, ...] = ()) -> None:
        self.sent += 1

    def kill(self) -> None:
        self.is_killed = True

    def crash_dump(self) -> bytes:
        return b""

    def resume(self) -> None: ...

    interrupt = drain = close = resume


class Serving:
    """A replica that is ready, and its worker."""

    def __init__(self, **settings: Any) -> None:
        self.asked = 0
        self.link = Link()
        self.replica = FrontReplica(
            asyncio.get_running_loop(), self._ask, lambda *_: None, lambda: None
        )
        self.replica.spec = Specialisation(
            function="f", namespace="d", revision=1, revision_id="r1", replica="x",
            secret=SECRET, package_digest="", **settings,
        )  # fmt: skip
        self.replica._worker.link = self.link  # type: ignore[assignment]  # a stand-in
        self.replica._worker.is_loaded = True
        self.replica.state = READY
        self.app = App(self.replica)
        self.app._secret = SECRET.encode()

    def _ask(self) -> None:
        self.asked += 1

    def call(self, name: str) -> FakeTransport:
        protocol, transport = connect(self.app.on_head)
        head = f"POST /v1/call HTTP/1.1\r\nHost: a\r\nFaas-Secret: {SECRET}\r\n"
        head += f"Faas-Revision-Id: r1\r\nFaas-Invocation-Id: {name}\r\n"
        protocol.data_received(f"{head}Content-Length: 2\r\n\r\n[]".encode())
        return transport


async def test_a_worker_that_is_killed_takes_no_call_though_its_last_one_has_just_ended() -> None:
    serving = Serving()
    replica = serving.replica
    first = serving.call("first")
    (running,) = replica.calls.values()
    replica.cancel("first")
    replica.overdue(running)
    assert serving.link.is_killed
    end = msgspec.msgpack.encode(WorkerEnd(1.0))
    replica.on_frame(Frame(FrameKind.END, end, running.tag))
    assert b'"cancelled"' in first.take()
    assert replica.state == LOADING
    before = serving.link.sent
    second = serving.call("second")
    assert second.take().startswith(b"HTTP/1.1 503 ")
    assert serving.link.sent == before
    replica.on_worker_gone(serving.link.pid, 9)
    assert serving.asked == 1


async def test_a_call_whose_arguments_arrive_after_its_worker_was_killed_has_the_next_one() -> None:
    serving = Serving(max_inputs=2)
    replica = serving.replica
    first = serving.call("first")
    (running,) = replica.calls.values()
    protocol, _ = connect(serving.app.on_head)
    head = f"POST /v1/call HTTP/1.1\r\nHost: a\r\nFaas-Secret: {SECRET}\r\n"
    head += "Faas-Revision-Id: r1\r\nFaas-Invocation-Id: late\r\nContent-Length: 2\r\n\r\n"
    protocol.data_received(head.encode())
    replica.cancel("first")
    replica.overdue(running)
    assert serving.link.is_killed
    before = serving.link.sent
    protocol.data_received(b"[]")
    assert serving.link.sent == before
    replica.on_worker_gone(serving.link.pid, 9)
    assert b'"cancelled"' in first.take()
    assert [call.head.id for call in replica.calls.values()] == ["late"]
    replica._worker.link = again = Link()  # type: ignore[assignment]  # a stand-in
    replica._worker.is_loaded, replica._worker._was_killed = True, False
    replica.on_ready()
    assert again.sent == 1
