"""The gateway a process talks to: where it is, its connections, what it is asked.

Connections are kept alive and reused, newest first, by any thread; each carries one exchange at
a time. If nobody listens, `locate` is asked again (the embedded gateway exits when unused): a
request that was not sent goes to the new one, a request that was sent is never repeated.
"""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import msgspec

from jupyter_faas.client import answers, underway
from jupyter_faas.core.errors import GatewayLost, GatewayUnavailable
from jupyter_faas.wire.blocking import BlockingConnection, Response

if TYPE_CHECKING:
    from jupyter_faas.client.control import Inventory
    from jupyter_faas.client.gateway_aio import AsyncGateway

Headers = Sequence[tuple[bytes, bytes]]
Parts = Sequence[bytes | bytearray | memoryview]


class Location(NamedTuple):
    """Where a gateway is.

    `address` is what is connected to (`unix:PATH` or a URL), `url` what people use.
    """

    address: str
    url: str
    token: str

    def __repr__(self) -> str:
        return f"Location({self.url!r})"


class Access(Protocol):
    """How a gateway is reached whose token changes, or to which a way must be kept open."""

    def url(self) -> str:
        """Return the address for HTTP clients of this machine."""

    def is_due(self) -> bool:
        """Return whether the token should be asked for again before it is shown."""

    def token(self) -> str:
        """Return the token as it is now; may take a moment."""

    def close(self) -> None:
        """Give up what was kept open."""


