"""A real zygote with real fronts and workers, and a plain HTTP client to talk to them."""

from __future__ import annotations

import http.client
import os
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FunctionType
from typing import Any

import msgspec

from jupyter_faas.core import codec
from jupyter_faas.core.capture import capture
from jupyter_faas.core.model import Kind
from jupyter_faas.core.specialisation import CallEnd, Specialisation
from jupyter_faas.wire.frames import CONTENT_TYPE, Frame, FrameKind, FrameReader
from tests.support import descendants, is_alive, wait_until

SECRET = "s" * 32
TIMEOUT_S = 20.0
PRELOAD_S = 90.0
"""Modules wait for a quiet machine, and are tried at a low priority."""


class UnixConnection(http.client.HTTPConnection):
    """HTTP over a Unix socket."""

    def __init__(self, path: str, timeout_s: float = TIMEOUT_S) -> None:
        super().__init__("localhost", timeout=timeout_s)
        self.path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


class Answer:
    """What a call gave."""

    def __init__(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.status = status
        self.headers = headers
        self.body = body

    @property
    def frames(self) -> list[Frame]:
        reader = FrameReader()
        frames = list(reader.feed(self.body))
        assert reader.is_empty
        return frames

    def of(self, kind: FrameKind) -> list[Frame]:
        return [frame for frame in self.frames if frame.kind == kind]

    @property
    def value(self) -> Any:
        (frame,) = self.of(FrameKind.RESULT)
        return codec.loads(frame.body)

    @property
    def items(self) -> list[Any]:
        return [codec.loads(frame.body) for frame in self.of(FrameKind.ITEM)]

    @property
    def fault(self) -> dict[str, Any]:
        (frame,) = self.of(FrameKind.ERROR)
        return msgspec.msgpack.decode(frame.body)

    @property
    def problem(self) -> dict[str, Any]:
        if self.headers.get("content-type") == CONTENT_TYPE:
            return self.fault["problem"]
        return msgspec.json.decode(self.body)

    @property
    def exception(self) -> BaseException:
        return codec.loads(self.fault["exception"])

    @property
    def end(self) -> CallEnd:
        (frame,) = self.of(FrameKind.END)
        return msgspec.msgpack.decode(frame.body, type=CallEnd)

    def printed(self, stream: int = 1) -> str:
        return b"".join(f.body for f in self.of(FrameKind.LOG) if f.stream == stream).decode()

    def __repr__(self) -> str:
        return f"<Answer {self.status} {self.headers} {self.body[:500]!r}>"


class Replica:
    """A front to talk to."""

    def __init__(self, zygote: Zygote, name: str, path: str) -> None:
        self.zygote = zygote
        self.name = name
        self.path = path
        self.spec: Specialisation | None = None
        self.told = b""
        self._ids = iter(range(1, 1 << 30))

    def request(
        self, method: str, target: str, headers: dict[str, str] | None = None, body: bytes = b""
    ) -> Answer:
        connection = UnixConnection(self.path)
        try:
            with suppress(BrokenPipeError, ConnectionResetError):  # refused before all was sent
                connection.request(method, target, body, {"Faas-Secret": SECRET} | (headers or {}))
            answer = connection.getresponse()
            found = {name.lower(): value for name, value in answer.getheaders()}
            return Answer(answer.status, found, answer.read())
        finally:
            connection.close()

    def specialise(self, target: Any, *, expect: int = 200, **fields: Any) -> Answer:
        if isinstance(target, bytes):
            blob, kind, digest = target, fields.pop("kind", Kind.FUNCTION), fields.pop("digest")
        else:
            taken = capture(_of_notebook(target))
            taken.raise_for_problems()
            blob = b"".join(taken.package.parts())
            kind, digest = taken.code.kind, taken.package.digest
        spec = Specialisation(
            function="f", namespace="default", revision=1, revision_id="r1", replica=self.name,
            secret=SECRET, package_digest=digest, kind=kind, **fields,
        )  # fmt: skip
        head = msgspec.msgpack.encode(spec)
        self.told = len(head).to_bytes(4, "little") + head
        if spec.package_path is None:
            self.told += blob
        self.spec = spec
        answer = self.request("POST", "/v1/specialise", body=self.told)
        assert answer.status == expect, answer
        return answer

    def hello(self) -> dict[str, Any]:
        return msgspec.json.decode(self.request("GET", "/v1/runner").body)

    @property
    def worker_pid(self) -> int:
        return wait_until(lambda: self.hello().get("workerPid"), what="a worker")

    def headers(self, **more: str) -> dict[str, str]:
        given = {name.replace("_", "-"): value for name, value in more.items()}
        return {
            "Faas-Revision-Id": "r1",
            "Faas-Invocation-Id": f"i{next(self._ids)}",
            "Content-Type": CONTENT_TYPE,
        } | given

    def call(self, *args: Any, headers: dict[str, str] | None = None, **kwargs: Any) -> Answer:
        body = b"".join(codec.dumps((args, kwargs)))
        return self.request("POST", "/v1/call", self.headers() | (headers or {}), body)

    def post_json(self, body: bytes, headers: dict[str, str] | None = None) -> Answer:
        told = self.headers() | {"Content-Type": "application/json"} | (headers or {})
        return self.request("POST", "/v1/call", told, body)

    def begin(
        self, *args: Any, headers: dict[str, str] | None = None, **kwargs: Any
    ) -> UnixConnection:
        """Send a call and return the connection, without waiting for the answer."""
        connection = UnixConnection(self.path)
        body = b"".join(codec.dumps((args, kwargs)))
        told = {"Faas-Secret": SECRET} | self.headers() | (headers or {})
        connection.request("POST", "/v1/call", body, told)
        return connection

    def in_background(self, *args: Any, **kwargs: Any) -> Background:
        return Background(lambda: self.call(*args, **kwargs))

    def watch(self) -> Watch:
        return Watch(self)

    def becomes(self, state: str, timeout_s: float = 20.0) -> dict[str, Any]:
        def there() -> dict[str, Any] | None:
            hello = self.hello()
            return hello if hello["state"] == state else None

        return wait_until(there, timeout_s, what=f"state {state}", seen=self.hello)


def _of_notebook(target: Any) -> Any:
    """Return a function or class of a test as one of a notebook: it travels by value.

    As it is, it would bring its test module along, and with that pytest.
    """
    if isinstance(target, FunctionType):
        return _renamed(target)
    if isinstance(target, type):
        target.__module__ = "__main__"
        for name, member in list(vars(target).items()):
            if isinstance(member, FunctionType):
                setattr(target, name, _renamed(member))
    return target


def _renamed(function: FunctionType) -> FunctionType:
    scope = {**function.__globals__, "__name__": "__main__"}
    made = FunctionType(
        function.__code__, scope, function.__name__, function.__defaults__, function.__closure__
    )
    made.__kwdefaults__ = function.__kwdefaults__
    made.__qualname__ = function.__qualname__
    made.__module__ = "__main__"
    return made


@contextmanager
def stopped(pid: int) -> Iterator[None]:
    """Let a process stand still."""
    os.kill(pid, signal.SIGSTOP)
    wait_until(lambda: Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "T")
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


class Background:
    """Something that runs in a thread."""

    def __init__(self, work: Callable[[], Answer]) -> None:
        self._answer: Answer | None = None
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, args=(work,), daemon=True)
        self._thread.start()

    def _run(self, work: Callable[[], Answer]) -> None:
        try:
            self._answer = work()
        except BaseException as error:
            self._error = error

    @property
    def is_done(self) -> bool:
        return not self._thread.is_alive()

    def answer(self, timeout_s: float = TIMEOUT_S) -> Answer:
        self._thread.join(timeout_s)
        assert self.is_done, "no answer"
        if self._error is not None:
            raise self._error
        assert self._answer is not None
        return self._answer


