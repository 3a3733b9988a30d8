"""The worker of a replica, one after the other: asked for, loaded, lost, asked for again.

Knows what to load and how often it has failed; what that means for calls and for the replica's
state is decided in `replica.py`.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from typing import NamedTuple, Protocol

import msgspec

from jupyter_faas.core.errors import ColdStartTimeout, FaasError, ReplicaLost, from_problem
from jupyter_faas.core.specialisation import Specialisation
from jupyter_faas.runner.channel import (
    CLOSE,
    HAS_FD,
    IS_KEPT,
    LOAD,
    LoadAnswer,
    join_head,
)
from jupyter_faas.runner.crash import stack_of
from jupyter_faas.runner.crash_loop import CrashLoop
from jupyter_faas.runner.demise import demise, oom_kill_count
from jupyter_faas.runner.package_source import PackageSource
from jupyter_faas.runner.worker_link import WorkerLink, WorkerOwner
from jupyter_faas.wire.frames import encode_header

_LAST_WORDS_BYTES = 4096

_pack = msgspec.msgpack.Encoder().encode


class Loss(NamedTuple):
    """How a worker ended."""

    reason: str
    text: str
    was_loading: bool
    was_killed: bool
    """By the front itself, because a call would not end: no sign of a crash loop."""
    dump: bytes = b""
    """Where its threads were, if it crashed."""

    def error(self, more: str = "") -> ReplicaLost:
        """Return what to tell callers, with the stack of the thread that crashed."""
        stack = stack_of(self.dump.decode("utf-8", "replace"))
        extra = {"traceback": stack} if stack else {}
        return ReplicaLost(f"{self.text}{more}", reason=self.reason, **extra)


class LifeOwner(WorkerOwner, Protocol):
    """Whose worker it is."""

    def on_ready(self) -> None:
        """The package is loaded."""

    def on_load_failed(self, error: FaasError) -> None:
        """It could not be loaded, or not in time."""


class WorkerLife:
    """The worker that is there, if one is.

    Args:
        loop: The front's.
        ask_worker: Asks the zygote for another one.
        owner: Is told what it says and how loading goes.
    """

    def __init__(
        self, loop: asyncio.AbstractEventLoop, ask_worker: Callable[[], None], owner: LifeOwner
    ) -> None:
        self.link: WorkerLink | None = None
        self.is_loaded = False
        self.is_windowed = False
        self.load_ms = 0.0
        self.crashes = CrashLoop()
        self._loop = loop
        self._ask_worker = ask_worker
        self._owner = owner
        self._spec: Specialisation | None = None
        self._package: PackageSource | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._was_killed = False
        self._last_words = b""
        self._oom_kills = oom_kill_count()

    @property
    def pid(self) -> int | None:
        """The process that runs the code now."""
        return self.link.pid if self.link is not None else None

    @property
    def takes_calls(self) -> bool:
        """Whether it has its code, and has not been killed."""
        return self.is_loaded and not self._was_killed

    def become(self, spec: Specialisation, package: PackageSource) -> None:
        """Load this from now on, in every worker."""
        self._spec, self._package = spec, package
        self._load()

    def forget(self) -> None:
        """Load nothing any more: the replica has failed."""
        self._cancel_timer()
        self._spec = None

    def arrive(self, pid: int, fds: list[int]) -> None:
        """The zygote has forked a worker; one that waits for its code makes room for it.

        One that has its code stays: the new one ends when it finds its descriptors closed.
        """
        if self.link is not None:
            if self._spec is not None:
                for fd in fds:
                    os.close(fd)
                return
            self.link.close()
        self.link = WorkerLink(self._loop, pid, fds, self._owner)
        self.is_loaded = self._was_killed = False
        self._last_words = b""
        self._load()

    def answered(self, answer: LoadAnswer) -> None:
        """The worker has loaded the package, or says why not."""
        self._cancel_timer()
        if self._spec is None:
            return
        self.load_ms = answer.load_ms
        self.is_windowed = answer.is_windowed
        if answer.problem is not None:
            self._owner.on_load_failed(from_problem(answer.problem))
            return
        self.is_loaded = True
        self._owner.on_ready()

    def hear(self, text: bytes) -> None:
        """Remember the end of what it writes to stderr: it may say why it dies."""
        self._last_words = (self._last_words + text)[-_LAST_WORDS_BYTES:]

    def gone(self, pid: int, status: int) -> Loss | None:
        """The zygote has reaped a worker; None: not the one that is here."""
        link = self.link
        if link is None or link.pid != pid:
            return None
        link.drain()
        self._cancel_timer()
        kills = oom_kill_count()
        reason, text = demise(status, self._last_words, kills - self._oom_kills)
        loss = Loss(reason, text, not self.is_loaded, self._was_killed, link.crash_dump())
        self._oom_kills = kills
        self.link, self.is_loaded = None, False
        link.close()
        return loss

    def replace(self, loss: Loss) -> bool:
        """Ask for another worker, later if they die one after the other; False: no use."""
        delay_s: float | None = 0.0
        if not loss.was_killed:
            delay_s = self.crashes.lost(was_loading=loss.was_loading)
        if delay_s is None:
            return False
        if delay_s:
            self._loop.call_later(delay_s, self._ask_worker)
        else:
            self._ask_worker()
        return True

    def kill(self) -> None:
        """End it: its code will not end by itself."""
        self._was_killed = True
        if self.link is not None:
            self.link.kill()

    def say_close(self) -> bool:
        """Have it run `close()` and leave; False: there is nothing to close."""
        if self.link is None or not self.is_loaded:
            return False
        self.link.send([encode_header(CLOSE, 0)])
        return True

    def _load(self) -> None:
        if self.link is None or self._spec is None or self._package is None:
            return
        head: bytes = _pack(self._spec)
        package = self._package
        prefix, length = join_head(head, len(package.data))
        if package.fd >= 0:
            header = encode_header(LOAD, length, flags=HAS_FD | IS_KEPT)
            self.link.send([header + prefix], (os.dup(package.fd),))
        else:
            self.link.send([encode_header(LOAD, length) + prefix, package.data])
        self._timer = self._loop.call_later(self._spec.startup_timeout_s, self._is_late, self._spec)

    def _is_late(self, spec: Specialisation) -> None:
        text = (
            f"{spec.function} was not ready within its `startup_timeout` of "
            f"{spec.startup_timeout_s:g} s."
        )
        self._owner.on_load_failed(ColdStartTimeout(text))
        self.kill()

    def _cancel_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
