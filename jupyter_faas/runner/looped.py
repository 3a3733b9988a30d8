"""Calls side by side: `max_inputs` above 1, or asynchronous functions.

The main thread runs an event loop that reads the channel. Asynchronous functions are its tasks,
synchronous ones run in threads. The loop alone writes to the channel while calls run (an
asynchronous exception in a thread could leave half a frame there), and nothing here waits in the
loop: what one call may send is limited by its `Flow`, so that a slow reader holds up nobody else.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial

from jupyter_faas.execution.call import Call
from jupyter_faas.execution.ending import ThreadGate
from jupyter_faas.execution.failure import unreadable_arguments
from jupyter_faas.execution.flow import Flow
from jupyter_faas.execution.items import ItemsCall
from jupyter_faas.execution.load import Loaded
from jupyter_faas.execution.output import CallOutput
from jupyter_faas.runner.call_threads import CallThreads
from jupyter_faas.runner.channel import (
    CLOSE,
    CREDIT,
    HEADS,
    WINDOW_BYTES,
    Buffer,
    CallHead,
    Channel,
    pieces,
)
from jupyter_faas.runner.forked import ForkGuard
from jupyter_faas.runner.payload import open_body
from jupyter_faas.runner.serial import close, end_frame, fault_frame
from jupyter_faas.runner.surface import Surface
from jupyter_faas.runner.targets import Targets
from jupyter_faas.wire.frames import Frame, FrameKind, encode_header

_MAX_BUFFERS = 256
"""So many buffers are joined into one write."""
_PATIENCE_S = 1.0
"""A thread waits no longer for the loop to send what it has posted."""


class LoopedCalls:
    """Serves calls until the front hangs up or says CLOSE.

    Args:
        channel: To the front.
        surface: Output of this process.
        loaded: The package.
    """

    def __init__(self, channel: Channel, surface: Surface, loaded: Loaded) -> None:
        self._channel = channel
        self._surface = surface
        self._loaded = loaded
        self._targets = Targets(loaded)
        self._guard = ForkGuard()
        self._loop = asyncio.new_event_loop()
        self._running: dict[int, Running] = {}
        self._threads = CallThreads()
        self._posted: deque[Sequence[Buffer]] = deque()
        self._is_woken = False
        self._is_over = False

    def run(self) -> int:
        """Serve; returns the exit code of the process."""
        asyncio.set_event_loop(self._loop)
        self._loop.add_reader(self._channel.fileno(), self._read)
        while not self._is_over:
            # A task of the function that raises SystemExit stops the loop: that ends no worker.
            with suppress(SystemExit, KeyboardInterrupt):
                self._loop.run_forever()
        self._guard.check(None)
        return close(self._loaded, self._surface)

    def post(self, frame: Sequence[Buffer]) -> None:
        """Send a frame, from any thread, after all that was posted before."""
        self._posted.append(frame)
        if not self._is_woken:
            self._is_woken = True
            self._loop.call_soon_threadsafe(self._send_posted)

    def settle(self) -> None:
        """Return once all that was posted is in the channel; for threads."""
        gate = threading.Lock()
        gate.acquire()
        self._loop.call_soon_threadsafe(gate.release)
        gate.acquire(timeout=_PATIENCE_S)

    def send_posted(self) -> None:
        """Send what was posted. Loop thread only."""
        self._send_posted()

    def _send_posted(self) -> None:
        self._is_woken = False
        while self._posted:
            buffers: list[Buffer] = []
            while self._posted and len(buffers) < _MAX_BUFFERS:
                buffers.extend(self._posted.popleft())
            self._channel.send(buffers)

    def _read(self) -> None:
        frames = self._channel.receive_ready()
        if frames is None:
            self._stop()
            return
        for frame in frames:
            if frame.kind == FrameKind.CALL:
                self._start(frame)
            elif frame.kind == CLOSE:
                self._stop()
            elif (running := self._running.get(frame.tag)) is not None:
                running.on_frame(frame)

    def _stop(self) -> None:
        self._is_over = True
        self._loop.stop()

    def _start(self, frame: Frame) -> None:
        began_s = time.perf_counter()
        raw_head, payload = open_body(self._channel, frame)
        head = HEADS.decode(raw_head)
        running = Running(frame.tag, head, began_s, Flow(WINDOW_BYTES, self._loop), self)
        form = self._targets.form(head)
        try:
            call, is_async = self._targets.call(head, payload, self._surface.minder)
        except Exception as missing:
            fault = unreadable_arguments(missing, form.dump_exception)
            self._channel.send([*fault_frame(frame.tag, fault, False)])
            self._channel.send(end_frame(frame.tag, 0.0, "error"))
            return
        self._running[frame.tag] = running
        del payload
        if is_async:
            running.task = self._loop.create_task(self._run_task(running, call))
        else:
            self._threads.submit(partial(self._run_thread, running, call))

    async def _run_task(self, running: Running, call: Call | ItemsCall) -> None:
        entered = self._surface.enter(running.head, running.output)
        error: BaseException | None = None
        try:
            running.check_cancelled()
            await call.perform_async(TaskEmit(running))
        except BaseException as raised:
            error = raised
        self._guard.check(error)
        self._surface.leave(entered)
        frames = running.frames_of(call, error)
        while running.output.has_pending:
            await running.flow.room()
            running.output.flush()
        for frame in frames[:-1]:
            await running.flow.room()
            running.send(frame)
        running.post(frames[-1])
        self._end(running)

    def _run_thread(self, running: Running, call: Call | ItemsCall) -> None:
        entered = self._surface.enter(running.head, running.output)
        error: BaseException | None = None
        try:
            running.gate.run(partial(call.perform, ThreadEmit(running)))
        except BaseException as raised:
            error = raised
        self._guard.check(error)
        self._surface.leave(entered)
        frames = running.frames_of(call, error)
        running.output.flush_all()
        for frame in frames[:-1]:
            running.flow.wait()
            running.send(frame)
        running.post(frames[-1])
        self._loop.call_soon_threadsafe(self._end, running)

    def _end(self, running: Running) -> None:
        self._running.pop(running.tag, None)
        self._surface.finish(running.output, running.head.id)


class Running:
    """One call that is running: how to end it, and where what it gives goes."""

    def __init__(
        self, tag: int, head: CallHead, began_s: float, flow: Flow, calls: LoopedCalls
    ) -> None:
        self.tag = tag
        self.head = head
        self.flow = flow
        self.post = calls.post
        self.calls = calls
        self.before_log: Callable[[], None] | None = None
        self.gate = ThreadGate()
        self.task: asyncio.Task[None] | None = None
        self.answer: list[list[Buffer]] = []
        self.is_ended = False
        self._is_begun = False
        self._is_cancelled = False
        self.output = CallOutput(self._log, calls._surface.flusher, flow.wait)
        self._began_s = began_s

    def on_frame(self, frame: Frame) -> None:
        """CANCEL or CREDIT for this call."""
        if frame.kind == FrameKind.CREDIT:
            self.flow.give(CREDIT.unpack(frame.body)[0])
        elif self.is_ended:
            return
        elif frame.kind == FrameKind.CANCEL:
            self._cancel()

    def check_cancelled(self) -> None:
        """Begin, unless the call was cancelled before its task ran for the first time.

        A task that is cancelled before would end without running anything: no END would be sent.
        """
        self._is_begun = True
        if self._is_cancelled:
            raise asyncio.CancelledError

    def send(self, frame: Sequence[Buffer]) -> None:
        """Send a frame that takes credit."""
        self.flow.take(sum(len(part) for part in frame[1:]))
        self.post(frame)

    def frames_of(
        self, call: Call | ItemsCall, error: BaseException | None
    ) -> list[Sequence[Buffer]]:
        """Return the last frames of the call; END is part of the last."""
        self.is_ended = True
        fault = None if error is None else call.fault_of(error)
        frames = self.answer
        if fault is not None:
            frames = [fault_frame(self.tag, fault, call.is_in_code)]
        run_ms = (time.perf_counter() - self._began_s) * 1000
        end = end_frame(self.tag, run_ms, "done" if fault is None else "error")
        return [*frames[:-1], [*(frames[-1] if frames else ()), *end]]

    def _cancel(self) -> None:
        if self.task is None:
            self.gate.cancel()
        elif self._is_begun:
            self.task.cancel()
        else:
            self._is_cancelled = True

    def _log(self, stream: int, text: bytes) -> bool:
        if not self.flow.has_room:
            return False
        if self.before_log is not None:
            self.before_log()
        self.send([encode_header(FrameKind.LOG, len(text), tag=self.tag, stream=stream), text])
        return True


class ThreadEmit:
    """Takes what a call in a thread gives."""

    def __init__(self, running: Running) -> None:
        self._running = running

    def item(self, parts: Sequence[Buffer], body_type: int) -> None:
        """Post one item when there is room; its buffers are copied out of the thread's reach."""
        running = self._running
        running.output.flush_all()
        for frame in pieces(FrameKind.ITEM, parts, tag=running.tag, stream=body_type):
            running.flow.wait()
            running.send(frame)

    def result(self, parts: Sequence[Buffer], body_type: int) -> None:
        """Keep the result until the code has ended."""
        running = self._running
        running.answer = pieces(FrameKind.RESULT, parts, tag=running.tag, stream=body_type)

    @property
    def has_room(self) -> bool:
        """Whether the caller's window is open."""
        return self._running.flow.has_room

    def settle(self) -> None:
        """Wait until the loop has sent it all."""
        self._running.calls.settle()

    def before_log(self, hook: Callable[[], None]) -> None:
        """Have `hook` called before output is sent."""
        self._running.before_log = hook


class TaskEmit:
    """Takes what a call on the loop gives."""

    def __init__(self, running: Running) -> None:
        self._running = running

    async def item(self, parts: Sequence[Buffer], body_type: int) -> None:
        """Post one item when there is room."""
        running = self._running
        running.output.flush()
        for frame in pieces(FrameKind.ITEM, parts, tag=running.tag, stream=body_type):
            await running.flow.room()
            running.send(frame)

    async def result(self, parts: Sequence[Buffer], body_type: int) -> None:
        """Keep the result until the code has ended."""
        running = self._running
        running.answer = pieces(FrameKind.RESULT, parts, tag=running.tag, stream=body_type)

    @property
    def has_room(self) -> bool:
        """Whether the caller's window is open."""
        return self._running.flow.has_room

    def offer(self, parts: Sequence[Buffer]) -> None:
        """Post one small item."""
        for frame in pieces(FrameKind.ITEM, parts, tag=self._running.tag):
            self._running.send(frame)

    def settle(self) -> None:
        """Send what was posted."""
        self._running.calls.send_posted()
