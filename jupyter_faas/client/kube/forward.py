"""A port-forward this process runs: a thread with a loop, a Unix socket, a token that is kept good.

`Forward` is what the connection to a gateway holds on to; when nobody does any more, or the
process ends, thread and socket go. The socket is in a directory of its own that only its user may
enter.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import tempfile
import threading
import time
import weakref
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, TypeVar

from jupyter_faas.client.cluster import ClusterAddress
from jupyter_faas.client.kube.api import KubeApi, Refusal
from jupyter_faas.client.kube.bridge import Bridge
from jupyter_faas.client.kube.credential import Token, new_token
from jupyter_faas.core.errors import GatewayUnavailable

T = TypeVar("T")

_PREFIX = "jupyter-faas-"
_CLOSE_S = 2.0


class Forward:
    """An open way to the gateway of one cluster.

    Args:
        address: Which context of kubeconfig.
        system_namespace: Where its gateways are.
        token: Shown to the gateway; empty: the person's own, or one made for him.
        reach_s: How long a ready pod is looked for.
        wall_clock: Seconds since the epoch.

    Attributes:
        context: Name of the context.
        namespace: The context's own.
        socket: Path of the Unix socket.

    Raises:
        GatewayUnavailable: The gateway cannot be reached; says why and what to do.
        Unauthorized, Forbidden: The person may not.
    """

    def __init__(
        self,
        address: ClusterAddress,
        system_namespace: str,
        *,
        token: str = "",
        reach_s: float = 5.0,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        self._system = system_namespace
        self._wall_clock = wall_clock
        self._pid = os.getpid()
        self._lock = threading.Lock()
        self._port = 0
        self._token = Token(token, float("inf")) if token else Token("", 0.0)
        self._loop = _LoopThread()
        directory = _directory()
        self.socket = str(directory / "g.sock")
        self._end = weakref.finalize(self, _end, self._loop, directory, self._pid)
        try:
            self._bridge = self._run(self._open(address, reach_s))
            self.context, self.namespace = self._bridge.api.context, self._bridge.api.namespace
            self.token()
        except BaseException:
            self.close()
            raise

    @property
    def is_open(self) -> bool:
        """Whether it can still be used here."""
        return bool(self._end.alive)

    def url(self) -> str:
        """Return an address for other programs of this machine, good while this process lives."""
        with self._lock:
            if not self._port and self._is_ours():
                self._port = self._run(self._bridge.listen_on_loopback())
        return f"http://127.0.0.1:{self._port}"

    def is_due(self) -> bool:
        """Return whether the token should be renewed before it is shown again."""
        return self._wall_clock() >= self._token.due_at and self._is_ours()

    def token(self) -> str:
        """Return the token, renewed if that is due."""
        with self._lock:
            if self.is_due():
                self._token = self._run(new_token(self._bridge.api, self._system, self._wall_clock))
            return self._token.value

    def close(self) -> None:
        """Cut every connection, end the thread, remove the socket."""
        self._end()

    def __repr__(self) -> str:
        return f"Forward(context={getattr(self, 'context', '')!r}, namespace={self._system!r})"

    async def _open(self, address: ClusterAddress, reach_s: float) -> Bridge:
        api = await KubeApi.connect(address)
        bridge = self._loop.bridge = Bridge(api, self._system, reach_s)
        await bridge.listen(self.socket)
        os.chmod(self.socket, 0o600)
        return bridge

    def _is_ours(self) -> bool:
        """Whether the thread is in this process: a forked one may use the socket, not the loop."""
        return os.getpid() == self._pid

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        try:
            return self._loop.run(work)
        except Refusal as refusal:
            raise GatewayUnavailable(refusal.message) from refusal


class _LoopThread:
    """An event loop in a thread that no interpreter waits for."""

    def __init__(self) -> None:
        self.bridge: Bridge | None = None
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(
            target=self._loop.run_forever, name="jupyter-faas-port-forward", daemon=True
        )
        self._thread.start()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Do something in the loop and wait for it; an interrupt cancels it."""
        if not self._thread.is_alive():
            work.close()
            raise GatewayUnavailable("The connection to the cluster has been closed.")
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result()
        except BaseException:
            future.cancel()
            raise

    def stop(self) -> None:
        """Close what is open, then end the thread."""
        if threading.current_thread() is self._thread:
            self._loop.stop()  # the garbage collector came by here: nobody can be waited for
            return
        if self._thread.is_alive():
            with contextlib.suppress(Exception):
                closing = asyncio.run_coroutine_threadsafe(self._close(), self._loop)
                closing.result(_CLOSE_S)
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(_CLOSE_S)
        if not self._thread.is_alive():
            self._loop.close()

    async def _close(self) -> None:
        if self.bridge is not None:
            await self.bridge.close()
        rest = asyncio.all_tasks() - {asyncio.current_task()}
        for task in rest:
            task.cancel()
        await asyncio.gather(*rest, return_exceptions=True)


def _end(loop: _LoopThread, directory: Path, pid: int) -> None:
    if os.getpid() != pid:
        return  # a forked process leaves its parent's thread and socket alone
    shutil.rmtree(directory, ignore_errors=True)
    loop.stop()


def _directory() -> Path:
    """Make a private directory for the socket; remove those of processes that were killed."""
    root = Path(os.environ.get("XDG_RUNTIME_DIR") or tempfile.gettempdir())
    if not os.access(root, os.W_OK | os.X_OK):
        root = Path(tempfile.gettempdir())
    for old in root.glob(f"{_PREFIX}[0-9]*-*"):
        pid = old.name.removeprefix(_PREFIX).partition("-")[0]
        if pid.isdigit() and not _is_alive(int(pid)) and old.stat().st_uid == os.getuid():
            shutil.rmtree(old, ignore_errors=True)
    return Path(tempfile.mkdtemp(prefix=f"{_PREFIX}{os.getpid()}-", dir=root))


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True
