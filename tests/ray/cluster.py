"""A Ray cluster on the loopback, as somebody else has it: started by `ray start`, ended by pids."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support import descendants, free_ports, is_alive, wait_until

TOKEN = "the-token-of-a-cluster-in-a-test"
_LEAST_STORE_BYTES = 80 << 20


def answers(port: int, host: str = "127.0.0.1") -> bool:
    try:
        socket.create_connection((host, port), timeout=1).close()
    except OSError:
        return False
    return True


class RayProcesses:
    """The head of a cluster, its workers, and what listens beside it."""

    def __init__(self) -> None:
        (self.port,) = free_ports(1)
        self.address = f"127.0.0.2:{self.port}"
        self._nodes = 1
        self._scratch = tempfile.mkdtemp(prefix="faas-t-")
        self._seen: set[int] = set()
        self._environ = {
            **os.environ,
            "RAY_AUTH_MODE": "token",
            "RAY_AUTH_TOKEN": TOKEN,
            "RAY_USAGE_STATS_ENABLED": "0",
            "PYTHONPATH": os.pathsep.join((_blocked(), os.environ.get("PYTHONPATH", ""))),
        }

    def start_head(self, cpus: int) -> int:
        """Start a head with so many CPUs for seats; returns its pid."""
        head = ["--head", f"--port={self.port}", "--include-dashboard=false"]
        pid = self._start_node([*head, f"--temp-dir={self._scratch}"], cpus)
        wait_until(lambda: answers(self.port, "127.0.0.2"), 120.0, what="the head listens")
        return pid

    def start_worker(self, cpus: int) -> int:
        """Start a worker; returns its pid at once."""
        return self._start_node([f"--address={self.address}"], cpus)

    def start_host(self, port: int, token: str, **more: str) -> int:
        """Start what serves seats beside the head; returns its pid once it listens."""
        environ = {**self._environ, "FAAS_RAY_ADDRESS": self.address, "FAAS_RAY_HOST_TOKEN": token}
        command = [sys.executable, "-P", "-m", "jupyter_faas.fanout.ray.host"]
        pid = self._start([*command, f"--listen=127.0.0.1:{port}"], environ | more)
        wait_until(lambda: answers(port), 120.0, what="the host listens", seen=self.log)
        return pid

    def log(self) -> str:
        """Return what all of them have printed."""
        return (Path(self._scratch) / "log").read_text(errors="replace")[-6000:]

    def kill(self, pid: int) -> None:
        """kill -9 one of them with all that it has started."""
        for one in (pid, *descendants(pid)):
            self._seen.add(one)
            _kill(one)
        wait_until(lambda: not is_alive(pid), what="it is gone")

    def processes(self) -> list[int]:
        """Return all that has been started here and runs."""
        for pid in tuple(self._seen):
            self._seen.update(descendants(pid))
        return [pid for pid in self._seen if is_alive(pid)]

    def end(self) -> None:
        """End everything."""
        for pid in self.processes():
            _kill(pid)
        wait_until(lambda: not self.processes(), 30.0, seen=self.processes)
        shutil.rmtree(self._scratch, ignore_errors=True)

    def _start_node(self, arguments: list[str], cpus: int) -> int:
        self._nodes += 1  # each has an address of its own; Ray takes 127.0.0.1 for another one
        ray = str(Path(sys.executable).parent / "ray")
        common = [
            "--block",
            f"--node-ip-address=127.0.0.{self._nodes}",
            f"--num-cpus={cpus}",
            f"--object-store-memory={_LEAST_STORE_BYTES}",
            "--disable-usage-stats",
        ]
        return self._start([ray, "start", *arguments, *common], self._environ)

    def _start(self, command: list[str], environ: dict[str, str]) -> int:
        with open(Path(self._scratch) / "log", "ab") as log:
            pid = os.posix_spawn(
                command[0],
                command,
                environ,
                file_actions=[
                    (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
                    (os.POSIX_SPAWN_DUP2, log.fileno(), 1),
                    (os.POSIX_SPAWN_DUP2, log.fileno(), 2),
                ],
                setsid=True,
            )
        self._seen.add(pid)
        return pid


@contextmanager
def ray_processes() -> Iterator[RayProcesses]:
    """Give a cluster that is ended afterwards."""
    cluster = RayProcesses()
    try:
        yield cluster
    finally:
        cluster.end()


def _kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return
    try:
        os.waitpid(pid, 0)
    except ChildProcessError:
        return


def _blocked() -> str:
    import jupyter_faas.fanout.ray

    return str(Path(jupyter_faas.fanout.ray.__file__).parent / "blocked")
