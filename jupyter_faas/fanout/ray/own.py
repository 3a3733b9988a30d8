"""Ray of one's own on this machine: started light, and nothing of it left behind."""

from __future__ import annotations

import os
import runpy
import secrets
import select
import shutil
import signal
import tempfile
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import Any

from jupyter_faas.fanout.ray.light import lightly
from jupyter_faas.fanout.ray.words import HostStart

LEAST_STORE_BYTES = 80 << 20
"""Ray refuses an object store below 75 MiB; nothing of a map lies in it on one machine."""
_PARTS = ("gcs_server", "raylet")
_TRIES = 3
_SCRATCH = "faas-ray-"
_QUICK = {
    # A raylet that asks before its head listens sleeps a whole second by default.
    "raylet_client_connect_timeout_milliseconds": 50,
    "raylet_client_num_connect_attempts": 400,
    "enable_metrics_collection": False,
}


class Parts:
    """The processes that Ray cannot do without, this process's children: its head and its node."""

    def __init__(self) -> None:
        self._pidfds: list[int] = []
        with suppress(OSError):  # gVisor has no pidfd: what has died is then not noticed
            self._pidfds = [os.pidfd_open(pid) for pid in _children() if _name(pid) in _PARTS]

    def wait(self) -> None:
        """Return when one of them has ended."""
        end = select.poll()
        for pidfd in self._pidfds:
            end.register(pidfd, select.POLLIN)
        end.poll()

    def kill(self) -> None:
        """End the others; what they have started ends with them."""
        for pidfd in self._pidfds:
            with suppress(ProcessLookupError):
                signal.pidfd_send_signal(pidfd, signal.SIGKILL)


def prepare() -> None:
    """Set what Ray's processes inherit; before Ray is imported."""
    os.environ["RAY_worker_niceness"] = "0"  # noqa: SIM112 - Ray spells it like this
    blocked = Path(__file__).parent / "blocked"
    os.environ["PYTHONPATH"] = os.pathsep.join(
        part for part in (str(blocked), os.environ.get("PYTHONPATH", "")) if part
    )
    runpy.run_path(str(blocked / "sitecustomize.py"))
    os.environ["RAY_AUTH_MODE"] = "token"
    os.environ["RAY_AUTH_TOKEN"] = secrets.token_hex(16)


def start_patiently(ray: Any, start: HostStart) -> tempfile.TemporaryDirectory[str]:
    """Start Ray; returns the directory it lies in, to be removed when it has ended.

    Raises:
        Exception: What Ray says, the last time.
    """
    for tries_left in range(_TRIES - 1, -1, -1):
        is_first = tries_left == _TRIES - 1
        try:
            with lightly(ray) if is_first else nullcontext():
                return _start(ray, start)
        except Exception:
            # Ray gives its first node 30 s, which a busy machine may need for something else.
            ray.shutdown()
            if not tries_left:
                raise
    raise AssertionError


def _start(ray: Any, start: HostStart) -> tempfile.TemporaryDirectory[str]:
    # Ray's own sockets lie in here: their paths must be short.
    _sweep()
    prefix = f"{_SCRATCH}{os.getpid()}-"
    scratch = tempfile.TemporaryDirectory(prefix=prefix, ignore_cleanup_errors=True)
    ray.init(
        num_cpus=start.cpus or None,
        object_store_memory=start.memory_bytes or LEAST_STORE_BYTES,
        include_dashboard=False,
        log_to_driver=False,
        logging_level="warning",
        _temp_dir=scratch.name,
        _system_config=_QUICK,
    )
    return scratch


def _sweep() -> None:
    """Remove what hosts have left that were killed: it is of no use to anybody."""
    for left in Path(tempfile.gettempdir()).glob(f"{_SCRATCH}*-*"):
        pid = left.name.removeprefix(_SCRATCH).partition("-")[0]
        if (
            pid.isdigit()
            and not Path(f"/proc/{pid}").exists()
            and left.stat().st_uid == os.getuid()
        ):
            shutil.rmtree(left, ignore_errors=True)


def _children() -> list[int]:
    """Return this process's children."""
    found: list[int] = []
    for thread in Path("/proc/self/task").iterdir():
        found.extend(map(int, (thread / "children").read_text().split()))
    return found


def _name(pid: int) -> str:
    return Path(f"/proc/{pid}/comm").read_text().strip()
