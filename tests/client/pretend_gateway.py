"""A gateway in a thread, on the real wire: control API in memory, calls run right here.

Speaks HTTP/1.1 over a Unix socket to the client under test and records every request. Deploys
are decided by `core.rollout` as the real gateway does; a call unpickles the deployed package and
runs it in the connection's thread. `script(name, answer)` replaces what a function answers.
"""

from __future__ import annotations

import contextlib
import inspect
import io
import socketserver
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import msgspec

from jupyter_faas.core import codec, errors, model, rollout
from jupyter_faas.core.specialisation import CallEnd
from jupyter_faas.execution.failure import user_fault
from jupyter_faas.execution.load import Loaded, load
from jupyter_faas.gateway.plain import plain
from jupyter_faas.wire.frames import CONTENT_TYPE, STDOUT, Frame, FrameKind, encode

TOKEN = "a token for tests"
PYTHON = f"{sys.version_info[0]}.{sys.version_info[1]}"
Frames = Iterator[Frame]


class Hit:
    """One request the gateway got."""

    def __init__(self, method: str, path: str, headers: dict[str, str], body: bytes) -> None:
        self.method, self.path, self.headers, self.body = method, path, headers, body

    def __repr__(self) -> str:
        return f"{self.method} {self.path}"


class PretendGateway:
    """State and behaviour; the handler below only speaks HTTP."""

    def __init__(self, directory: Path) -> None:
        self.address = f"unix:{directory}/g.sock"
        self.hits: list[Hit] = []
        self.functions: dict[str, model.Function] = {}
        self.revisions: dict[str, dict[int, model.Revision]] = {}
        self.blobs: dict[str, bytes] = {}
        self.provider = "local"
        self.python = PYTHON
        self.waiting: list[str] = []
        """Reasons for which a deployed revision is pending, one for each time it is asked."""
        self.modules: dict[str, str] = {"numpy": "2.4.0", "cloudpickle": "3.1.0"}
        self.top_level: tuple[str, ...] = ("numpy", "cloudpickle", "msgspec", "pytest")
        self.fails: dict[str, errors.FaasError] = {}
        self.closed_early = threading.Event()
        self._scripts: dict[str, Callable[..., Frames]] = {}
        self._loaded: dict[str, Loaded] = {}
        self._lock = threading.RLock()
        self._server = _Server(str(directory / "g.sock"), self)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()

    def stop(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
        self._server.cut_all()

    def script(self, name: str, answer: Callable[..., Frames]) -> None:
        """Answer calls of `name` with the frames of `answer(hit)`."""
        self._scripts[name] = answer

    def paths(self, method: str) -> list[str]:
        return [hit.path for hit in self.hits if hit.method == method]

    def calls(self, name: str) -> list[Hit]:
        return [hit for hit in self.hits if hit.path == f"/function/{name}"]

    # -- control API

    def control(self, hit: Hit) -> tuple[int, Any]:
        path, _, _query = hit.path.partition("?")
        parts = path.strip("/").split("/")[1:]
        with self._lock:
            if parts[0] == "blobs":
                return self._blob(hit, parts[1])
            if parts[0] == "inventory":
                stock = {"python": self.python, "modules": self.modules, "topLevel": self.top_level}
                return 200, stock
            if parts[0] == "state":
                functions = [self._view(name) for name in self.functions]
                return 200, {"provider": self.provider, "version": "0.1.0", "functions": functions}
            if len(parts) == 1:
                return 200, {"functions": [self._view(name) for name in self.functions]}
            return self._function(hit, parts[1], parts[2:])

    def _blob(self, hit: Hit, digest: str) -> tuple[int, Any]:
        if hit.method == "HEAD":
            return (200 if digest in self.blobs else 404), None
        self.blobs[digest] = hit.body
        return 201, {"digest": digest, "sizeBytes": len(hit.body)}

    def _function(self, hit: Hit, name: str, rest: list[str]) -> tuple[int, Any]:  # noqa: C901
        if hit.method == "PUT" and not rest:
            return self._deploy(name, msgspec.json.decode(hit.body, type=model.DeployRequest))
        function = self.functions.get(name)
        if function is None:
            raise errors.FunctionNotFound(f"no {name}")
        revisions = self.revisions[name]
        body = msgspec.json.decode(hit.body) if hit.body else {}
        if rest in (["invocations"], ["logs"]):
            return 200, ({"invocations": []} if rest == ["invocations"] else None)
        match rest:
            case []:
                if hit.method == "DELETE":
                    del self.functions[name]
                    return 200, {"deleted": True}
                return 200, self._view(name)
            case ["revisions", number]:
                return 200, plain(revisions[int(number)])
            case ["replicas"]:
                return 200, {"replicas": self._starting(name)}
            case ["rollback"]:
                self.functions[name] = rollout.rollback(function, revisions, body.get("to"))
                (live,) = self.functions[name].traffic
                return 200, plain(revisions[live])
            case ["traffic"]:
                weights = {int(key): value for key, value in body["traffic"].items()}
                self.functions[name] = rollout.traffic(function, revisions, weights)
                return 200, self._view(name)
            case ["scaling"]:
                by_wire = {model.wire_name(f): f for f in model.Scaling.__struct_fields__}
                changes = {by_wire[key]: value for key, value in body.items()}
                self.functions[name] = rollout.scaling(function, changes)
                return 200, self._view(name) | plain(self.functions[name].settings.scaling)
        raise errors.BadRequest(hit.path)

    def _deploy(self, name: str, request: model.DeployRequest) -> tuple[int, Any]:
        assert request.revision.code.digest in self.blobs
        revisions = self.revisions.setdefault(name, {})
        function = self.functions.get(name)
        if function is None:
            revisions.clear()
        plan = rollout.deploy("default", name, function, revisions, request, 1.0)
        self.functions[name] = plan.function
        revisions[plan.revision.number] = plan.revision
        if plan.revision.state is model.RevisionState.PENDING:
            self._settle(name, plan.revision)
        answer = model.DeployAnswer(
            function=plan.function, revision=plan.revision, created=plan.is_created
        )
        return 201, plain(answer)

    def _starting(self, name: str) -> list[Any]:
        """Return a replica that is starting, with the next reason why."""
        status = model.ReplicaStatus(
            id="r1",
            function=name,
            namespace="default",
            revision=max(self.revisions[name]),
            state=model.ReplicaState.STARTING,
            reason=self.waiting.pop(0) if self.waiting else "",
            started_at=0.0,
        )
        return [plain(status)]

    def _settle(self, name: str, revision: model.Revision) -> None:
        failure = self.fails.get(name)
        state = model.RevisionState.FAILED if failure else model.RevisionState.READY
        problem = errors.to_problem(failure) if failure else None
        self.functions[name], self.revisions[name][revision.number] = rollout.settled(
            self.functions[name], revision, self.revisions[name], state, problem
        )

    def _view(self, name: str) -> dict[str, Any]:
        newest_first = sorted(self.revisions[name].values(), key=lambda r: -r.number)
        return {
            **plain(self.functions[name]),
            "state": "ready" if self.functions[name].traffic else "failed",
            "revisions": [plain(revision) for revision in newest_first],
            "replicas": [],
        }

    # -- calls

    def call(self, hit: Hit) -> tuple[int, Frames]:
        """Return the revision that answers, and its frames."""
        name = hit.path.rsplit("/", 1)[1]
        with self._lock:
            if name not in self.functions:
                if name in self._scripts:
                    return 1, self._scripts[name](hit)
                raise errors.FunctionNotFound(f"no {name}")
            pinned = hit.headers.get("faas-revision")
            number = int(pinned) if pinned else max(self.functions[name].traffic)
            revision = self.revisions[name].get(number)
            if revision is None:
                raise errors.RevisionNotFound(f"no revision {number}")
            if revision.problem:
                raise errors.from_problem(revision.problem)
        if name in self._scripts:
            return number, self._scripts[name](hit)
        return number, self._run(revision, hit)

    def _run(self, revision: model.Revision, hit: Hit) -> Frames:
        loaded = self._loaded.get(revision.id)
        if loaded is None:
            loaded = self._loaded[revision.id] = load(self.blobs[revision.spec.code.digest])
        args, kwargs = codec.loads(hit.body, classes=loaded.classes)
        printed = io.StringIO()

        def payload(value: Any) -> bytes:
            return b"".join(codec.dumps(value, classes=loaded.classes))

        def dump(error: BaseException) -> bytes | None:
            parts = codec.dumps_exception(error, classes=loaded.classes)
            return None if parts is None else b"".join(parts)

        try:
            with contextlib.redirect_stdout(printed):
                result = loaded.call(hit.headers.get("faas-method"))(*args, **kwargs)
                if inspect.iscoroutine(result):
                    result = _finish(result)
            yield from _log(printed)
            if inspect.isgenerator(result):
                for item in result:
                    yield Frame(FrameKind.ITEM, payload(item))
            else:
                yield Frame(FrameKind.RESULT, payload(result))
        except Exception as error:
            yield from _log(printed)
            yield Frame(FrameKind.ERROR, msgspec.msgpack.encode(user_fault(error, dump)))
        yield Frame(FrameKind.END, msgspec.msgpack.encode(CallEnd(id="i")))


def _finish(coroutine: Any) -> Any:
    """Run a coroutine that never really waits."""
    try:
        coroutine.send(None)
    except StopIteration as stop:
        return stop.value
    raise AssertionError("the pretend gateway cannot wait")


def _log(printed: io.StringIO) -> Frames:
    if text := printed.getvalue():
        yield Frame(FrameKind.LOG, text.encode(), stream=STDOUT)


class _Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True
    request_queue_size = 128  # more callers at once than the five that may wait by default

    def __init__(self, path: str, gateway: PretendGateway) -> None:
        super().__init__(path, _Handler)
        self.gateway = gateway
        self._open: list[Any] = []

    def process_request(self, request: Any, client_address: Any) -> None:
        self._open.append(request)
        super().process_request(request, client_address)

    def cut_all(self) -> None:
        for request in self._open:
            with contextlib.suppress(OSError):
                request.shutdown(2)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def _answer(self) -> None:
        gateway = self.server.gateway
        length = int(self.headers.get("content-length") or 0)
        lower = {name.lower(): value for name, value in self.headers.items()}
        hit = Hit(self.command, self.path, lower, self.rfile.read(length))
        gateway.hits.append(hit)
        try:
            if lower.get("authorization") != f"Bearer {TOKEN}":
                raise errors.Unauthorized("Wrong token.")
            if self.path.startswith("/function/"):
                number, frames = gateway.call(hit)
                self._frames(number, frames)
            else:
                status, value = gateway.control(hit)
                self._whole(status, msgspec.json.encode(value) if value is not None else b"")
        except errors.FaasError as error:
            problem = errors.to_problem(error)
            self._whole(errors.status_of(error), msgspec.json.encode(problem))
        except (BrokenPipeError, ConnectionResetError):
            gateway.closed_early.set()
            self.close_connection = True

    do_GET = do_PUT = do_POST = do_PATCH = do_DELETE = do_HEAD = _answer

    def _whole(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _frames(self, number: int, frames: Frames) -> None:
        self.send_response(200)
        self.send_header("Content-Type", CONTENT_TYPE)
        self.send_header("Faas-Revision", str(number))
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        self.wfile.flush()
        for frame in frames:
            data = encode(frame)
            self.wfile.write(b"%x\r\n%b\r\n" % (len(data), data))
            self.wfile.flush()
        self.wfile.write(b"0\r\n\r\n")

    def log_message(self, *_: object) -> None:
        pass


@contextlib.contextmanager
def pretend_gateway() -> Iterator[PretendGateway]:
    """Run one in a private directory with a path short enough for Unix sockets."""
    with tempfile.TemporaryDirectory(prefix="faas-p-", dir="/tmp") as directory:
        gateway = PretendGateway(Path(directory))
        try:
            yield gateway
        finally:
            gateway.stop()
