"""The replicas of one Python environment: which zygote forks them, which spare is handed over.

A replica is asked for under the gateway's id and born under one of its own, so that one born
beforehand (a spare) can take its place. The zygote is replaced before the next fork when the
installed packages have changed; the old one lives as long as its replicas. Used by
`provider.py` only; never waits.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from jupyter_faas.core.errors import ProviderError
from jupyter_faas.providers.base import ReplicaEvent, ReplicaGone, ReplicaPending, ReplicaStarted
from jupyter_faas.providers.local.children import Child, Children
from jupyter_faas.providers.local.process import ZygoteProcess
from jupyter_faas.providers.local.site_stamp import SiteStamp
from jupyter_faas.providers.local.zygote import Zygote

MAX_DEATHS = 3
"""Zygotes in a row that may die without making a replica before their callers are told."""

REFILL_DELAY_S = 0.005
"""A spare is forked when nothing has been asked for so long: not in the way of a burst."""

_STOP_WATCH_S = 5.0
_MAX_DOUBLINGS = 8

Spawn = Callable[[tuple[str, ...]], ZygoteProcess]


class Environment:
    """Everything that runs in one Python environment.

    Args:
        name: The interpreter, for people.
        spawn: Starts a zygote that imports these modules.
        emit: Called with each replica event, in order.
        run_dir: Where sockets go.
        spare_count: Generic replicas kept ready.
    """

    def __init__(
        self,
        name: str,
        spawn: Spawn,
        emit: Callable[[ReplicaEvent], None],
        run_dir: Path,
        spare_count: int,
    ) -> None:
        self.name = name
        self.stamp: SiteStamp | None = None
        self._spawn = spawn
        self._emit = emit
        self._run_dir = run_dir
        self._spare_count = spare_count
        self._modules: dict[str, None] = {}
        self._zygote: Zygote | None = None
        self._zygotes: set[Zygote] = set()
        self._children = Children()
        self._waiting: dict[str, None] = {}
        self._deaths = 0
        self._stillborn = 0
        self._refill: asyncio.TimerHandle | None = None
        self._is_closing = False
        self._loop = asyncio.get_running_loop()

    def adopt(self, process: ZygoteProcess) -> None:
        """Use a zygote that has been started already."""
        self._zygote = Zygote(process, self._on_event, self._on_exit)
        self._zygotes.add(self._zygote)

    def start(self, replica_ids: Iterable[str]) -> None:
        """Make replicas: spares first, the rest is forked."""
        self.refresh()
        for replica_id in replica_ids:
            spare = self._children.best_spare(self._zygote)
            if spare is None:
                self._waiting[replica_id] = None
            else:
                self._children.hand_over(spare, replica_id)
                self._emit_started(spare, "forked ahead")
        self._fork_waiting()
        self._refill_later()

    def stop(self, replica_id: str, grace_s: float) -> None:
        """End a replica: SIGTERM, SIGKILL after the grace. Unknown ids are ignored."""
        if replica_id in self._waiting:
            del self._waiting[replica_id]
            self._emit(ReplicaGone(replica=replica_id, reason="stopped"))
        elif child := self._children.of_replica(replica_id):
            child.zygote.send(op="stop", id=child.id, grace_s=grace_s)
            self._loop.call_later(grace_s + _STOP_WATCH_S, self._give_up, child)

    def learn(self, modules: Sequence[str]) -> None:
        """Let replicas to come be born with these modules too; imported when nothing else is on."""
        new = [module for module in modules if module not in self._modules]
        if new:
            self._modules.update(dict.fromkeys(new))
            if self._zygote is not None:
                self._zygote.send(op="preload", modules=new)

    def refresh(self) -> None:
        """Retire the zygote if other packages are installed than when it started."""
        if self._zygote is not None:
            self._zygote.notice_end()
        if self._zygote is None or self.stamp is None or self.stamp.is_current():
            return
        self._retire(self._zygote)
        self.stamp = None
        self._renew()

    def wake(self) -> None:
        """Let zygotes go on that were stopped: nothing is forked or reaped without them."""
        for zygote in self._zygotes:
            zygote.wake()

    def hang_up(self) -> None:
        """Begin to end everything; `ended` waits for it."""
        self._is_closing = True
        if self._refill is not None:
            self._refill.cancel()
        for zygote in self._zygotes:
            zygote.hang_up()

    async def ended(self, timeout_s: float) -> None:
        """Wait for the zygotes to end; kill those that have not after `timeout_s`."""
        zygotes = list(self._zygotes)
        waits = [asyncio.ensure_future(zygote.ended.wait()) for zygote in zygotes]
        if waits:
            await asyncio.wait(waits, timeout=timeout_s)
        for zygote in zygotes:
            zygote.kill()
        if waits:
            await asyncio.wait(waits)

    # What happens next: forking, spares

    def _renew(self) -> None:
        try:
            self.adopt(self._spawn(tuple(self._modules)))
        except ProviderError as error:
            self._fail_waiting(error.detail)

    def _fork_waiting(self) -> None:
        if not self._waiting or self._is_closing:
            return
        if self._zygote is None:
            self._renew()
        if self._zygote is None:
            return
        for replica_id in self._waiting:
            self._fork(self._zygote, replica_id)
            if not self._zygote.is_ready:
                text = f"the Python process of {self.name} is starting"
                self._emit(ReplicaPending(replica=replica_id, reason=text))
        self._waiting.clear()

    def _fork(self, zygote: Zygote, replica_id: str | None) -> None:
        child = Child(zygote, self._run_dir / f"r{secrets.token_hex(6)}.sock", replica_id)
        self._children.add(child)
        is_spare = replica_id is None
        zygote.send(op="replica", id=child.id, socket=str(child.socket), spare=is_spare)

    def _refill_later(self) -> None:
        if self._refill is not None:
            self._refill.cancel()
        if self._spare_count and not self._is_closing:
            delay_s = REFILL_DELAY_S * 2 ** min(self._stillborn, _MAX_DOUBLINGS)
            self._refill = self._loop.call_later(delay_s, self._fill)

    def _fill(self) -> None:
        zygote = self._zygote
        if zygote is None or not zygote.is_ready:
            return
        if self._children.is_birth_awaited():
            self._refill_later()
            return
        for _ in range(self._children.missing_spares(zygote, self._spare_count)):
            self._fork(zygote, None)

    # What zygotes say

    def _on_event(self, zygote: Zygote, event: dict[str, Any]) -> None:
        kind = event.get("ev")
        if kind == "ready":
            zygote.is_ready = True
            self._refill_later()
        elif kind == "preload" and event.get("ok"):
            zygote.loaded += 1
            self._refill_later()
        elif kind == "started" and (child := self._children.get(event["id"])):
            self._on_started(child, event.get("pid"))
        elif kind == "gone" and (child := self._children.get(event["id"])):
            self._stillborn += not child.is_started
            self._forget(child, event.get("reason", "crashed"), event.get("detail", ""))
            self._close_if_retired(zygote)
            self._refill_later()

    def _on_started(self, child: Child, pid: int | None) -> None:
        child.pid = pid
        child.is_started = True
        self._deaths = self._stillborn = 0
        if child.replica is not None:
            self._emit_started(child, "forked")
        else:
            self._drop_useless_spares()

    def _drop_useless_spares(self) -> None:
        for child in self._children.useless_spares(self._zygote, self._spare_count):
            child.is_stopping = True
            child.zygote.send(op="stop", id=child.id, grace_s=0.0)

    def _on_exit(self, zygote: Zygote, how: str) -> None:
        self._zygotes.discard(zygote)
        for child in self._children.of_zygote(zygote):
            if child.is_started or child.replica is None or self._is_closing:
                reason = "stopped" if self._is_closing else "node_lost"
                self._forget(child, reason, f"The zygote of {self.name} {how}.")
            else:
                self._forget_birth(child)
        if zygote is self._zygote:
            self._zygote = None
            if not self._is_closing:
                self._after_death(f"{how}\n{zygote.last_lines()}".strip())

    def _after_death(self, why: str) -> None:
        self._deaths += 1
        self._modules.clear()  # one of them may be what it died of
        if self._deaths < MAX_DEATHS:
            self._renew()
            self._fork_waiting()
            return
        self._deaths = 0
        self._fail_waiting(_explain(self.name, why))

    # The end of replicas

    def _forget(self, child: Child, reason: str, detail: str) -> None:
        self._remove(child)
        if child.replica is not None:
            self._emit(ReplicaGone(replica=child.replica, reason=reason, detail=detail))

    def _forget_birth(self, child: Child) -> None:
        """Ask anew for a replica whose zygote died before it was made."""
        self._remove(child)
        if child.replica is not None:
            self._waiting[child.replica] = None

    def _remove(self, child: Child) -> None:
        self._children.remove(child)
        child.socket.unlink(missing_ok=True)

    def _fail_waiting(self, detail: str) -> None:
        waiting, self._waiting = self._waiting, {}
        for replica_id in waiting:
            self._emit(ReplicaGone(replica=replica_id, reason="start_failed", detail=detail))

    def _give_up(self, child: Child) -> None:
        """End a zygote that does not end what it was told to: it hangs."""
        if self._children.get(child.id) is child:
            child.zygote.kill()

    def _retire(self, zygote: Zygote) -> None:
        self._zygote = None
        self._drop_useless_spares()
        self._close_if_retired(zygote)

    def _close_if_retired(self, zygote: Zygote) -> None:
        if zygote is not self._zygote and not self._children.of_zygote(zygote):
            zygote.hang_up()

    def _emit_started(self, child: Child, how: str) -> None:
        assert child.replica is not None
        address = f"unix:{child.socket}"
        self._emit(ReplicaStarted(replica=child.replica, address=address, pid=child.pid, how=how))


def _explain(name: str, why: str) -> str:
    """Return why an interpreter gives no replica, for the person who chose it."""
    text = f"No replica can be made with {name}: its zygote {why}"
    if "No module named" in why:
        text += f"\nInstall jupyter_faas there: `{name} -m pip install jupyter_faas`."
    return text
