"""The zygote: one warm, single-threaded process from which fronts and workers are forked.

It has no event loop and starts no thread: a fork copies only the thread that forks. It obeys its
provider over a control socket (or, in a pod, itself), reaps, and makes sure that nothing outlives
what it belongs to: a worker's orphans end with the worker, a replica's worker with its front, and
everything with the control socket. It restarts nothing by itself.

A forked child leaves `run` by the exception `BecomeRole`, so that none of the zygote's frames is
below user code.
"""

from __future__ import annotations

import os
import platform
import signal
import socket
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import msgspec

from jupyter_faas.runner import family
from jupyter_faas.runner.admission import Trust, trust_in
from jupyter_faas.runner.forking import BecomeRole, Forks, Replica, fork, forked
from jupyter_faas.runner.outbox import Outbox
from jupyter_faas.runner.poller import Poller
from jupyter_faas.runner.preload import Preloader

_MAX_MESSAGE_BYTES = 1 << 20
_LAST_ROUNDS_S = 5.0


class Zygote:
    """Forks, reaps and ends.

    Args:
        control: Socket to the provider (SOCK_SEQPACKET, msgpack); None in a pod.
        preload: Modules to import when there is nothing to do.
        trust: Whose specialisations fronts take; None: those of whoever reaches them.
    """

    def __init__(
        self,
        control: socket.socket | None,
        preload: tuple[str, ...] = (),
        trust: Trust | None = None,
    ) -> None:
        self._control = control
        self._poller = Poller(self._on_signals)
        self._replicas: dict[str, Replica] = {}
        self._by_pid: dict[int, Replica] = {}
        self._helpers: set[int] = set()
        self._is_ending = False
        self._exit_code = 0
        self._forks = Forks(self._close_all, trust)
        self._outbox = Outbox(control, self._poller)
        self._preloader = Preloader(self._fork_helper, self._outbox.tell)
        self._preloader.add(preload)
        self._unrehearsed: Replica | None = None
        """The replica of a pod, while its worker is to be replaced by one that is readier."""

    def settle(self) -> None:
        """Take charge of signals and orphans; before anything is forked, or a signal is lost."""
        family.name_process("faas-zygote")
        family.become_subreaper()
        self._poller.catch(signal.SIGCHLD, signal.SIGTERM, signal.SIGINT)
        if self._control is not None:
            self._control.setblocking(False)
            self._poller.watch(self._control.fileno(), self._hear_control)
        self._outbox.tell({"ev": "ready", "python": platform.python_version(), "pid": os.getpid()})

    def run(self) -> int:
        """Serve, once settled, until the control socket closes or SIGTERM; returns the exit code.

        Raises:
            BecomeRole: In a forked child; it says what to become.
        """
        try:
            while not (self._is_ending and not self._by_pid):
                self._turn()
            self._end_all()
        except BecomeRole:
            raise
        except BaseException:
            self._end_all()
            raise
        return self._exit_code

    def start(
        self, name: str, address: str, *, is_spare: bool = False, trust: Trust | None = None
    ) -> None:
        """Fork a front that will listen on `address`, and its first worker.

        Args:
            name: Of the replica.
            address: `unix:PATH` or `HOST:PORT`.
            is_spare: Nobody waits for it yet: its worker rehearses.
            trust: Whose specialisations it takes; None: as the zygote's others.
        """
        self._preloader.touch()
        link, front_link = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        replica = Replica(name, address, link, trust)
        self._replicas[name] = replica
        self._poller.watch(link.fileno(), lambda: self._hear_front(replica))
        try:
            replica.front_pid = self._forks.front(replica, front_link)
            self._by_pid[replica.front_pid] = replica
            replica.pid = replica.front_pid
            front_link.close()
            self._fork_worker(replica, self._preloader.script if is_spare else b"")
        except OSError as error:
            replica.reason, replica.detail = "start_failed", f"fork failed: {error}"
            self._end_replica(replica)

    def serve(self, name: str, address: str) -> None:
        """Fork the one replica of a pod, which is to listen soon and to be taken later.

        What is imported meanwhile, and a rehearsal, come too late for its first worker: another
        one is forked when all is done, unless the replica has been taken by then.
        """
        self.start(name, address)
        self._unrehearsed = self._replicas.get(name)

    def stop(self, name: str, grace_s: float) -> None:
        """Drain a replica; kill what is left of it after `grace_s`."""
        replica = self._replicas.get(name)
        if replica is None:
            return
        replica.reason = replica.reason or "stopped"
        if grace_s > 0 and replica.front_pid:
            replica.kill_at_s = time.monotonic() + grace_s
            family.kill(replica.front_pid, signal.SIGTERM)
        else:
            self._end_replica(replica)

    # -- one turn

    def _turn(self) -> None:
        self._poller.wait(self._patience_s())
        now_s = time.monotonic()
        for replica in list(self._replicas.values()):
            if replica.kill_at_s is not None and now_s >= replica.kill_at_s:
                self._end_replica(replica)
        self._preloader.turn(now_s)
        if self._unrehearsed is not None and self._preloader.due_s() is None:
            replica, self._unrehearsed = self._unrehearsed, None
            self._fork_worker(replica, self._preloader.script)

    def _patience_s(self) -> float:
        """Return how long nothing needs to be done unasked; -1: for ever."""
        due = [r.kill_at_s for r in self._replicas.values() if r.kill_at_s is not None]
        preload = self._preloader.due_s()
        if preload is not None:
            due.append(preload)
        if not due:
            return -1
        return max(0.0, min(due) - time.monotonic())

    # -- what others say

    def _hear_control(self) -> None:
        assert self._control is not None
        while True:
            try:
                message = self._control.recv(_MAX_MESSAGE_BYTES)
            except BlockingIOError:
                return
            except OSError:
                message = b""
            if not message:
                self._poller.unwatch(self._control.fileno())
                self._kill_everything()
                return
            self._obey(msgspec.msgpack.decode(message))

    def _obey(self, order: dict[str, Any]) -> None:
        match order.get("op"):
            case "replica":
                address = order.get("address") or f"unix:{order['socket']}"
                trust = trust_in(order["id"], order["trust"]) if order.get("trust") else None
                is_spare = bool(order.get("spare"))
                self.start(order["id"], address, is_spare=is_spare, trust=trust)
            case "stop":
                self.stop(order["id"], float(order.get("grace_s") or 0.0))
            case "preload":
                self._preloader.add(tuple(order["modules"]))

    def _hear_front(self, replica: Replica) -> None:
        while True:
            try:
                message = replica.link.recv(_MAX_MESSAGE_BYTES)
            except BlockingIOError:
                return
            except OSError:
                message = b""
            if not message:
                self._poller.unwatch(replica.link.fileno())
                return
            said = msgspec.msgpack.decode(message)
            match said.get("op"):
                case "listening":
                    self._outbox.tell(
                        {"ev": "started", "id": replica.name, "pid": replica.pid}
                        | {key: said[key] for key in ("address",) if key in said}
                    )
                case "worker":
                    self._fork_worker(replica)
                case "taken" if self._control is None:
                    self._unrehearsed = None
                    self._preloader.stop()
                case "failed":
                    replica.reason, replica.detail = said["reason"], said["detail"]

    def _on_signals(self, signals: bytes) -> None:
        if signal.SIGTERM in signals or signal.SIGINT in signals:
            self._drain_everything()
        self._reap()

    # -- forks

    def _fork_worker(self, replica: Replica, script: bytes = b"") -> None:
        if replica.front_pid == 0 or replica.reason == "start_failed":
            return
        try:
            pid = self._forks.worker(replica, self._preloader.thread_setters, script)
        except OSError as error:
            replica.say({"ev": "no_worker", "detail": f"fork failed: {error}"})
            return
        replica.worker_pids.add(pid)
        self._by_pid[pid] = replica

    def _fork_helper(self, work: Callable[[], None]) -> int:
        """Run `work` in a throw-away child."""
        sys.stdout.flush()
        pid = fork()
        if pid == 0:
            code = 1
            try:
                forked()
                family.die_with_parent()
                work()
                code = 0
            finally:
                os._exit(code)
        self._helpers.add(pid)
        return pid

    def _close_all(self) -> None:
        """Close, in a child, what only the zygote may hold: it would hide its end from others.

        The objects are closed, not their descriptors: a finaliser would close the number again,
        which may be somebody else's by then.
        """
        self._poller.close()
        if self._control is not None:
            self._control.close()
        for replica in self._replicas.values():
            replica.link.close()
        self._preloader.close()

    # -- ends

    def _reap(self) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                break
            if pid == 0:
                break
            if pid in self._helpers:
                self._helpers.discard(pid)
                self._preloader.reaped(pid, status)
            elif (replica := self._by_pid.pop(pid, None)) is not None:
                self._ended(replica, pid, status)
        self._kill_orphans()

    def _ended(self, replica: Replica, pid: int, status: int) -> None:
        if pid == replica.front_pid:
            replica.front_pid = 0
            self._hear_front(replica)  # its end may be seen before its last words
            self._note_front_end(replica, status)
            self._end_replica(replica)
        else:
            replica.worker_pids.discard(pid)
            replica.say({"ev": "worker_gone", "pid": pid, "status": status})
        if replica.front_pid == 0 and not replica.worker_pids:
            self._forget(replica)

    def _note_front_end(self, replica: Replica, status: int) -> None:
        if replica.reason:
            return
        is_clean = os.waitstatus_to_exitcode(status) == 0
        replica.reason = "stopped" if is_clean else "crashed"
        replica.detail = "" if is_clean else f"The front {family.describe_status(status)}."

    def _forget(self, replica: Replica) -> None:
        self._poller.unwatch(replica.link.fileno())
        replica.link.close()
        self._replicas.pop(replica.name, None)
        if replica.address.startswith("unix:"):
            with suppress(OSError):
                os.unlink(replica.address.removeprefix("unix:"))
        self._outbox.tell(
            {
                "ev": "gone",
                "id": replica.name,
                "reason": replica.reason or "crashed",
                "detail": replica.detail,
            }
        )
        if self._control is None:
            self._is_ending = True
            self._exit_code = 0 if replica.reason == "stopped" else 1

    def _end_replica(self, replica: Replica) -> None:
        replica.kill_at_s = None
        for pid in (replica.front_pid, *replica.worker_pids):
            if pid:
                family.kill(pid)

    def _kill_orphans(self) -> None:
        """Kill every child that was not started here: a worker that has ended left it behind."""
        for child in family.children_of(os.getpid()):
            is_known = child in self._by_pid or child in self._helpers
            if not is_known and family.is_process(child):
                family.kill(child)

    def _drain_everything(self) -> None:
        self._is_ending = True
        for name in list(self._replicas):
            self.stop(name, 3600.0)

    def _kill_everything(self) -> None:
        self._is_ending = True
        for replica in self._replicas.values():
            self._end_replica(replica)

    def _end_all(self) -> None:
        """Kill and reap until no child is left, also those that are orphaned meanwhile."""
        give_up_s = time.monotonic() + _LAST_ROUNDS_S
        while time.monotonic() < give_up_s:
            for child in family.children_of(os.getpid()):
                family.kill(child)
            try:
                os.waitpid(-1, 0)
            except ChildProcessError:
                return