class Watch:
    """The watch stream, read in a thread."""

    def __init__(self, replica: Replica) -> None:
        self.frames: list[Frame] = []
        self._connection = UnixConnection(replica.path, 60.0)
        self._connection.request("GET", "/v1/watch", headers={"Faas-Secret": SECRET})
        self._socket = self._connection.sock
        self._response = self._connection.getresponse()
        assert self._response.status == 200
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        reader = FrameReader()
        try:
            while data := self._response.read1(65536):
                self.frames.extend(reader.feed(data))
        except (OSError, ValueError, AttributeError, http.client.HTTPException):
            return  # closed by `close`, or the replica has ended

    def states(self) -> list[str]:
        return [
            msgspec.msgpack.decode(f.body)["state"]
            for f in list(self.frames)
            if f.kind == FrameKind.STATE
        ]

    def ended(self) -> list[CallEnd]:
        return [
            msgspec.msgpack.decode(f.body, type=CallEnd)
            for f in list(self.frames)
            if f.kind == FrameKind.ENDED
        ]

    def lines(self, invocation_id: str | None = None) -> str:
        text = b""
        for frame in list(self.frames):
            if frame.kind != FrameKind.LOG:
                continue
            length = frame.body[0]
            name = frame.body[1 : 1 + length].decode()
            if invocation_id is None or name == invocation_id:
                text += frame.body[1 + length :]
        return text.decode()

    def close(self) -> None:
        # `close` alone would wait for the reading thread.
        self._socket.shutdown(socket.SHUT_RDWR)
        self._thread.join(TIMEOUT_S)
        self._connection.close()


