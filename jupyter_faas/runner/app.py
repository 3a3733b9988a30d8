"""The front's HTTP: seven requests, answered by a `FrontReplica`.

`on_head` judges each request from its head alone: who asks, for which revision, whether there is
room. Nothing of a body is read for a call that is refused.
"""

from __future__ import annotations

import hmac
import struct

import msgspec

from jupyter_faas.core import batch
from jupyter_faas.core.errors import (
    BadRequest,
    CapacityError,
    FaasError,
    FunctionNotFound,
    InvocationNotFound,
    NameTaken,
    PayloadTooLarge,
    RevisionNotFound,
    Unauthorized,
    from_problem,
)
from jupyter_faas.core.specialisation import Specialisation
from jupyter_faas.runner.admission import Admission, OpenAdmission
from jupyter_faas.runner.answers import refuse
from jupyter_faas.runner.channel import CallHead
from jupyter_faas.runner.installed import installed
from jupyter_faas.runner.intake import Body
from jupyter_faas.runner.invocation import FrontCall
from jupyter_faas.runner.package_source import package_of
from jupyter_faas.runner.replica import FAILED, GENERIC, FrontReplica
from jupyter_faas.wire.frames import CONTENT_TYPE
from jupyter_faas.wire.server import Exchange

MAX_PACKAGE_BYTES = 8 << 30
_MAX_HEAD_BYTES = 1 << 20
_BUSY = (b"Faas-Busy", b"1")
_JSON = (b"Content-Type", b"application/json")
_FRAMED = (CONTENT_TYPE.encode(), batch.CONTENT_TYPE.encode())
_U32 = struct.Struct("<I")

_specialisation = msgspec.msgpack.Decoder(Specialisation).decode
_json = msgspec.json.Encoder().encode


class App:
    """Answers the requests of the gateway.

    Args:
        replica: Does what they ask.
        admission: Whose specialisations it takes.
    """

    def __init__(self, replica: FrontReplica, admission: Admission | None = None) -> None:
        self._replica = replica
        self._admission = admission or OpenAdmission()
        self._secret = b""

    def on_head(self, exchange: Exchange) -> None:
        """Route a request; the hot one first."""
        path = exchange.path
        if path == b"/v1/call" and exchange.method == b"POST":
            self._call(exchange)
            return
        try:
            self._route(exchange, exchange.method, path)
        except FaasError as error:
            refuse(exchange, error)

    # -- calls

    def _call(self, exchange: Exchange) -> None:
        head: dict[bytes, bytes] = dict(exchange.headers)
        replica = self._replica
        if not self._is_secret(head.get(b"faas-secret")):
            refuse(exchange, _no_secret())
        elif head.get(b"faas-revision-id", b"").decode("latin-1") != replica.spec.revision_id:
            error = RevisionNotFound("This replica serves another revision.", status=421)
            refuse(exchange, error)
        elif b"content-encoding" in head and not _is_raw(head):
            refuse(exchange, _no_encoding())
        elif replica.is_busy:
            text = f"This replica takes no call now: it is {replica.state}, or full."
            refuse(exchange, CapacityError(text), _BUSY)
        else:
            self._admit(exchange, head)

    def _admit(self, exchange: Exchange, head: dict[bytes, bytes]) -> None:
        replica = self._replica
        content_type = head.get(b"content-type", b"")
        call_head = CallHead(
            id=head.get(b"faas-invocation-id", b"").decode("latin-1"),
            method=_text(head.get(b"faas-method")),
            is_framed=content_type in _FRAMED,
            content_type=content_type.decode("latin-1"),
            accept=head.get(b"accept", b"").decode("latin-1"),
            depth=_number(head.get(b"faas-depth")) or 0,
            trace=head.get(b"traceparent", b"").decode("latin-1"),
            ancestry=head.get(b"faas-ancestry", b"").decode("latin-1"),
        )
        left_ms = _number(head.get(b"faas-deadline-ms"))
        left_s = None if left_ms is None else left_ms / 1000
        call = FrontCall(replica, exchange, replica.next_tag(), call_head, left_s)
        exchange.receiver = call
        replica.admit(call)
        call.begin()

    # -- everything else

    def _route(self, exchange: Exchange, method: bytes, path: bytes) -> None:
        if path == b"/v1/runner" and method == b"GET":
            self._introduce(exchange)
        elif path == b"/v1/specialise" and method == b"POST":
            exchange.receiver = _SpecialisationBody(self, exchange)
        else:
            self._check_secret(exchange)
            self._route_known(exchange, method, path)

    def _route_known(self, exchange: Exchange, method: bytes, path: bytes) -> None:
        if path == b"/v1/watch" and method == b"GET":
            self._replica.watchers.add(exchange, self._replica.hello())
        elif path == b"/v1/drain" and method == b"POST":
            exchange.respond(202, [_JSON], b"{}")
            self._replica.drain()
        elif path.startswith(b"/v1/call/") and method == b"DELETE":
            invocation_id = path.removeprefix(b"/v1/call/").decode("latin-1")
            if not self._replica.cancel(invocation_id):
                raise InvocationNotFound(f"No call {invocation_id!r} runs here.")
            exchange.respond(202, [_JSON], b"{}")
        else:
            raise FunctionNotFound(f"A runner has no {method.decode()} {path.decode('latin-1')}.")

    def _introduce(self, exchange: Exchange) -> None:
        """Say who this is: all of it to the gateway, nothing of the function to strangers."""
        hello = self._replica.hello()
        if hello.state == GENERIC:
            hello = self._admission.introduce(hello)
            if exchange.query == b"modules":
                modules, top_level = installed()
                hello = msgspec.structs.replace(hello, modules=modules, top_level=top_level)
        elif not self._is_secret(exchange.header(b"faas-secret")):
            hello = hello.to_strangers()
        exchange.respond(200, [_JSON], _json(hello))

    def _say_hello(self, exchange: Exchange) -> None:
        exchange.respond(200, [_JSON], _json(self._replica.hello()))

    # -- specialisation

    def admit(self, exchange: Exchange, head: bytes) -> Specialisation:
        """Return what a head says that this runner should become.

        Raises:
            Unauthorized, Forbidden: Whoever has sent it may not say so.
            BadRequest: It cannot be read.
        """
        told = self._admission.open(exchange.header(b"content-type", b""), head)
        try:
            return _specialisation(told)
        except msgspec.MsgspecError as error:
            raise BadRequest(f"The specialisation cannot be read: {error}") from error

    def specialise(self, exchange: Exchange, wanted: Specialisation, body: Body) -> None:
        """Become what is wanted, or say why not.

        Raises:
            FaasError: It cannot be.
        """
        replica = self._replica
        if replica.state == GENERIC and replica.spec is None:
            package = package_of(wanted, body)
            self._secret = wanted.secret.encode()
            replica.specialise(wanted, package, lambda: self._tell_loaded(exchange))
        elif _essence(wanted) == _essence(replica.spec):
            replica.when_loaded(lambda: self._tell_loaded(exchange))
        else:
            raise NameTaken("This runner has become another revision already.")

    def _tell_loaded(self, exchange: Exchange) -> None:
        if exchange.is_over:
            return
        if self._replica.state == FAILED and self._replica.problem is not None:
            refuse(exchange, from_problem(self._replica.problem))
        else:
            self._say_hello(exchange)

    # -- who asks

    def _check_secret(self, exchange: Exchange) -> None:
        if not self._is_secret(exchange.header(b"faas-secret")):
            raise _no_secret()

    def _is_secret(self, given: bytes | None) -> bool:
        return bool(self._secret) and given is not None and hmac.compare_digest(given, self._secret)


