"""Carries connections of this machine to a ready gateway pod. Runs in one event loop.

Each connection accepted here gets a tunnel of its own, probed before a byte of it is sent: what
cannot be delivered was not sent, and is answered by a problem document that says so. A tunnel that
breaks takes its connection along, and the next one goes to another pod.

    accepted ─▶ pod chosen ─▶ tunnel open ─▶ probed ─▶ bytes both ways ─▶ closed with the other side
                    ▲──── gone, not ready: the next pod, until `reach_s` ────┘
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import socket
from collections.abc import Sequence
from typing import Any

import msgspec

from jupyter_faas.client.kube import pods
from jupyter_faas.client.kube.api import KubeApi, Refusal
from jupyter_faas.client.kube.tunnel import NotThere, Tunnel
from jupyter_faas.core.errors import (
    FaasError,
    Forbidden,
    GatewayUnavailable,
    Unauthorized,
    to_problem,
)

_PIECE_BYTES = 256 * 1024
_PAUSE_S = 0.2
"""Between two looks at pods of which none is ready."""
_PROBE_S = 3.0


class Bridge:
    """One cluster's gateway as seen from this process.

    Args:
        api: The cluster.
        system_namespace: Where its gateways are.
        reach_s: How long a ready pod is looked for before a connection is refused.
    """

    def __init__(self, api: KubeApi, system_namespace: str, reach_s: float) -> None:
        self.api = api
        self._system = system_namespace
        self._reach_s = reach_s
        self._pod: tuple[str, int] | None = None
        self._choosing = asyncio.Lock()
        self._spare: Tunnel | None = None
        self._servers: list[asyncio.Server] = []
        self._tasks: set[asyncio.Task[None]] = set()

    async def listen(self, path: str) -> None:
        """Find a pod, then accept connections at a Unix socket.

        Raises:
            GatewayUnavailable: No gateway is installed or ready, or the cluster cannot be
                reached; says why and what to do.
            Forbidden, Unauthorized: The person may not reach it.
        """
        self._spare = await self._tunnel()
        self._servers.append(await asyncio.start_unix_server(self._accept, path))

    async def listen_on_loopback(self) -> int:
        """Accept connections on a free TCP port of this machine too; return it."""
        server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self._servers.append(server)
        return int(server.sockets[0].getsockname()[1])

    async def close(self) -> None:
        """Cut everything."""
        for server in self._servers:
            server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._spare is not None:
            await self._spare.close()
        await self.api.close()

    # -- one connection -------------------------------------------------------------------------

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            await self._serve(reader, writer)
        except (OSError, asyncio.CancelledError):
            pass  # the caller has gone, or this process ends
        finally:
            self._tasks.discard(task)
            _end(writer)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            tunnel = await self._tunnel()
        except FaasError as error:
            writer.write(_answer(error))
            await writer.drain()
            return
        ways = [
            asyncio.ensure_future(_upward(reader, tunnel)),
            asyncio.ensure_future(_downward(tunnel, writer)),
        ]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            _end(writer)
            await asyncio.gather(*ways, return_exceptions=True)
            await tunnel.close()

    # -- the way there --------------------------------------------------------------------------

    async def _tunnel(self) -> Tunnel:
        """Return a tunnel to a pod that takes calls."""
        spare, self._spare = self._spare, None
        if spare is not None and spare.is_open:
            return spare
        try:
            async with asyncio.timeout(self._reach_s):
                return await self._first_that_answers()
        except TimeoutError:
            raise await self._unready() from None
        except Refusal as refusal:
            raise self._told(refusal) from refusal

    async def _first_that_answers(self) -> Tunnel:
        failed: set[str] = set()
        while True:
            name, port = await self._choose(failed)
            try:
                return await self._open(name, port)
            except (NotThere, Refusal) as error:
                if isinstance(error, Refusal) and error.status in (401, 403):
                    raise
                failed.add(name)
                self._pod = None

    async def _open(self, name: str, port: int) -> Tunnel:
        tunnel = Tunnel(await self.api.open_port(self._system, name, port))
        try:
            await tunnel.probe(_PROBE_S)
        except BaseException:
            await tunnel.close()
            raise
        return tunnel

    async def _choose(self, failed: set[str]) -> tuple[str, int]:
        """Return the pod used so far, else one that is ready; waits for one."""
        async with self._choosing:
            while self._pod is None or self._pod[0] in failed:
                found = await self._pods()
                if not found:
                    raise self._not_installed()
                ready = pods.ready_pods(found)
                names = [name for name in ready if name not in failed]
                if names:
                    name = random.choice(names)  # noqa: S311 - spreads people over pods
                    self._pod = name, pods.port_of(found, name)
                else:
                    failed.clear()  # it may have come back by the next look
                    await asyncio.sleep(_PAUSE_S)
            return self._pod

    async def _pods(self) -> Sequence[Any]:
        path = f"/api/v1/namespaces/{self._system}/pods"
        listed = await self.api.get(path, labelSelector=pods.SELECTOR)
        items: list[Any] = listed.get("items") or []
        return items

    # -- what to say ----------------------------------------------------------------------------

    @property
    def _where(self) -> str:
        return f"context {self.api.context}, namespace {self._system}"

    def _not_installed(self) -> GatewayUnavailable:
        return GatewayUnavailable(
            f"The cluster has no gateway ({self._where}): `jupyter-faas install | kubectl apply "
            "-f -` installs one. If it is in another namespace, FAAS_SYSTEM_NAMESPACE says which."
        )

    async def _unready(self) -> FaasError:
        """Return why no pod took a call in time."""
        try:
            found = await self._pods()
        except Refusal as refusal:
            return self._told(refusal)
        why = "they are ready and do not answer"
        if not found:
            return self._not_installed()
        if not pods.ready_pods(found):
            why = pods.why_not_ready(found)
        return GatewayUnavailable(
            f"No gateway pod has taken the call within {self._reach_s:g} s ({self._where}): {why}. "
            f"Nothing was sent. See `kubectl --namespace {self._system} get pods`."
        )

    def _told(self, refusal: Refusal) -> FaasError:
        """Return what a refusal of the API server is to the person."""
        if refusal.status == 401:
            return Unauthorized(
                f"The cluster does not accept the credentials of kubeconfig ({self._where}): log "
                "in again so that `kubectl get pods` works."
            )
        if refusal.status == 403:
            return Forbidden(
                f"You may not reach the gateway's pods ({self._where}): {refusal.message}. "
                "Needed are get and list on pods and create on pods/portforward there; or use the "
                "gateway's address: faas.connect('https://…')."
            )
        return GatewayUnavailable(f"{refusal.message} Nothing was sent ({self._where}).")


async def _upward(reader: asyncio.StreamReader, tunnel: Tunnel) -> None:
    while data := await reader.read(_PIECE_BYTES):
        await tunnel.send(data)


async def _downward(tunnel: Tunnel, writer: asyncio.StreamWriter) -> None:
    while (data := await tunnel.receive()) is not None:
        writer.write(data)
        await writer.drain()


def _end(writer: asyncio.StreamWriter) -> None:
    """Close a connection of this machine; a process forked meanwhile does not keep it open."""
    accepted = writer.get_extra_info("socket")
    if writer.is_closing():
        return
    # What was written and has not left is small here: `_downward` drains.
    if accepted is not None and not writer.transport.get_write_buffer_size():
        with contextlib.suppress(OSError):
            accepted.shutdown(socket.SHUT_RDWR)
    writer.close()


def _answer(error: FaasError) -> bytes:
    """Return an error as the gateway would have answered it: nothing of the request was sent."""
    body = msgspec.json.encode(to_problem(error))
    status = int(error.extra.get("status", error.http_status))
    return (
        b"HTTP/1.1 %d Unavailable\r\nContent-Type: application/problem+json\r\n"
        b"Content-Length: %d\r\nConnection: close\r\n\r\n%b" % (status, len(body), body)
    )
