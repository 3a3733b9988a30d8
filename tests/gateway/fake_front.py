"""A front on the real wire that does what its test says and records what it got."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path

import msgspec

from jupyter_faas.core.errors import EnvironmentMismatch, FaasError, ProviderError
from jupyter_faas.core.model import PROTOCOL_VERSION, Revision, RevisionSpec
from jupyter_faas.core.specialisation import CallEnd, Hello, Specialisation
from jupyter_faas.providers.base import (
    Inventory,
    ReplicaEvent,
    ReplicaFound,
    ReplicaGone,
    ReplicaStarted,
)
from jupyter_faas.wire.exchange import Exchange
from jupyter_faas.wire.frames import Frame, FrameKind, encode
from jupyter_faas.wire.problems import problem_answer
from jupyter_faas.wire.server import HttpServerProtocol


def kill_server(server: asyncio.Server, connections: set[HttpServerProtocol]) -> None:
    """Close a listener and its connections, as the end of its process does.

    One that is being accepted is waited for: asyncio loses the socket of a connection whose
    listener is closed between `accept` and the making of its transport.
    """
    loop = server.get_loop()
    for listener in server.sockets:
        loop.remove_reader(listener.fileno())

    def abort() -> None:
        for connection in tuple(connections):
            connection.transport.abort()

    abort()
    loop.call_soon(server.close)
    loop.call_soon(loop.call_soon, abort)  # those whose `connection_made` comes before it


class Call:
    """A call that has reached the front; the test decides how it goes on."""

    def __init__(self, front: FakeFront, exchange: Exchange) -> None:
        self.front = front
        self.exchange = exchange
        self.headers = dict(exchange.headers)
        self.id = self.headers[b"faas-invocation-id"].decode()
        self.body = b""
        self.is_whole = False
        self.is_gone = False
        self.is_ended = False

    def answer(self, body: bytes = b"1", status: int = 200, *headers: tuple[bytes, bytes]) -> None:
        """Answer in one piece; the code has ended."""
        self.is_ended = True
        self.exchange.respond(status, [(b"Faas-Run-Ms", b"1.5"), *headers], body)

    def on_body(self, data: bytes) -> None:
        self.body += data
        self.front.on_piece(self)

    def on_body_end(self) -> None:
        self.is_whole = True
        self.front.on_call(self)

    def on_gone(self) -> None:
        self.is_gone = True
        if not self.is_ended and self.front.ends_cancelled:
            self.front.ended(self.id, outcome="cancelled")

    def on_writable(self) -> None:
        pass


class FakeFront:
    """One replica's front."""

    def __init__(self, replica_id: str, socket: Path) -> None:
        self.replica_id = replica_id
        self.socket = socket
        self.told: Specialisation | None = None
        self.calls: list[Call] = []
        self.heads: list[Exchange] = []
        self.refusals = 0
        self.limit: int | None = None
        """Calls at a time; one more is refused as busy. None: it is not looked at."""
        self.ends_cancelled = True
        self.is_hung = False
        self.pulses = 0
        self.load_error: FaasError | None = None
        self.protocol = PROTOCOL_VERSION
        self.loads: asyncio.Event | None = None
        self.on_call: Callable[[Call], None] = lambda call: call.answer(call.body or b"null")
        self.on_piece: Callable[[Call], None] = lambda call: None
        self._watchers: list[Exchange] = []
        self._connections: set[HttpServerProtocol] = set()
        self._server: asyncio.Server | None = None

    async def listen(self) -> None:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_unix_server(
            lambda: HttpServerProtocol(self._on_head, connections=self._connections),
            str(self.socket),
        )

    def die(self) -> None:
        """End as a killed process does."""
        if self._server is not None:
            kill_server(self._server, self._connections)
        self.socket.unlink(missing_ok=True)

    def say(self, frame: Frame) -> None:
        """Put a frame on the watch stream."""
        for watcher in self._watchers:
            watcher.write(encode(frame))

    def ended(self, invocation_id: str, **fields: object) -> None:
        """Say that the code of a call has ended."""
        end = CallEnd(id=invocation_id, **fields)
        self.say(Frame(FrameKind.ENDED, msgspec.msgpack.encode(end)))

    def log(self, invocation_id: str, text: bytes, stream: int = 1) -> None:
        """Print."""
        name = invocation_id.encode()
        self.say(Frame(FrameKind.LOG, bytes([len(name)]) + name + text, stream=stream))

    def _on_head(self, exchange: Exchange) -> None:
        self.heads.append(exchange)
        path = exchange.path
        if path == b"/v1/specialise":
            exchange.receiver = _Specialising(self, exchange)
        elif path == b"/v1/runner":
            self._feel(exchange)
        elif self.told is None or exchange.header(b"faas-secret") != self.told.secret.encode():
            exchange.respond(401)
        elif path == b"/v1/watch":
            exchange.start(200)
            self._watchers.append(exchange)
        elif self.refusals or (self.limit is not None and self.running() >= self.limit):
            self.refusals = max(0, self.refusals - 1)
            exchange.respond(503, [(b"Faas-Busy", b"1")], b"{}")
        else:
            call = Call(self, exchange)
            self.calls.append(call)
            exchange.receiver = call

    def running(self) -> int:
        return sum(not (one.is_ended or one.is_gone) for one in self.calls)

    def _feel(self, exchange: Exchange) -> None:
        self.pulses += 1
        if not self.is_hung:
            exchange.respond(200, (), msgspec.json.encode(self.hello(exchange)))

    def hello(self, exchange: Exchange) -> Hello:
        """What it says of itself: all to who knows its secret."""
        told = self.told
        state = "generic" if told is None else "ready"
        said = Hello(protocol=self.protocol, version="0", python="3.11.0", state=state)
        if told is None or exchange.header(b"faas-secret") != told.secret.encode():
            return said
        return msgspec.structs.replace(said, replica=told.replica, revision_id=told.revision_id)


