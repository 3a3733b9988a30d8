"""The state of one replica, as its front keeps it: generic → loading → ready → draining | failed.

Holds the specialisation, the package, the calls and the worker. A worker that is lost is replaced
by itself: its calls are told, another is asked of the zygote and given the package again.
Nothing here parses HTTP; `app.py` does.
"""

from __future__ import annotations

import asyncio
import os
import platform
from collections.abc import Callable
from typing import Any

import msgspec

from jupyter_faas.core.errors import (
    ColdStartTimeout,
    EnvironmentMismatch,
    FaasError,
    InvocationCancelled,
    ReplicaLost,
    from_problem,
    to_problem,
)
from jupyter_faas.core.model import PROTOCOL_VERSION
from jupyter_faas.core.specialisation import Hello, Specialisation
from jupyter_faas.core.version import VERSION
from jupyter_faas.runner.channel import (
    CLOSE,
    CREDIT,
    HAS_FD,
    IS_KEPT,
    LATE,
    LOAD,
    LOADED,
    LOADS,
    join_head,
)
from jupyter_faas.runner.crash_loop import CrashLoop
from jupyter_faas.runner.demise import demise, oom_kill_count
from jupyter_faas.runner.intake import MIB
from jupyter_faas.runner.invocation import RUNNING, FrontCall
from jupyter_faas.runner.package_source import PackageSource
from jupyter_faas.runner.watch import Watchers
from jupyter_faas.runner.worker_link import WorkerLink
from jupyter_faas.wire.frames import STDERR, Frame, FrameKind, encode_header

GENERIC, LOADING, READY, DRAINING, FAILED = "generic", "loading", "ready", "draining", "failed"

_UNLIMITED = CREDIT.pack(1 << 60)
_LAST_WORDS_BYTES = 4096
_HANG_UP_GRACE_S = 0.5
_CLOSE_GRACE_S = 5.0
_INTERRUPT_AGAIN_S = 0.02

_pack = msgspec.msgpack.Encoder().encode


