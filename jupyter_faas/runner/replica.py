"""The state of one replica, as its front keeps it: generic → loading → ready → draining | failed.

Holds the specialisation, the package, the calls and the worker. A worker that is lost is replaced
by itself: its calls are told, another is asked of the zygote and given the package again.
Nothing here parses HTTP; `app.py` does.
"""

from __future__ import annotations

import asyncio
import platform
from collections.abc import Callable, Sequence
from typing import Any

from jupyter_faas.core.errors import (
    EnvironmentMismatch,
    FaasError,
    InvocationCancelled,
    from_problem,
    to_problem,
)
from jupyter_faas.core.model import PROTOCOL_VERSION, speaks
from jupyter_faas.core.specialisation import Hello, Specialisation
from jupyter_faas.core.version import VERSION
from jupyter_faas.runner.channel import (
    CREDIT,
    LATE,
    LOADED,
    LOADS,
)
from jupyter_faas.runner.deadlines import Deadlines
from jupyter_faas.runner.demise import CRASHED
from jupyter_faas.runner.intake import MIB
from jupyter_faas.runner.invocation import RUNNING, FrontCall
from jupyter_faas.runner.package_source import PackageSource
from jupyter_faas.runner.watch import Watchers
from jupyter_faas.runner.worker_life import Loss, WorkerLife
from jupyter_faas.runner.worker_link import WorkerLink
from jupyter_faas.wire.frames import CRASH, STDERR, Frame, FrameKind, encode_header

GENERIC, LOADING, READY, DRAINING, FAILED = "generic", "loading", "ready", "draining", "failed"

_UNLIMITED = CREDIT.pack(1 << 60)
_HANG_UP_GRACE_S = 0.5
_CLOSE_GRACE_S = 5.0
_INTERRUPT_AGAIN_S = 0.02
_LINGER_S = 0.25
"""How long a replica that has nothing to do still answers after it has said that it drains."""
_LAST_LOOK_S = 0.02
"""Timers ring first: what has come while this process stood still is read in this time."""


