"""Importing modules into the zygote before they are needed, when there is nothing else to do.

First of all the script of a rehearsal is written (`rehearsal.py`), for which much is imported.
Each module is tried in a throw-away child first: one that starts threads, or fails, would spoil
every later fork. Then the zygote imports it (its files are warm by then), never while it is being
asked for replicas, and for some seconds not while others want all CPUs: Ray starting, a herd.
"""

from __future__ import annotations

import importlib
import os
import signal
import sys
import time
from collections import deque
from collections.abc import Callable
from typing import Any

from jupyter_faas.execution.library_threads import Setter, find_setters
from jupyter_faas.runner.family import describe_status, kill
from jupyter_faas.runner.rehearsal import write_script

IDLE_S = 0.2
"""So long nobody has asked for anything before a module is imported."""
PATIENCE_S = 5.0
"""So long modules wait for a machine that has other things to do than this."""
PROBE_TIMEOUT_S = 60.0
_YIELDING = 10
"""Niceness of a trial: nobody waits for it."""
REHEARSAL = "(rehearsal)"
"""Reported like a module: spares forked from now on are readier than those before."""


def is_machine_busy() -> bool:
    """Return whether more wants to run, beside this process, than there are CPUs (proc(5))."""
    try:
        with open("/proc/loadavg", "rb") as file:
            runnable = int(file.read().split()[3].partition(b"/")[0])
    except (OSError, ValueError, IndexError):
        return False
    return runnable > len(os.sched_getaffinity(0))


class Preloader:
    """What is to be imported, one module after the other.

    Args:
        fork_helper: Runs a function in a throw-away child; returns its pid.
        emit: Reports `{"ev": "preload", module, ok, detail, ms}`.
        is_machine_busy: Whether others want the CPUs; modules wait then, but not for ever.
    """

    def __init__(
        self,
        fork_helper: Callable[[Callable[[], None]], int],
        emit: Callable[[dict[str, Any]], None],
        is_machine_busy: Callable[[], bool] = is_machine_busy,
    ) -> None:
        self._fork_helper = fork_helper
        self._emit = emit
        self._is_machine_busy = is_machine_busy
        self._waiting: deque[str] = deque()
        self._approved: str | None = None
        self._probed: str | None = None
        self._probe_pid = 0
        self._pipe = -1
        self.thread_setters: list[Setter] = []
        """Of libraries that were imported with one thread; for `library_threads.restore`."""
        self.script = b""
        """Of a rehearsal, once there was time to write it."""
        self._idle_since_s = time.monotonic()
        self._give_up_s = 0.0
        self._patient_until_s = 0.0
        self._is_stopped = False

    def add(self, modules: tuple[str, ...]) -> None:
        """Import these too, later."""
        self._waiting.extend(
            name for name in modules if name not in self._waiting and name not in sys.modules
        )
        self._patient_until_s = time.monotonic() + PATIENCE_S
        self.touch()

    def touch(self) -> None:
        """Somebody wants something: the next import waits for quiet again."""
        self._idle_since_s = time.monotonic()

    def stop(self) -> None:
        """Import nothing more: what comes too late costs memory and helps nobody."""
        self._is_stopped = True
        if self._probe_pid:
            kill(self._probe_pid)
        self._waiting.clear()
        self._approved = None

    def due_s(self) -> float | None:
        """Return the monotonic second at which `turn` has something to do, if ever."""
        if self._probe_pid:
            return self._give_up_s
        if self._is_stopped:
            return None
        if not self.script or self._approved is not None or self._waiting:
            return self._idle_since_s + IDLE_S
        return None

    def turn(self, now_s: float) -> None:
        """Do the next step if it is time."""
        due_s = self.due_s()
        if due_s is None or now_s < due_s:
            return
        if self._probe_pid:
            kill(self._probe_pid, signal.SIGKILL)
        elif not self.script:
            self._write_script()
        elif now_s < self._patient_until_s and self._is_machine_busy():
            self._idle_since_s = now_s
        elif self._approved is not None:
            self._import(self._approved)
        else:
            self._probe(self._waiting.popleft())

    def reaped(self, pid: int, status: int) -> None:
        """A helper has ended; a probe that ended well lets its module in."""
        if pid != self._probe_pid:
            return
        name, self._probed, self._probe_pid = self._probed, None, 0
        said = os.read(self._pipe, 4096).decode(errors="replace")
        os.close(self._pipe)
        self._pipe = -1
        if said == "ok" and not self._is_stopped:
            self._approved = name
        else:
            self._report(name, said or f"its trial {describe_status(status)}")

    def close(self) -> None:
        """Close, in a forked child, the pipe of a trial that is going on."""
        if self._pipe >= 0:
            os.close(self._pipe)
            self._pipe = -1

    def _write_script(self) -> None:
        began_s = time.perf_counter()
        self.script = write_script()
        self._report(REHEARSAL, "", (time.perf_counter() - began_s) * 1000)

    def _probe(self, name: str) -> None:
        self._pipe, answer = os.pipe()
        self._probed = name
        self._give_up_s = time.monotonic() + PROBE_TIMEOUT_S
        self._probe_pid = self._fork_helper(lambda: _try_import(name, answer))
        os.close(answer)

    def _import(self, name: str) -> None:
        self._approved = None
        began_s = time.perf_counter()
        detail = ""
        try:
            importlib.import_module(name)
        except BaseException as error:
            detail = f"{type(error).__name__}: {error}"
        self.thread_setters = find_setters()
        self._report(name, detail, (time.perf_counter() - began_s) * 1000)

    def _report(self, name: str | None, detail: str, ms: float = 0.0) -> None:
        report = {"ev": "preload", "module": name, "ok": not detail, "detail": detail, "ms": ms}
        self._emit(report)


def _try_import(name: str, answer: int) -> None:
    """Import a module in a child that is thrown away, and say whether the zygote may."""
    from jupyter_faas.runner.forking import limit_library_threads  # noqa: PLC0415 - a cycle

    limit_library_threads()
    os.nice(_YIELDING)
    try:
        importlib.import_module(name)
        threads = len(os.listdir("/proc/self/task"))
        verdict = "ok" if threads == 1 else f"it starts threads ({threads - 1}) when imported"
    except BaseException as error:
        verdict = f"{type(error).__name__}: {error}"
    os.write(answer, verdict.encode()[:4000])