class FrontReplica:
    """One replica.

    Args:
        loop: The front's.
        ask_worker: Asks the zygote for another worker.
        give_up: Called with reason and sentence when the replica is of no use any more.
        on_idle: Called once a drain is complete.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        ask_worker: Callable[[], None],
        give_up: Callable[[str, str], None],
        on_idle: Callable[[], None],
    ) -> None:
        self.loop = loop
        self.state = GENERIC
        self.spec: Specialisation = None  # type: ignore[assignment]  # set before any call
        self.calls: dict[int, FrontCall] = {}
        self.by_id: dict[str, FrontCall] = {}
        self.watchers = Watchers()
        self.is_windowed = False
        self.keeps_bodies = False
        self.problem: dict[str, Any] | None = None
        self._ask_worker = ask_worker
        self._give_up = give_up
        self._on_idle = on_idle
        self._link: WorkerLink | None = None
        self._package: PackageSource | None = None
        self._load_ms = 0.0
        self._is_loaded = False
        self._is_closing = False
        self._overdue: set[FrontCall] = set()
        self._waiting: list[FrontCall] = []
        self._touched: list[FrontCall] = []
        self._on_loaded: list[Callable[[], None]] = []
        self._load_timer: asyncio.TimerHandle | None = None
        self._crashes = CrashLoop()
        self._last_words = b""
        self._oom_kills = oom_kill_count()
        self._next_tag = 1

    # -- what others ask

    def hello(self) -> Hello:
        """Return what this replica says about itself."""
        spec = self.spec
        return Hello(
            version=VERSION,
            python=platform.python_version(),
            state=self.state,
            replica=spec.replica if spec else "",
            revision_id=spec.revision_id if spec else "",
            max_inputs=spec.max_inputs if spec else 1,
            in_flight=len(self.calls),
            load_ms=self._load_ms,
            worker_pid=self._link.pid if self._link else None,
        )

    @property
    def worker_pid(self) -> int | None:
        """The process that runs the code now."""
        return self._link.pid if self._link is not None else None

    @property
    def is_busy(self) -> bool:
        """Whether a call would have to wait."""
        return self.state != READY or len(self.calls) >= self.spec.max_inputs or bool(self._overdue)

    def body_limit_bytes(self) -> int:
        """Return how large the next body may be: what memfds hold counts as the function's."""
        if not self.calls:
            return self.spec.memory_mib * MIB
        held = sum(call.memfd_bytes for call in self.calls.values())
        return max(0, self.spec.memory_mib * MIB - held)

    def next_tag(self) -> int:
        """Return a name for a call on the channel, not used before (in 2³² calls)."""
        tag = self._next_tag
        self._next_tag = tag % 0xFFFFFFFF + 1
        return tag

    def specialise(
        self, wanted: Specialisation, package: PackageSource, on_done: Callable[[], None]
    ) -> None:
        """Become a revision; `on_done` is called when it is ready or has failed."""
        self.spec = wanted
        self.keeps_bodies = wanted.idempotent is True or wanted.retries.max_retries > 0
        self._package = package
        self._on_loaded.append(on_done)
        self._set_state(LOADING)
        if wanted.protocol > PROTOCOL_VERSION:
            text = f"The gateway speaks protocol {wanted.protocol}, this runner an older one."
            self._fail(EnvironmentMismatch(text))
        elif self._link is not None:
            self._load()

    def when_loaded(self, on_done: Callable[[], None]) -> None:
        """Have `on_done` called when loading has ended; at once if it has."""
        if self.state == LOADING:
            self._on_loaded.append(on_done)
        else:
            on_done()

    def admit(self, call: FrontCall) -> None:
        """Give a call its slot."""
        self.calls[call.tag] = call
        self.by_id[call.head.id] = call

    def release(self, call: FrontCall) -> None:
        """The code of a call has ended: its slot is free."""
        self.calls.pop(call.tag, None)
        if self.by_id.get(call.head.id) is call:
            del self.by_id[call.head.id]
        self._overdue.discard(call)
        if self._link is not None:
            self._link.resume()
        if self._overdue and all(c in self._overdue for c in self._running()):
            self._kill_worker()
        self._leave_if_idle()

    def submit(self, call: FrontCall) -> None:
        """Run a call now, or when the worker is there again."""
        if self._link is not None and self._is_loaded:
            call.send(self._link)
        elif self.state == FAILED:
            call.fail(self._failure())
        else:
            self._waiting.append(call)

    def withdraw(self, call: FrontCall) -> None:
        """A call that waits will not run."""
        if call in self._waiting:
            self._waiting.remove(call)

    def cancel(self, invocation_id: str) -> bool:
        """End a call; returns whether it is here."""
        call = self.by_id.get(invocation_id)
        if call is None:
            return False
        call.end_code(InvocationCancelled("The call was cancelled.", invocation_id=invocation_id))
        return True

    def drain(self) -> None:
        """Take nothing new; leave when idle."""
        if self.state in (DRAINING, FAILED):
            self._leave_if_idle()
            return
        self._set_state(DRAINING)
        self._leave_if_idle()

    # -- what calls ask

    def interrupt(self, call: FrontCall) -> None:
        """Ask the code of a call to end."""
        link = self._link
        if link is None or call.state != RUNNING or call.tag not in self.calls:
            return
        if self.is_windowed:
            link.send([encode_header(FrameKind.CREDIT, len(_UNLIMITED), tag=call.tag) + _UNLIMITED])
            link.send([encode_header(FrameKind.CANCEL, 0, tag=call.tag)])
            return
        link.resume()
        link.interrupt()
        # The worker may not have begun the call: an interrupt before that is not for it.
        self.loop.call_later(_INTERRUPT_AGAIN_S, self.interrupt, call)

    def overdue(self, call: FrontCall) -> None:
        """The grace of a call is over and its code has not ended."""
        if call.state != RUNNING or call.tag not in self.calls:
            return
        self._overdue.add(call)
        if all(c in self._overdue for c in self._running()):
            self._kill_worker()
        else:
            call.answer_running()

    def give_credit(self, call: FrontCall, size: int) -> None:
        """The caller has taken `size` bytes."""
        if self._link is not None and call.state == RUNNING:
            body = CREDIT.pack(size)
            self._link.send([encode_header(FrameKind.CREDIT, len(body), tag=call.tag) + body])

    def reader_is_ready(self, call: FrontCall) -> None:
        """A caller that was slow takes more."""
        if self._link is not None:
            self._link.resume()

    def succeeded(self) -> None:
        """A call has ended in a living worker."""
        self._crashes.succeeded()

    # -- what the worker says

    def on_worker(self, pid: int, fds: list[int]) -> None:
        """The zygote has forked a worker."""
        self._link = WorkerLink(self.loop, pid, fds, self)
        self._last_words = b""
        self._is_loaded = False
        if self.spec is not None and self.state != FAILED:
            self._load()

    def on_frame(self, frame: Frame) -> None:
        """Hand a frame to its call."""
        call = self.calls.get(frame.tag)
        if call is not None:
            if not self._touched or self._touched[-1] is not call:
                self._touched.append(call)
            call.on_frame(frame)
        elif frame.kind == FrameKind.LOG:
            self._on_stray_log(frame)
        elif frame.kind == LOADED:
            answer = LOADS.decode(frame.body)
            self.is_windowed = answer.is_windowed
            self._on_answer(answer.load_ms, answer.problem)

    def on_batch_end(self) -> None:
        """Send what the calls hold; stop reading where a caller does not take it."""
        touched, self._touched = self._touched, []
        for call in touched:
            call.flush()
            if call.is_blocked and self._link is not None:
                self._hold_back(self._link)

    def on_output(self, stream: int, text: bytes) -> None:
        """Output of C code and subprocesses: of the one call that runs, else of nobody."""
        if stream == STDERR:
            self._last_words = (self._last_words + text)[-_LAST_WORDS_BYTES:]
        running = self._running()
        if len(running) == 1:
            running[0].on_log(stream, text, takes_credit=False)
            self._touched.append(running[0])
        else:
            self.watchers.log(stream, "", text)

    def on_hang_up(self) -> None:
        """The worker has closed its channel: it has ended, or has become another program."""
        link = self._link
        if link is not None:
            self.loop.call_later(_HANG_UP_GRACE_S, link.kill)

    def on_worker_gone(self, pid: int, status: int) -> None:
        """The zygote has reaped a worker."""
        link = self._link
        if link is None or link.pid != pid:
            return
        link.drain()
        self._link = None
        was_loading = not self._is_loaded
        self._is_loaded = False
        self._overdue.clear()
        link.close()
        reason, text = demise(status, self._last_words, oom_kill_count() - self._oom_kills)
        if self._is_closing:
            self._on_idle()
            return
        self._tell_lost(reason, text)
        self._replace(reason, text, was_loading)

    def kill_worker_family(self) -> None:
        """The zygote is gone: end the worker and all it has started."""
        if self._link is not None:
            self._link.kill_family()

    # -- loading

    def _load(self) -> None:
        assert self._link is not None
        assert self._package is not None
        head = _pack(self.spec)
        package = self._package
        prefix, length = join_head(head, len(package.data))
        if package.fd >= 0:
            header = encode_header(LOAD, length, flags=HAS_FD | IS_KEPT)
            self._link.send([header + prefix], (os.dup(package.fd),))
        else:
            self._link.send([encode_header(LOAD, length) + prefix, package.data])
        self._load_timer = self.loop.call_later(self.spec.startup_timeout_s, self._on_slow_load)

    def _on_slow_load(self) -> None:
        text = (
            f"{self.spec.function} was not ready within its `startup_timeout` of "
            f"{self.spec.startup_timeout_s:g} s."
        )
        self._fail(ColdStartTimeout(text))
        self._kill_worker()

    def _on_answer(self, load_ms: float, problem: dict[str, Any] | None) -> None:
        if self._load_timer is not None:
            self._load_timer.cancel()
        self._load_ms = load_ms
        if self.state == FAILED:
            return
        if problem is not None:
            self._fail(from_problem(problem))
            return
        self._is_loaded = True
        if self.state == LOADING:
            self._set_state(READY)
        self._tell_loaded()
        waiting, self._waiting = self._waiting, []
        for call in waiting:
            self.submit(call)

    def _fail(self, error: FaasError) -> None:
        self.problem = to_problem(error)
        if self._load_timer is not None:
            self._load_timer.cancel()
        self._set_state(FAILED)
        self._tell_loaded()
        for call in list(self.calls.values()):
            call.fail(self._failure())

    def _failure(self) -> FaasError:
        return from_problem(self.problem or {"code": "internal"})

    def _tell_loaded(self) -> None:
        told, self._on_loaded = self._on_loaded, []
        for on_done in told:
            on_done()

    # -- losing a worker

    def _tell_lost(self, reason: str, text: str) -> None:
        lost = ReplicaLost(text, reason=reason)
        for call in self._running():
            call.lost(lost)

    def _replace(self, reason: str, text: str, was_loading: bool) -> None:
        if self.state == FAILED:
            return
        if was_loading and self._on_loaded:
            self._fail(ReplicaLost(f"{text} It was loading the function.", reason=reason))
            return
        delay_s = self._crashes.lost(was_loading=was_loading)
        if delay_s is None:
            self._fail(ReplicaLost(f"{text} It happened again and again.", reason=reason))
            self._give_up(reason, text)
            return
        if self.state == DRAINING and not self.calls:
            self._leave_if_idle()
            return
        if self.state == READY:
            self._set_state(LOADING)
        if delay_s:
            self.loop.call_later(delay_s, self._ask_worker)
        else:
            self._ask_worker()

    def _kill_worker(self) -> None:
        if self._link is not None:
            self._link.kill()

    # -- small things

    def _hold_back(self, link: WorkerLink) -> None:
        """A caller is slow: let the worker feel it, as far as that holds up nobody else."""
        if not self.is_windowed:
            link.pause()
        elif self.spec.max_inputs == 1:
            link.pause_pipes()

    def _running(self) -> list[FrontCall]:
        return [call for call in self.calls.values() if call.state == RUNNING]

    def _on_stray_log(self, frame: Frame) -> None:
        if frame.flags & LATE:
            self.watchers.log_body(frame.stream, bytes(frame.body))
        else:
            self.watchers.log(frame.stream, "", bytes(frame.body))

    def _set_state(self, state: str) -> None:
        self.state = state
        self.watchers.state(self.hello())

    def _leave_if_idle(self) -> None:
        if self.state != DRAINING or self.calls or self._is_closing:
            return
        self._is_closing = True
        if self._link is not None and self._is_loaded:
            self._link.send([encode_header(CLOSE, 0)])
            self.loop.call_later(_CLOSE_GRACE_S, self._on_idle)
        else:
            self._on_idle()