class Gateway:
    """A gateway, as `faas.gateway()` returns it.

    Args:
        locate: Returns where it is.
        may_start: `locate` starts it if need be: it is called again when the gateway has gone.
        namespace: Where names are looked up; empty: the token's own.
        connect_timeout_s: How long to try to reach it.
        access: Returns what keeps token and way good; asked before `locate`. None: nothing must.
        where: Which machine or cluster it is on, for people; empty: its address says it.

    Attributes:
        location: Where it was found last.
        authorization: The header that each request carries.
        where: See above.
    """

    location: Location
    authorization: tuple[bytes, bytes]

    def __init__(
        self,
        locate: Callable[[], Location],
        *,
        may_start: bool = False,
        namespace: str = "",
        connect_timeout_s: float = 5.0,
        access: Callable[[], Access] | None = None,
        where: str = "",
    ) -> None:
        self._locate = locate
        self._reach = access
        self.access: Access | None = None
        self.where = where
        self._namespace = namespace
        self.connect_timeout_s = connect_timeout_s
        self._lock = threading.Lock()
        self._idle: list[BlockingConnection] = []
        self._aio: AsyncGateway | None = None
        self.may_start = may_start
        self._server: dict[str, Any] = {}
        self._inventories: dict[tuple[str, str], Inventory] = {}
        self._settle()
        _gateways.add(self)

    @property
    def url(self) -> str:
        """Address for HTTP clients, without a trailing slash.

        Of a cluster's gateway seen from outside: its public address if it has one, else one of
        this machine, which is good as long as this process lives.
        """
        if self.access is None or not self.where:
            return self.location.url
        return self._public_url() or self.access.url()

    @property
    def url_note(self) -> str:
        """What to know about `url`; empty: nothing."""
        if self.access is None or not self.where or self._public_url():
            return ""
        return "a port-forward of this process: good while it runs"

    @property
    def key(self) -> tuple[str, str]:
        """What tells this gateway and namespace from others, for whoever remembers things."""
        return self.location.url, self._namespace

    @property
    def token(self) -> str:
        """The bearer token. It is in no repr and no log."""
        return self.location.token if self.access is None else self.access.token()

    @property
    def namespace(self) -> str:
        """The namespace names are looked up in; empty: the token's own."""
        return self._namespace

    @property
    def provider(self) -> str:
        """`local` or `kubernetes`."""
        return str(self._about().get("provider", ""))

    @property
    def version(self) -> str:
        """Version of the gateway's program."""
        return str(self._about().get("version", ""))

    def state(self) -> dict[str, Any]:
        """Return a snapshot of everything: functions, replicas, load."""
        snapshot: dict[str, Any] = self.ask("GET", "/v1/state", result=dict[str, Any])
        return snapshot

    def maps(self) -> Any:
        """Return the maps that run or are kept; displays as a table."""
        from jupyter_faas.client import views  # noqa: PLC0415 - displays only
        from jupyter_faas.client.session import session  # noqa: PLC0415 - which holds gateways

        answer = self.ask("GET", "/v1/maps", result=dict[str, list[dict[str, Any]]])
        return views.map_table(answer["maps"], session.now_s())

    @property
    def aio(self) -> AsyncGateway:
        """Its connections for event loops."""
        if self._aio is None:
            # asyncio is half of this package's import time: only for who uses it
            from jupyter_faas.client.gateway_aio import AsyncGateway  # noqa: PLC0415

            self._aio = AsyncGateway(self)
        return self._aio

    def call_path(self, name: str) -> str:
        """Return the path that calls a function."""
        return f"/function/{self._namespace}/{name}" if self._namespace else f"/function/{name}"

    def control_path(self, path: str) -> str:
        """Return a control path, in this gateway's namespace."""
        if not self._namespace:
            return path
        return f"{path}{'&' if '?' in path else '?'}namespace={self._namespace}"

    def inventory(self, python: str, interpreter: str, *, is_fresh: bool = False) -> Inventory:
        """Return what runners of this Python have installed; remembered unless `is_fresh`.

        Raises:
            EnvironmentMismatch: No runner has this Python.
        """
        key = (python, interpreter)
        if is_fresh or key not in self._inventories:
            from jupyter_faas.client import control  # noqa: PLC0415 - control asks a gateway

            self._inventories[key] = control.inventory(self, python, interpreter)
        return self._inventories[key]

    @property
    def place(self) -> str:
        """Where it is, for people: its address, or cluster and namespace."""
        return self.where or self.location.url

    @property
    def is_elsewhere(self) -> bool:
        """Whether its replicas do not see this machine: its directories, its interpreter."""
        if self.may_start and self.access is None:
            return False  # this machine's own
        return self.location.url.startswith("kubernetes") or self.provider not in ("local", "")

    def __repr__(self) -> str:
        return f"Gateway at {self.place}"

    def _repr_html_(self) -> str:
        from jupyter_faas.client.markup import html_fields  # noqa: PLC0415 - displays only

        fields = [("at", self.place)]
        if self._server:
            fields.append(("runs", f"{self.provider}, version {self.version}"))
        if self._namespace:
            fields.append(("namespace", self._namespace))
        return html_fields("Gateway", "", fields)

    def open(
        self,
        method: str,
        target: str,
        headers: Headers,
        body: Parts = (),
        *,
        timeout_s: float | None = None,
    ) -> tuple[BlockingConnection, Response]:
        """Send a request and return the connection with the head of the answer.

        Whoever has read the whole answer gives the connection back with `release`; who leaves
        early closes it.

        Raises:
            GatewayUnavailable: Nobody listens; nothing was sent.
            GatewayLost: It was sent, and the gateway went away before it answered.
            InvocationCancelled: This is part of a call that another thread has ended.
        """
        for is_last in (not self.may_start, True):
            location = self.location
            if self.access is not None and self.access.is_due():
                self.renew()
            connection = self._take()
            if (call := underway.current.get()) is not None:
                call.take(connection)
            try:
                response = connection.request(
                    method, target, (self.authorization, *headers), body, timeout_s=timeout_s
                )
            except GatewayUnavailable:
                connection.close()
                if is_last:
                    raise
                self.find_again(location)
            except TimeoutError as error:
                connection.close()
                raise GatewayLost(self.silence(timeout_s)) from error
            except BaseException:
                connection.close()
                raise
            else:
                return connection, response
        raise AssertionError("the last try raises")

    def silence(self, timeout_s: float | None) -> str:
        """Return what to say when the gateway has not answered in time."""
        return (
            f"The gateway at {self.place} has not answered within {timeout_s or 0:g} s, longer "
            "than it may take; the code may have run. `jupyter-faas status` shows whether it lives."
        )

    def release(self, connection: BlockingConnection) -> None:
        """Keep a connection whose answer has been read to its end."""
        if (call := underway.current.get()) is not None:
            call.give_back(connection)
        self._idle.append(connection)

    def exchange(
        self, method: str, path: str, headers: Headers = (), body: Parts = ()
    ) -> tuple[Response, bytes]:
        """Do one whole control exchange.

        Raises:
            FaasError: The gateway refused; the error of its problem document.
        """
        connection, response = self.open(method, path, headers, body, timeout_s=CONTROL_TIMEOUT_S)
        try:
            content = response.read()
        except BaseException:
            connection.close()
            raise
        self.release(connection)
        if response.status >= 400:
            raise answers.problem_of(response.status, response.headers, content)
        return response, content

    def ask(self, method: str, path: str, *, body: Any = None, result: Any = None) -> Any:
        """Do one control exchange of JSON: `body` encoded, the answer decoded as `result`.

        Raises:
            FaasError: The gateway refused; the error of its problem document.
        """
        parts, headers = (), ()
        if body is not None:
            parts = (msgspec.json.encode(body),)  # type: ignore[assignment]
            headers = ((b"Content-Type", b"application/json"),)  # type: ignore[assignment]
        _, content = self.exchange(method, self.control_path(path), headers, parts)
        return msgspec.json.decode(content, type=result) if result is not None else None

    def close(self) -> None:
        """Close idle connections, and a port-forward. The gateway itself goes on."""
        self._close_idle()
        if self.access is not None:
            self.access.close()

    def renew(self) -> None:
        """Show the token as it is now from here on."""
        if self.access is not None:
            self._show(self.access.token())

    def _close_idle(self) -> None:
        while self._idle:
            self._idle.pop().close()

    def _about(self) -> dict[str, Any]:
        if not self._server:
            self._server = self.state()
        return self._server

    def _public_url(self) -> str:
        return str(self._about().get("publicUrl") or "").rstrip("/")

    def _take(self) -> BlockingConnection:
        try:
            return self._idle.pop()
        except IndexError:
            return BlockingConnection(
                self.location.address, connect_timeout_s=self.connect_timeout_s
            )

    def find_again(self, used: Location) -> None:
        """Locate the gateway anew after nobody listened at `used`; may start it."""
        with self._lock:
            if self.location is not used:
                return  # another thread has done it meanwhile
            self._close_idle()
            self._settle()

    def _settle(self) -> None:
        if self._reach is not None:
            self.access = self._reach()  # first: a way lives as long as somebody holds it
        self.location = self._locate()
        self._show(self.location.token)
        self._server = {}
        self._inventories = {}

    def _show(self, token: str) -> None:
        self.authorization = (b"Authorization", f"Bearer {token}".encode())


CONTROL_TIMEOUT_S = 60.0
"""No control request takes longer; a deploy is answered at once and waited for separately."""


_gateways: weakref.WeakSet[Gateway] = weakref.WeakSet()


def _forget_connections() -> None:
    """In a forked child: never speak on the parent's connections."""
    for gateway in _gateways:
        gateway._idle.clear()
        gateway._aio = None


os.register_at_fork(after_in_child=_forget_connections)
