"""The worker: the process in which user code runs. Forked from the zygote, one per replica.

It is told what to become by LOAD, then runs calls: one after the other in the main thread
(`serial.py`), or many at once around an event loop (`looped.py`). It never answers HTTP, and it
ends when the front does: a pipe that only the front holds makes the kernel kill it.
"""

from __future__ import annotations

import ctypes
import faulthandler
import fcntl
import os
import signal
import socket
import time
from collections.abc import Callable

import msgspec

from jupyter_faas.core.errors import FaasError
from jupyter_faas.core.model import Kind
from jupyter_faas.core.specialisation import Specialisation
from jupyter_faas.execution import display, library_threads, place, reseed, streams, threads
from jupyter_faas.execution.ending import MainThreadGate
from jupyter_faas.execution.failure import Fault, platform_fault, user_fault
from jupyter_faas.execution.library_threads import Setter
from jupyter_faas.execution.load import Loaded, load
from jupyter_faas.runner import family
from jupyter_faas.runner.channel import ENCODER, LOAD, LOADED, Channel, LoadAnswer
from jupyter_faas.runner.looped import LoopedCalls
from jupyter_faas.runner.payload import open_body
from jupyter_faas.runner.rehearsal import rehearse
from jupyter_faas.runner.serial import SerialCalls
from jupyter_faas.runner.surface import Surface
from jupyter_faas.wire.frames import Frame, encode_header

_F_SETSIG = 10
_IOLBF = 1
_SPECIALISATIONS = msgspec.msgpack.Decoder(Specialisation)


def main(
    sock: socket.socket,
    life_fd: int,
    crash_fd: int,
    thread_setters: list[Setter],
    script: bytes = b"",
) -> int:
    """Be a worker until the front is gone or has said CLOSE; returns the exit code.

    Args:
        sock: The channel to the front.
        life_fd: Read end of a pipe whose other end only the front holds.
        crash_fd: Memory that the front reads if this process crashes.
        thread_setters: Of libraries that the zygote has loaded with one thread.
        script: Of a rehearsal, for a worker that will wait; empty: it is needed now.
    """
    family.name_process("faas-worker")
    family.become_subreaper()
    _die_with_front(life_fd)
    channel = Channel(sock)
    os.register_at_fork(after_in_child=channel.close)
    gate = MainThreadGate()
    gate.install()
    surface = Surface(channel, gate)
    _settle(surface, crash_fd)
    if script:
        rehearse(script, lambda own, load: _become(own, gate, surface, load))
        place.fresh_main()
    frame = channel.receive()
    if frame is None or frame.kind != LOAD:
        return 0
    library_threads.restore(thread_setters)
    serve = _become(channel, gate, surface, frame)
    return serve() if serve is not None else _leave(channel)


def _settle(surface: Surface, crash_fd: int) -> None:
    """Make this process a place for user code, before anything of it is loaded."""
    faulthandler.enable(crash_fd)
    # A child's crash is not this process's: its text goes where the child writes to.
    os.register_at_fork(after_in_child=lambda: faulthandler.enable(2))
    libc = ctypes.CDLL(None)
    libc.setvbuf(ctypes.c_void_p.in_dll(libc, "stdout"), None, _IOLBF, 0)
    streams.install(surface.fallback)
    threads.install()
    display.install(surface.publish)
    place.refuse_input()
    place.fresh_main()
    reseed.reseed()


def _become(
    channel: Channel, gate: MainThreadGate, surface: Surface, frame: Frame
) -> Callable[[], int] | None:
    """Load the package and answer LOADED; return what serves the calls, None if it failed."""
    began_s = time.perf_counter()
    head, package = open_body(channel, frame)
    wanted = _SPECIALISATIONS.decode(head)
    try:
        place.enter(wanted.place, wanted.env)
        place.limit_memory(wanted.memory_mib, threads=_threads(wanted))
        loaded = load(package, wanted)
    except BaseException as error:
        surface.fallback.flush()
        _answer_load(channel, LoadAnswer(_ms_since(began_s), _load_fault(error).problem))
        return None
    surface.fallback.flush()
    is_serial = wanted.max_inputs == 1 and not _has_async(loaded)
    _answer_load(channel, LoadAnswer(_ms_since(began_s), None, not is_serial))
    if is_serial:
        return SerialCalls(channel, gate, surface, loaded).run
    return LoopedCalls(channel, surface, loaded).run


def _has_async(loaded: Loaded) -> bool:
    kinds = {loaded.kind, *loaded.methods.values()}
    return bool(kinds & {Kind.ASYNC, Kind.ASYNC_GENERATOR})


def _threads(wanted: Specialisation) -> int:
    return wanted.max_inputs if wanted.max_inputs > 1 else 0


def _load_fault(error: BaseException) -> Fault:
    if isinstance(error, FaasError):
        return platform_fault(error)
    fault = user_fault(error, lambda _: None)
    fault.problem["traceback"] = fault.traceback
    fault.problem["status"] = 422
    return fault


def _answer_load(channel: Channel, answer: LoadAnswer) -> None:
    body = ENCODER.encode(answer)
    channel.send([encode_header(LOADED, len(body)), body])


def _leave(channel: Channel) -> int:
    """Wait for the front to hang up: it has the problem, and decides."""
    while channel.receive() is not None:
        pass
    return 0


def _die_with_front(life_fd: int) -> None:
    """Have the kernel kill this process when the front's end of the pipe closes.

    Works whatever user code does, also while C code holds the GIL; the front itself may have
    been killed with -9.
    """
    fcntl.fcntl(life_fd, fcntl.F_SETOWN, os.getpid())
    fcntl.fcntl(life_fd, _F_SETSIG, signal.SIGKILL)
    flags = fcntl.fcntl(life_fd, fcntl.F_GETFL)
    fcntl.fcntl(life_fd, fcntl.F_SETFL, flags | os.O_ASYNC | os.O_NONBLOCK)
    try:
        is_closed = os.read(life_fd, 1) == b""
    except BlockingIOError:
        return
    if is_closed:  # it closed before the signal was armed
        os._exit(0)


def _ms_since(began_s: float) -> float:
    return (time.perf_counter() - began_s) * 1000