class _Specialising:
    def __init__(self, front: FakeFront, exchange: Exchange) -> None:
        self.front = front
        self.exchange = exchange
        self.body = b""
        self.task: asyncio.Task[None] | None = None

    def on_body(self, data: bytes) -> None:
        self.body += data

    def on_body_end(self) -> None:
        self.task = asyncio.ensure_future(self._load())

    def on_gone(self) -> None:
        pass

    def on_writable(self) -> None:
        pass

    async def _load(self) -> None:
        front = self.front
        size = int.from_bytes(self.body[:4], "little")
        told = msgspec.msgpack.decode(self.body[4 : 4 + size], type=Specialisation)
        if front.loads is not None:
            await front.loads.wait()
        if front.load_error is not None:
            self.exchange.respond(*problem_answer(front.load_error))
            return
        front.told = told
        hello = Hello(
            protocol=front.protocol,
            version="0",
            python="3.11.0",
            state="ready",
            replica=told.replica,
        )
        self.exchange.respond(200, [], msgspec.json.encode(hello))


class FakeProvider:
    """Starts fronts in this process."""

    name = "fake"
    reason_s = 0.05
    is_shared = False

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.fronts: dict[str, FakeFront] = {}
        self.started = 0
        self.stopped: list[str] = []
        self.graces_s: dict[str, float] = {}
        self.prepare: Callable[[FakeFront], None] = lambda front: None
        self.made_to_measure: list[str] = []
        self.cared_for: list[str] = []
        self.start_error: FaasError | None = None
        self.secret_values: dict[str, dict[str, str]] = {}
        self.is_held = False
        self._held: list[FakeFront] = []
        self._events: asyncio.Queue[ReplicaEvent | None] = asyncio.Queue()

    def check(self, spec: RevisionSpec) -> None:
        pass

    async def open(self) -> None:
        pass

    async def start(
        self, revision: Revision, replica_ids: Sequence[str], *, made_to_measure: bool = False
    ) -> None:
        if self.start_error is not None:
            raise self.start_error
        if made_to_measure:
            self.made_to_measure += replica_ids
        for replica_id in replica_ids:
            self.started += 1
            front = FakeFront(replica_id, self.directory / f"{replica_id}.sock")
            self.fronts[replica_id] = front
            self.prepare(front)
            if self.is_held:
                self._held.append(front)
            else:
                await self._appear(front)

    async def release(self) -> None:
        """Let the replicas appear that were held back."""
        self.is_held = False
        held, self._held = self._held, []
        for front in held:
            await self._appear(front)

    async def _appear(self, front: FakeFront) -> None:
        await front.listen()
        self.say_started(front)

    def say_started(self, front: FakeFront) -> None:
        """Say that a front listens."""
        self._events.put_nowait(
            ReplicaStarted(replica=front.replica_id, address=f"unix:{front.socket}", pid=1)
        )

    async def stop(self, replica_id: str, *, grace_s: float = 0.0) -> None:
        self.stopped.append(replica_id)
        self.graces_s[replica_id] = grace_s
        front = self.fronts.pop(replica_id, None)
        if front is not None:
            front.die()
            self._events.put_nowait(ReplicaGone(replica=replica_id, reason="stopped"))

    def kill(self, front: FakeFront, reason: str = "crashed", detail: str = "") -> None:
        """End a replica as the kernel would."""
        self.fronts.pop(front.replica_id, None)
        front.die()
        self._events.put_nowait(ReplicaGone(replica=front.replica_id, reason=reason, detail=detail))

    async def watch(self) -> AsyncIterator[ReplicaEvent]:
        while (event := await self._events.get()) is not None:
            yield event

    async def known(self, namespace: str, function: str) -> list[ReplicaFound]:
        return []

    def adopted(self, revision: Revision, replica_id: str) -> None:
        self.cared_for.append(replica_id)

    async def secrets(self, namespace: str, names: Sequence[str]) -> dict[str, str]:
        if missing := [name for name in names if name not in self.secret_values]:
            raise ProviderError(f"There is no secret {missing[0]}.", is_final=True)
        return {k: v for name in names for k, v in self.secret_values[name].items()}

    async def inventory(self, revision_python: str, interpreter: str | None) -> Inventory:
        if revision_python != "3.11":
            raise EnvironmentMismatch("This is 3.11.")
        return Inventory(python="3.11.0")

    async def close(self) -> None:
        for front in self.fronts.values():
            front.die()
        self._events.put_nowait(None)