class _SpecialisationBody:
    """Takes the body of `POST /v1/specialise`: u32 length · msgpack · package blob."""

    def __init__(self, app: App, exchange: Exchange) -> None:
        self._app = app
        self._exchange = exchange
        self._head = b""
        self._wanted: Specialisation | None = None
        self._blob = Body(MAX_PACKAGE_BYTES, has_digest=True)

    def on_body(self, data: bytes) -> None:
        """Cut the head off, pass the blob on."""
        if self._exchange.is_over:
            return
        try:
            self._take(data)
        except FaasError as error:
            self._refuse(error)

    def on_body_end(self) -> None:
        """All is here."""
        if self._exchange.is_over:
            return
        try:
            if self._wanted is None:
                raise BadRequest("The body of a specialisation ends too early.")
            self._app.specialise(self._exchange, self._wanted, self._blob)
        except FaasError as error:
            self._refuse(error)

    def on_gone(self) -> None:
        """The gateway has left; what has begun goes on."""
        self._blob.close()

    def on_writable(self) -> None:
        """Nothing waits for it."""

    def _take(self, data: bytes) -> None:
        if self._wanted is not None:
            self._blob.add(data)
            return
        self._head += data
        if len(self._head) < _U32.size:
            return
        end = _U32.size + _U32.unpack_from(self._head)[0]
        if end > _MAX_HEAD_BYTES:
            raise PayloadTooLarge("The head of a specialisation is too large.")
        if len(self._head) < end:
            return
        self._wanted = self._app.admit(self._exchange, self._head[_U32.size : end])
        rest, self._head = self._head[end:], b""
        if rest:
            self._blob.add(rest)

    def _refuse(self, error: FaasError) -> None:
        self._blob.close()
        refuse(self._exchange, error)


def _essence(wanted: Specialisation) -> Specialisation:
    """What makes two specialisations the same: where the package lies does not count."""
    return msgspec.structs.replace(wanted, package_path=None)


def _is_raw(head: dict[bytes, bytes]) -> bool:
    """Return whether the body is for the function as it is, whatever it is encoded in."""
    kind = head.get(b"content-type", b"application/json").partition(b";")[0].strip().lower()
    return kind != b"application/json" or head[b"content-encoding"].lower() == b"identity"


def _no_encoding() -> BadRequest:
    text = "A JSON body is read as it is: send it without Content-Encoding, uncompressed."
    return BadRequest(text, status=415)


def _no_secret() -> Unauthorized:
    return Unauthorized("This runner answers to its gateway only.")


def _text(value: bytes | None) -> str | None:
    return value.decode("latin-1") if value else None


def _number(value: bytes | None) -> int | None:
    """Return a non-negative number of a header, None if it is none."""
    if value is None or not value.isdigit() or len(value) > 15:
        return None
    return int(value)
