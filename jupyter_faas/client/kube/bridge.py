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

from jupyter_faas.client.kube.api import KubeApi, Refusal
from jupyter_faas.client.kube.carry import Carrier
from jupyter_faas.client.kube.pods import SELECTOR, Pod, ready_pods, why_not_ready
from jupyter_faas.client.kube.tunnel import NotThere, Tunnel
from jupyter_faas.core.errors import (
    FaasError,
    Forbidden,
    GatewayUnavailable,
    Unauthorized,
    to_problem,
)

_PAUSE_S = 0.2
"""Between two looks at pods of which none is ready."""
_CUT = "The gateway's pod has gone while the request was on its way. Nothing was sent to it."
_PROBE_S = 3.0
_FRESH_S = 1.0
"""A tunnel that nobody uses is trusted for so long: nobody would notice its end."""


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
        self._pod: Pod | None = None
        self._suspects: set[Pod] = set()
        self._gone: set[Pod] = set()
        self._choosing = asyncio.Lock()
        self._vetting = asyncio.Lock()
        self._spare: Tunnel | None = None
        self._spare_at = 0.0
        self._now = asyncio.get_running_loop().time
        self._servers: list[asyncio.Server] = []
        self._tasks: set[asyncio.Task[None]] = set()

    async def listen(self, path: str) -> None:
        """Find a pod, then accept connections at a Unix socket.

        Raises:
            GatewayUnavailable: No gateway is installed or ready, or the cluster cannot be
                reached; says why and what to do.
            Forbidden, Unauthorized: The person may not reach it.
        """
        await self._keep(await self._tunnel())
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
        carrier = Carrier(reader, writer, self._is_good)
        goes_on = True
        while goes_on:
            try:
                tunnel = await self._tunnel()
            except FaasError as error:
                writer.write(_answer(error))
                await writer.drain()
                return
            try:
                goes_on = await carrier.carry(tunnel)
                if carrier.has_cut:
                    writer.write(_answer(GatewayUnavailable(_CUT)))
                    await writer.drain()
            finally:
                if not goes_on:
                    _end(writer)
                if not tunnel.is_open:
                    self._suspects.add(tunnel.pod)
                await tunnel.close()

    async def _is_good(self, tunnel: Tunnel) -> bool:
        """Return whether an idle tunnel can be trusted with a request.

        When one tunnel to a pod has ended, those beside it may be about to: then the pod is asked
        first.
        """
        if tunnel.is_open and tunnel.pod in self._suspects:
            async with self._vetting:
                if tunnel.pod in self._suspects:
                    await self._vet(tunnel.pod)
        return tunnel.is_open and tunnel.pod not in self._gone

    async def _vet(self, pod: Pod) -> None:
        try:
            tunnel = await self._open(pod)
        except (NotThere, Refusal):
            self._gone.add(pod)
            if self._pod == pod:
                self._pod = None
        else:
            await self._keep(tunnel)
        self._suspects.discard(pod)

    async def _keep(self, tunnel: Tunnel) -> None:
        """Keep a tunnel for the next connection."""
        if self._spare is not None:
            await self._spare.close()
        self._spare, self._spare_at = tunnel, self._now()

    # -- the way there --------------------------------------------------------------------------

    async def _tunnel(self) -> Tunnel:
        """Return a tunnel to a pod that takes calls."""
        spare, self._spare = self._spare, None
        if spare is not None:
            if self._now() - self._spare_at < _FRESH_S:
                return spare
            await spare.close()
        try:
            async with asyncio.timeout(self._reach_s):
                return await self._first_that_answers()
        except TimeoutError:
            raise await self._unready() from None
        except Refusal as refusal:
            raise self._told(refusal) from refusal

    async def _first_that_answers(self) -> Tunnel:
        failed: set[Pod] = set()
        while True:
            pod = await self._choose(failed)
            try:
                return await self._open(pod)
            except (NotThere, Refusal) as error:
                if isinstance(error, Refusal) and error.status in (401, 403):
                    raise
                failed.add(pod)

    async def _open(self, pod: Pod) -> Tunnel:
        tunnel = Tunnel(await self.api.open_port(self._system, pod.name, pod.port), pod)
        try:
            await tunnel.probe(_PROBE_S)
        except BaseException:
            await tunnel.close()
            raise
        self._gone.discard(pod)
        return tunnel

    async def _choose(self, failed: set[Pod]) -> Pod:
        """Return the pod used so far, else one that is ready; waits for one."""
        async with self._choosing:
            while self._pod is None or self._pod in failed:
                found = await self._pods()
                if not found:
                    raise self._not_installed()
                ready = [pod for pod in ready_pods(found) if pod not in failed]
                if ready:
                    self._pod = random.choice(ready)  # noqa: S311 - spreads people over pods
                else:
                    failed.clear()  # it may have come back by the next look
                    self._pod = None
                    await asyncio.sleep(_PAUSE_S)
            return self._pod

    async def _pods(self) -> Sequence[Any]:
        path = f"/api/v1/namespaces/{self._system}/pods"
        listed = await self.api.get(path, labelSelector=SELECTOR)
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
        if not ready_pods(found):
            why = why_not_ready(found)
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


def _end(writer: asyncio.StreamWriter) -> None:
    """Close a connection of this machine; a process forked meanwhile does not keep it open."""
    accepted = writer.get_extra_info("socket")
    if writer.is_closing():
        return
    # What was written and has not left is small here: a carrier drains.
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