class FrontReplica:
    """One replica.

    Args:
        loop: The front's.
        ask_worker: Asks the zygote for another worker.
        give_up: Called with reason and sentence when the replica is of no use any more.
        on_idle: Called once a drain is complete.
        on_taken: Called when it is told what to become.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        ask_worker: Callable[[], None],
        give_up: Callable[[str, str], None],
        on_idle: Callable[[], None],
        on_taken: Callable[[], None] = lambda: None,
    ) -> None:
        self.loop = loop
        self.state = GENERIC
        self.spec: Specialisation = None  # type: ignore[assignment]  # set before any call
        self.calls: dict[int, FrontCall] = {}
        self.by_id: dict[str, FrontCall] = {}
        self.deadlines = Deadlines(loop, self.calls)
        self.watchers = Watchers()
        self.keeps_bodies = False
        self.problem: dict[str, Any] | None = None
        self._worker = WorkerLife(loop, ask_worker, self)
        self._give_up = give_up
        self._on_idle = on_idle
        self._on_taken = on_taken
        self._is_closing = False
        self._is_lingering = False
        self._overdue: set[FrontCall] = set()
        self._waiting: list[FrontCall] = []
        self._touched: list[FrontCall] = []
        self._on_loaded: list[Callable[[], None]] = []
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
            load_ms=self._worker.load_ms,
            worker_pid=self._worker.pid,
        )

    @property
    def worker_pid(self) -> int | None:
        """The process that runs the code now."""
        return self._worker.pid

    @property
    def is_windowed(self) -> bool:
        """Whether calls run side by side: the channel is always read, and output takes credit."""
        return self._worker.is_windowed

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
        self._on_loaded.append(on_done)
        self._set_state(LOADING)
        if not speaks(wanted.protocol):
            text = (
                f"The gateway speaks protocol {wanted.protocol}, this runner {PROTOCOL_VERSION}: "
                "install versions that are next to each other."
            )
            self._fail(EnvironmentMismatch(text))
        else:
            self._worker.become(wanted, package)
        self._on_taken()

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
        if self._worker.link is not None:
            self._worker.link.resume()
        if self._overdue and all(c in self._overdue for c in self._running()):
            self._kill_worker()
        self._leave_if_idle()

    def submit(self, call: FrontCall) -> None:
        """Run a call now, or when the worker is there again."""
        if self._worker.link is not None and self._worker.takes_calls:
            call.send(self._worker.link)
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
        """Take nothing new; leave when idle, and when whoever sends calls has heard of it."""
        was_ready = self.state == READY
        if self.state not in (DRAINING, FAILED):
            self._set_state(DRAINING)
        if was_ready:
            # What is on its way already is refused, as not run, instead of cut.
            self._is_lingering = True
            self.loop.call_later(_LINGER_S, self._linger_no_more)
        self._leave_if_idle()

    # -- what calls ask

    def interrupt(self, call: FrontCall) -> None:
        """Ask the code of a call to end."""
        link = self._worker.link
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
        link = self._worker.link
        if link is not None and call.state == RUNNING:
            body = CREDIT.pack(size)
            link.send([encode_header(FrameKind.CREDIT, len(body), tag=call.tag) + body])

    def reader_is_ready(self, call: FrontCall) -> None:
        """A caller that was slow takes more."""
        if self._worker.link is not None:
            self._worker.link.resume()

    def succeeded(self) -> None:
        """A call has ended in a living worker."""
        self._worker.crashes.succeeded()

    # -- what the worker says

    def on_worker(self, pid: int, fds: list[int]) -> None:
        """The zygote has forked a worker."""
        self._worker.arrive(pid, fds)

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
            self._worker.answered(LOADS.decode(frame.body))

    def on_batch_end(self) -> None:
        """Send what the calls hold; stop reading where a caller does not take it."""
        touched, self._touched = self._touched, []
        for call in touched:
            call.flush()
            if call.is_blocked and self._worker.link is not None:
                self._hold_back(self._worker.link)

    def on_output(self, stream: int, text: bytes) -> None:
        """Output of C code and subprocesses: of the one call that runs, else of nobody."""
        if stream == STDERR:
            self._worker.hear(text)
        running = self._running()
        if len(running) == 1:
            running[0].on_log(stream, text, takes_credit=False)
            self._touched.append(running[0])
        else:
            self.watchers.log(stream, "", text)

    def on_hang_up(self) -> None:
        """The worker has closed its channel: it has ended, or has become another program."""
        link = self._worker.link
        if link is not None:
            self.loop.call_later(_HANG_UP_GRACE_S, link.kill)

    def on_worker_gone(self, pid: int, status: int) -> None:
        """The zygote has reaped a worker."""
        loss = self._worker.gone(pid, status)
        if loss is None:
            return
        self._overdue.clear()
        if self._is_closing:
            self._on_idle()
            return
        running = self._running()
        if loss.dump:
            self._log_crash(loss.dump, running)
        lost = loss.error()
        for call in running:
            call.lost(lost)
        self._replace(loss)

    def _log_crash(self, dump: bytes, running: Sequence[FrontCall]) -> None:
        """Have a crash in the log: by those who watch, or, on Ray, by the driver of a map."""
        self.watchers.log(STDERR, running[0].head.id if len(running) == 1 else "", dump)
        for call in running:
            if call.is_chunk and not call.is_ended_by_us:
                call.on_log(CRASH, dump, takes_credit=False)
                return

    def kill_worker_family(self) -> None:
        """The zygote is gone: end the worker and all it has started."""
        if self._worker.link is not None:
            self._worker.link.kill_family()

    # -- loading

    def on_ready(self) -> None:
        """The package is loaded: calls that waited can run."""
        if self.state == LOADING:
            self._set_state(READY)
        self._tell_loaded()
        waiting, self._waiting = self._waiting, []
        for call in waiting:
            self.submit(call)

    def on_load_failed(self, error: FaasError) -> None:
        """The package cannot be loaded; a gateway that waits is told, else the replica ends."""
        is_awaited = bool(self._on_loaded)
        self._fail(error)
        if not is_awaited:
            self._give_up(CRASHED, error.detail)

    def _fail(self, error: FaasError) -> None:
        self.problem = to_problem(error)
        self._worker.forget()
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

    def _replace(self, loss: Loss) -> None:
        if self.state == FAILED:
            return
        if loss.was_loading and self._on_loaded:
            self._fail(loss.error(" It was loading the function."))
        elif self.state == DRAINING and not self.calls:
            self._leave_if_idle()
        elif self._worker.replace(loss):
            if self.state == READY:
                self._set_state(LOADING)
        else:
            self._fail(loss.error(" It happened again and again."))
            self._give_up(loss.reason, loss.text)

    # -- small things

    def _kill_worker(self) -> None:
        """From now on it is a lost one: its calls may end just now, and none may follow them."""
        self._worker.kill()
        if self.state == READY:
            self._set_state(LOADING)

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

    def _linger_no_more(self) -> None:
        self.loop.call_later(_LAST_LOOK_S, self._linger_over)

    def _linger_over(self) -> None:
        self._is_lingering = False
        self._leave_if_idle()

    def _leave_if_idle(self) -> None:
        if self.state != DRAINING or self.calls or self._is_closing or self._is_lingering:
            return
        self._is_closing = True
        if self._worker.say_close():
            self.loop.call_later(_CLOSE_GRACE_S, self._on_idle)
        else:
            self._on_idle()
