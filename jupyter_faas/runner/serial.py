"""Calls one after the other in the main thread: `max_inputs` 1 and nothing asynchronous.

The main thread itself reads the channel between calls, so that a call costs no hand-over to
another thread. A call is ended by SIGINT; the front sends none after it has read the call's END.
"""

from __future__ import annotations

import time
from functools import partial

from jupyter_faas.execution.ending import MainThreadGate
from jupyter_faas.execution.failure import Fault, unreadable_arguments
from jupyter_faas.execution.load import Loaded
from jupyter_faas.execution.output import CallOutput
from jupyter_faas.runner.channel import (
    CLOSE,
    ENCODER,
    HEADS,
    RAISED,
    Buffer,
    Channel,
    WorkerEnd,
)
from jupyter_faas.runner.forked import ForkGuard
from jupyter_faas.runner.outlet import Outlet
from jupyter_faas.runner.payload import open_body
from jupyter_faas.runner.surface import Surface, peak_memory_mib
from jupyter_faas.runner.targets import Targets
from jupyter_faas.wire.frames import Frame, FrameKind, encode_header


class SerialCalls:
    """Serves calls until the front hangs up or says CLOSE.

    Args:
        channel: To the front.
        gate: Lets the interrupt through to user code only.
        surface: Output of this process.
        loaded: The package.
    """

    def __init__(
        self, channel: Channel, gate: MainThreadGate, surface: Surface, loaded: Loaded
    ) -> None:
        self._channel = channel
        self._gate = gate
        self._surface = surface
        self._loaded = loaded
        self._targets = Targets(loaded)
        self._guard = ForkGuard()

    def run(self) -> int:
        """Serve; returns the exit code of the process."""
        while (frame := self._channel.receive()) is not None:
            if frame.kind == FrameKind.CALL:
                self._serve(frame)
            elif frame.kind == CLOSE:
                return close(self._loaded, self._surface)
        return 0

    def _serve(self, frame: Frame) -> None:
        began_s = time.perf_counter()
        raw_head, payload = open_body(self._channel, frame)
        head = HEADS.decode(raw_head)
        flusher = self._surface.flusher
        descriptors = self._surface.descriptors
        outlet = Outlet(self._channel, self._gate, frame.tag, head.id, flusher, descriptors)
        output = outlet.output = CallOutput(outlet.log, flusher)
        entered = self._surface.enter(head, output)
        form = self._targets.form(head)
        error: BaseException | None = None
        fault: Fault | None = None
        is_raised = False
        try:
            call, _ = self._targets.call(head, payload, self._surface.minder)
        except Exception as missing:
            fault = unreadable_arguments(missing, form.dump_exception)
        else:
            del payload
            try:
                self._gate.run(partial(call.perform, outlet))
            except BaseException as raised:
                error, is_raised = raised, call.is_in_code
        self._guard.check(error)
        if error is not None:
            fault = call.fault_of(error)
        run_ms = (time.perf_counter() - began_s) * 1000
        self._surface.leave(entered)
        output.flush()
        outlet.flush_soon()
        outlet.close()
        self._answer(frame.tag, outlet, fault, is_raised, run_ms)

    def _answer(
        self, tag: int, outlet: Outlet, fault: Fault | None, is_raised: bool, run_ms: float
    ) -> None:
        frames = outlet.answer if fault is None else [fault_frame(tag, fault, is_raised)]
        for piece in frames[:-1]:
            self._channel.send(piece)
        end = end_frame(tag, run_ms, "done" if fault is None else "error")
        self._channel.send([*(frames[-1] if frames else ()), *end])


def fault_frame(tag: int, fault: Fault, is_raised: bool) -> list[Buffer]:
    """Return an ERROR frame."""
    body = ENCODER.encode(fault)
    flags = RAISED if is_raised else 0
    return [encode_header(FrameKind.ERROR, len(body), tag=tag, flags=flags), body]


def end_frame(tag: int, run_ms: float, outcome: str) -> list[Buffer]:
    """Return an END frame: the code of this call has ended."""
    body = ENCODER.encode(WorkerEnd(run_ms, outcome, peak_memory_mib()))
    return [encode_header(FrameKind.END, len(body), tag=tag), body]


def close(loaded: Loaded, surface: Surface) -> int:
    """Run the class's `close()`; whatever it raises is printed, not fatal."""
    try:
        loaded.close()
    except Exception as error:
        from jupyter_faas.execution.traceback import remote_traceback  # noqa: PLC0415 - rare

        surface.fallback.write(2, remote_traceback(error).encode("utf-8", "replace"))
    surface.fallback.flush()
    return 0
