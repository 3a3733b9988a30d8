"""What the worker's process shows outside any call, and how a call becomes the current one."""

from __future__ import annotations

import ctypes
import resource
import time
from contextvars import Token

from jupyter_faas.core.context import Invocation, current
from jupyter_faas.execution.ending import MainThreadGate
from jupyter_faas.execution.minder import Minder
from jupyter_faas.execution.output import CallOutput, Flusher
from jupyter_faas.execution.streams import sink
from jupyter_faas.runner.channel import CallHead, Channel
from jupyter_faas.runner.outlet import Descriptors, late_log
from jupyter_faas.wire.frames import DISPLAY

_fflush = ctypes.CDLL(None).fflush
_KIB_PER_MIB = 1024

Entered = tuple[Token[Invocation | None], Token[CallOutput | None]]


class Surface:
    """Output of this process, and the invocation that is current in a thread or task.

    Args:
        channel: To the front.
        gate: Shields sends in the main thread.
    """

    def __init__(self, channel: Channel, gate: MainThreadGate) -> None:
        self._channel = channel
        self._gate = gate
        self.flusher = Flusher()
        self.descriptors = Descriptors()
        self.minder = Minder()
        self.fallback = CallOutput(late_log(channel, gate, ""), self.flusher)

    def publish(self, bundle: bytes) -> None:
        """Send a display bundle to the current invocation, after what was printed before it."""
        (sink.get() or self.fallback).write_whole(DISPLAY, bundle)

    def enter(self, head: CallHead, output: CallOutput) -> Entered:
        """Make a call the current one in this context."""
        deadline = None
        if head.remaining_s is not None:
            deadline = time.monotonic() + head.remaining_s
        invocation = Invocation(
            id=head.id,
            deadline=deadline,
            depth=head.depth,
            trace=head.trace,
            ancestry=head.ancestry,
        )
        return current.set(invocation), sink.set(output)

    def leave(self, entered: Entered) -> None:
        """The code of the call has ended in this context; what C has buffered is written out."""
        _fflush(None)
        current.reset(entered[0])
        sink.reset(entered[1])

    def finish(self, output: CallOutput, invocation_id: str) -> None:
        """Send what the call has left unsent; what its threads print later names the call."""
        output.flush_all()
        output.redirect(late_log(self._channel, self._gate, invocation_id))


def peak_memory_mib() -> float:
    """Return the most resident memory this process has had."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / _KIB_PER_MIB
