"""The service that keeps packages for all gateways of a cluster, and how a gateway talks to it.

One process with a volume: `PUT`, `GET`, `HEAD /v1/blobs/{sha256}` as the control API has them, and
`POST /v1/blobs/collect` with the digests that revisions name; below `/v1/kept/` what is kept of
calls and maps (`kept_service.py`), also in an object store. Whoever asks shows the key that
gateways share with it. Nobody needs it to call what is warm.
"""

from __future__ import annotations

import asyncio
import hmac
import time
from collections.abc import Callable, Collection
from pathlib import Path

import msgspec

from jupyter_faas.core.errors import FaasError, ProviderError, Unauthorized
from jupyter_faas.gateway import problems
from jupyter_faas.gateway.blobs import Blobs
from jupyter_faas.gateway.keeping import Keeping
from jupyter_faas.gateway.kept.intake import Intake
from jupyter_faas.gateway.kept_service import KeptService
from jupyter_faas.wire.answered import answered
from jupyter_faas.wire.asgi import App, AsgiBridge
from jupyter_faas.wire.background import Background
from jupyter_faas.wire.exchange import Exchange
from jupyter_faas.wire.heads import Buffer
from jupyter_faas.wire.kept import MOST_BYTES, PATH, patient_request
from jupyter_faas.wire.problems import read_problem
from jupyter_faas.wire.server import HttpServerProtocol
from jupyter_faas.wire.upstream import Answer, Upstream

TIMEOUT_S = 120.0
"""For one package, however large."""
_HEALTH = (b"/healthz", b"/readyz")
KEPT_PATH = PATH.encode()
_MOST_KEPT = MOST_BYTES + (1 << 20)
_TEXT = [(b"Content-Type", b"text/plain; charset=utf-8")]
_MSGPACK = [(b"Content-Type", b"application/msgpack")]


class BlobService:
    """Keeps blobs in a directory and serves them.

    Args:
        root: The directory.
        key: What gateways show.
        max_bytes: Largest blob taken.
        wall_clock: Seconds since the epoch, as file times are.
        clock: Monotonic seconds.
        keeping: What is kept of calls and maps; None: that is not kept here.
    """

    def __init__(
        self,
        root: Path,
        key: bytes,
        max_bytes: int = 1 << 30,
        wall_clock: Callable[[], float] = time.time,
        clock: Callable[[], float] = time.monotonic,
        keeping: Keeping | None = None,
    ) -> None:
        self.blobs = Blobs(root, max_bytes)
        self._keeping = keeping
        self._kept = None if keeping is None else KeptService(keeping, clock)
        self._background = Background("an answer")
        self._key = key
        self._wall_clock = wall_clock
        self._bridge: AsgiBridge | None = None
        self._server: asyncio.Server | None = None
        self._connections: set[HttpServerProtocol] = set()
        self.port = 0

    async def start(self, host: str, port: int) -> None:
        """Listen.

        Raises:
            OSError: The address is taken.
            ProviderError: What is kept of calls and maps cannot be read.
        """
        if self._keeping is not None:
            await self._keeping.open()
        self._bridge = AsgiBridge(self._app())
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(self._protocol, host, port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Take nothing new and let go of what is open."""
        if self._server is not None:
            self._server.close()
        if self._bridge is not None:
            await self._bridge.stop()
        await self._background.ended()
        if self._keeping is not None:
            await self._keeping.close()
        for connection in tuple(self._connections):
            connection.retire()

    def _protocol(self) -> HttpServerProtocol:
        return HttpServerProtocol(self._take, connections=self._connections)

    def _take(self, exchange: Exchange) -> None:
        if exchange.path in _HEALTH:
            exchange.respond(200, _TEXT, b"ok\n")
        elif not is_shown(exchange.header(b"authorization"), self._key):
            exchange.respond(*problems.answer(Unauthorized("This is for gateways only.")))
        elif self._kept is not None and exchange.path.startswith(KEPT_PATH):
            Intake(exchange, _MOST_KEPT, lambda body: self._answer_kept(exchange, body))
        else:
            assert self._bridge is not None
            self._bridge(exchange)

    def _answer_kept(self, exchange: Exchange, body: bytes) -> None:
        self._background.run(answered(exchange, lambda: self._keep(exchange, body)))

    async def _keep(self, exchange: Exchange, body: bytes) -> None:
        assert self._kept is not None
        operation = exchange.path[len(KEPT_PATH) :].decode("latin-1")
        answer = await self._kept.answer(operation, body)
        exchange.respond(200, _MSGPACK, answer)

    def _app(self) -> App:
        # Starlette costs 120 ms: whoever only talks to the service does not pay for it.
        from jupyter_faas.gateway.control.blob_app import blob_app  # noqa: PLC0415 — see above

        return blob_app(self, self._wall_clock)


def is_shown(header: bytes | None, key: bytes) -> bool:
    """Return whether an `Authorization` header shows the key, in hex."""
    return hmac.compare_digest(header or b"", b"Bearer " + key.hex().encode())


class BlobClient:
    """A gateway's side of the service; see `cluster_blobs.Backing`.

    Args:
        address: `HOST:PORT`.
        key: What it shows.
        timeout_s: For one exchange.
    """

    def __init__(self, address: str, key: bytes, timeout_s: float = TIMEOUT_S) -> None:
        self._upstream = Upstream(address, max_idle=8)
        self._headers = [(b"Authorization", b"Bearer " + key.hex().encode())]
        self._timeout_s = timeout_s

    async def get(self, digest: str) -> bytes | None:
        """Return a blob, or None."""
        answer = await self._ask("GET", f"/v1/blobs/{digest}")
        if answer.status == 404:
            return None
        return self._checked(answer).body

    async def has(self, digest: str) -> bool:
        """Return whether a blob is there; if so, it stays for an hour though nobody names it."""
        answer = await self._ask("HEAD", f"/v1/blobs/{digest}")
        if answer.status == 404:
            return False
        self._checked(answer)
        return True

    async def put(self, digest: str, blob: Buffer) -> None:
        """Keep a blob; durable when it returns."""
        self._checked(await self._ask("PUT", f"/v1/blobs/{digest}", blob))

    async def collect(self, referenced: Collection[str]) -> None:
        """Let go of what is not among these and was not wanted for an hour."""
        body = msgspec.json.encode({"referenced": sorted(referenced)})
        self._checked(await self._ask("POST", "/v1/blobs/collect", body))

    def close(self) -> None:
        """Close the connections."""
        self._upstream.close()

    async def _ask(self, method: str, path: str, body: Buffer = b"") -> Answer:
        """Return an answer. All of it may be asked twice: a service that restarts is waited for."""
        return await patient_request(
            self._upstream, method, path, self._headers, body, timeout_s=self._timeout_s
        )

    def _checked(self, answer: Answer) -> Answer:
        if answer.status >= 400:
            error: FaasError = read_problem(answer.status, answer.body)
            raise ProviderError(f"The blobs service refuses: {error.detail}")
        return answer