class Zygote:
    """A zygote and its control socket."""

    def __init__(self, run_dir: Path, *args: str, buffer_bytes: int | None = None) -> None:
        self.run_dir = run_dir
        self.control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.control.setblocking(False)
        if buffer_bytes is not None:
            theirs.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, buffer_bytes)
        self.log = (run_dir / "zygote.log").open("wb")
        self.process = subprocess.Popen(
            [sys.executable, "-m", "jupyter_faas.runner", "zygote",
             "--control-fd", str(theirs.fileno()), *args],
            pass_fds=[theirs.fileno()], start_new_session=True,
            stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log,
        )  # fmt: skip
        theirs.close()
        self.pid = self.process.pid
        self.events: list[dict[str, Any]] = []
        self._names = iter(range(1, 1 << 20))
        self.wait_event("ready")

    def send(self, **message: Any) -> None:
        self.control.send(msgspec.msgpack.encode(message))

    def _read(self) -> None:
        while select.select([self.control], [], [], 0)[0]:
            message = self.control.recv(1 << 20)
            if not message:
                return
            self.events.append(msgspec.msgpack.decode(message))

    def find(self, kind: str, **fields: Any) -> dict[str, Any] | None:
        self._read()
        for event in self.events:
            if event["ev"] == kind and all(event.get(k) == v for k, v in fields.items()):
                return event
        return None

    def wait_event(self, kind: str, timeout_s: float = 20.0, **fields: Any) -> dict[str, Any]:
        return wait_until(
            lambda: self.find(kind, **fields),
            timeout_s,
            what=f"event {kind} {fields}",
            seen=lambda: (self.events, (self.run_dir / "zygote.log").read_text()[-3000:]),
        )

    def preloaded(self, module: str) -> dict[str, Any]:
        """Wait until a module has been tried; returns what is told of it."""
        return self.wait_event("preload", PRELOAD_S, module=module)

    def replica(self, *, is_spare: bool = False) -> Replica:
        name = f"r{next(self._names)}"
        path = str(self.run_dir / f"{name}.sock")
        self.send(op="replica", id=name, socket=path, spare=is_spare)
        self.wait_event("started", id=name)
        return Replica(self, name, path)

    def front_pid(self, replica: Replica) -> int:
        return int(self.wait_event("started", id=replica.name)["pid"])

    def close(self) -> list[int]:
        """Hang up; returns what is still alive of all it had started."""
        family = [self.pid, *descendants(self.pid)]
        self.control.close()
        try:
            self.process.wait(TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.log.close()
        deadline_s = time.monotonic() + TIMEOUT_S
        while any(map(is_alive, family)) and time.monotonic() < deadline_s:
            time.sleep(0.01)
        left = [pid for pid in family if is_alive(pid)]
        for pid in left:
            os.kill(pid, signal.SIGKILL)
        return left


def running_zygote(run_dir: Path, *args: str, buffer_bytes: int | None = None) -> Iterator[Zygote]:
    """Give a zygote; whatever it leaves behind fails the test."""
    zygote = Zygote(run_dir, *args, buffer_bytes=buffer_bytes)
    try:
        yield zygote
    finally:
        left = zygote.close()
        log = (run_dir / "zygote.log").read_text()
    assert left == [], f"left behind: {left}\n{log[-3000:]}"
    assert "Traceback" not in log, log[-5000:]
